/**
 * Chromium without a window, driven over its DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) by node's
 * own WebSocket. What a page complains about, and whatever it asks for, is kept.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const quiet = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Browser {
  open(url: string): Promise<Page>
  close(): Promise<void>
}

export interface Page {
  /** Console errors, exceptions, what the page's policy refused: one line each. */
  readonly complaints: readonly string[]
  /** Addresses that the page asked for, itself first. */
  readonly asked: readonly string[]
  /** The value of an expression, awaited. */
  value<T>(expression: string): Promise<T>
  /** Waits until the expression is true. */
  until(expression: string): Promise<void>
  /** As a person chooses a file in a file input. */
  choose(selector: string, file: string): Promise<void>
  /** `Emulation.setEmulatedMedia`, `Emulation.setScriptExecutionDisabled`… */
  tell(method: string, params?: object): Promise<unknown>
  screenshot(file: string): Promise<void>
}

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

export async function startBrowser(program: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'rfo-browser-'))
  const child = spawn(program, [...quiet, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const socket = new WebSocket(await address(profile))
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', reject, { once: true })
  })
  let last = 0
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const heard = new Map<string, (message: Message) => void>()
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    if (message.id === undefined) return heard.get(message.sessionId ?? '')?.(message)
    const asker = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) asker?.resolve(message.result)
    else asker?.reject(new Error(message.error.message))
  })
  const tell = (method: string, params: object = {}, sessionId?: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      last += 1
      waiting.set(last, { resolve, reject })
      socket.send(JSON.stringify({ id: last, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    })
  return {
    async open(url) {
      const { targetId } = (await tell('Target.createTarget', { url: 'about:blank' })) as { targetId: string }
      const { sessionId } = (await tell('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string }
      return await openPage(
        url,
        (method, params) => tell(method, params, sessionId),
        (listener) => heard.set(sessionId, listener),
      )
    },
    async close() {
      await tell('Browser.close').catch(() => child.kill('SIGKILL'))
      await ended
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Chromium says in its profile where it listens, once it does. */
async function address(profile: string): Promise<string> {
  for (let tries = 0; tries < 300; tries += 1) {
    const [port, path] = await readFile(join(profile, 'DevToolsActivePort'), 'utf8').then(
      (text) => text.trim().split('\n'),
      () => [],
    )
    if (port !== undefined && path !== undefined) return `ws://127.0.0.1:${port}${path}`
    await sleep(100)
  }
  throw new Error('chromium does not listen')
}

type Tell = (method: string, params?: object) => Promise<unknown>

async function openPage(url: string, tell: Tell, hear: (listener: (message: Message) => void) => void): Promise<Page> {
  const complaints: string[] = []
  const asked: string[] = []
  const loaded = new Promise<void>((resolve) => {
    hear(({ method, params }) => {
      const { entry, exceptionDetails, type, args, request } = (params ?? {}) as {
        entry?: { level: string; source: string; text: string }
        exceptionDetails?: { text: string; exception?: { description?: string } }
        type?: string
        args?: unknown
        request?: { url: string }
      }
      if (method === 'Page.loadEventFired') resolve()
      if (method === 'Network.requestWillBeSent' && request !== undefined) asked.push(request.url)
      if (method === 'Log.entryAdded' && entry !== undefined) complaints.push(`${entry.source} ${entry.level}: ${entry.text}`)
      if (method === 'Runtime.exceptionThrown') complaints.push(exceptionDetails?.exception?.description ?? exceptionDetails?.text ?? '')
      if (method === 'Runtime.consoleAPICalled') complaints.push(`console.${type}: ${JSON.stringify(args)}`)
    })
  })
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM']) await tell(`${domain}.enable`)
  await tell('Page.navigate', { url })
  await loaded
  const value = async <T>(expression: string): Promise<T> => {
    const answer = (await tell('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })) as {
      result: { value: T }
      exceptionDetails?: { exception?: { description?: string } }
    }
    if (answer.exceptionDetails !== undefined) throw new Error(answer.exceptionDetails.exception?.description ?? expression)
    return answer.result.value
  }
  return {
    complaints,
    asked,
    value,
    tell,
    async until(expression) {
      for (let tries = 0; tries < 100; tries += 1) {
        if (await value<boolean>(expression)) return
        await sleep(50)
      }
      throw new Error(`never true: ${expression}`)
    },
    async choose(selector, file) {
      const { root } = (await tell('DOM.getDocument')) as { root: { nodeId: number } }
      const { nodeId } = (await tell('DOM.querySelector', { nodeId: root.nodeId, selector })) as { nodeId: number }
      await tell('DOM.setFileInputFiles', { files: [file], nodeId })
    },
    async screenshot(file) {
      const { data } = (await tell('Page.captureScreenshot', { format: 'png' })) as { data: string }
      await writeFile(file, Buffer.from(data, 'base64'))
    },
  }
}
