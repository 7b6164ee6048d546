/** Where the content tests put things: temporary folders, stores of each kind, real registries where they are installed. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { openLayout } from '../../src/content/layout.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentStore } from '../../src/content/store.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { tool } from '../tools.ts'

const cleanups: (() => void | Promise<void>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export function atEnd(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup)
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-content-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Retries without waiting. */
export const atOnce = { attempts: 4, wait: async () => {} }

let repositories = 0
export function repositoryAt(host: string): ContentStore {
  return openRegistry({ registry: host, repository: `rfo/test-${++repositories}` }, { addresses: {}, retry: atOnce })
}

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function startProgram(argv: readonly string[], env: Record<string, string>, port: number): Promise<string> {
  const [program, ...args] = argv as [string, ...string[]]
  const child = spawn(program, args, { stdio: 'ignore', env: { PATH: process.env.PATH ?? '', HOME: tmpdir(), ...env } })
  atEnd(async () => {
    const ended = new Promise((resolve) => child.once('close', resolve))
    if (child.kill('SIGKILL')) await ended
  })
  const host = `127.0.0.1:${port}`
  for (let tries = 0; tries < 200; tries += 1) {
    if (
      await fetch(`http://${host}/v2/`).then(
        () => true,
        () => false,
      )
    )
      return host
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${program} does not answer`)
}

/** Debian's docker-registry: no referrers API. */
export async function startDebianRegistry(): Promise<string> {
  const folder = temporaryFolder()
  const port = await freePort()
  const config = join(folder, 'config.yml')
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(folder, 'data')}}, delete: {enabled: true}}\nhttp: {addr: 127.0.0.1:${port}}\n`,
  )
  return await startProgram([tool('docker-registry').path, 'serve', config], {}, port)
}

export async function startCraneRegistry(): Promise<string> {
  const port = await freePort()
  return await startProgram([tool('crane').path, 'registry', 'serve', '--address', `127.0.0.1:${port}`], {}, port)
}

export interface Place {
  readonly name: string
  readonly skip: boolean
  /** A new empty store. */
  open(): Promise<ContentStore>
}

const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

async function ours(referrers: boolean): Promise<string> {
  const registry = await startRegistry({ referrers })
  atEnd(registry.close)
  return registry.host
}

/** Every kind of store. */
export function places(): readonly Place[] {
  const withApi = once(() => ours(true))
  const withoutApi = once(() => ours(false))
  const debian = once(startDebianRegistry)
  const crane = once(startCraneRegistry)
  return [
    { name: 'memory', skip: false, open: async () => memoryStore() },
    { name: 'directory', skip: false, open: () => openDirectoryStore(temporaryFolder()) },
    { name: 'layout', skip: false, open: () => openLayout(temporaryFolder(), { create: true }) },
    { name: 'registry, referrers API', skip: false, open: async () => repositoryAt(await withApi()) },
    { name: 'registry, tag fallback', skip: false, open: async () => repositoryAt(await withoutApi()) },
    { name: 'docker-registry', skip: tool('docker-registry').skip, open: async () => repositoryAt(await debian()) },
    { name: 'crane registry serve', skip: tool('crane').skip, open: async () => repositoryAt(await crane()) },
  ]
}
