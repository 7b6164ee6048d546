/**
 * The one subprocess door: argv only, never a shell; the environment is given whole, and no secret passes in it; output goes line by line to a
 * log and its tail into the error. Kills the whole process group when the signal aborts.
 */
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type ExitName, RfoError } from './error.ts'

/** Variables that hold a password or a token: of keys, of identities, of GitHub. */
export const secretVariables = [
  'RFO_KEY_PASSWORD',
  'COSIGN_PASSWORD',
  'SIGSTORE_ID_TOKEN',
  'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  'ACTIONS_RUNTIME_TOKEN',
  'GITHUB_TOKEN',
  'GH_TOKEN',
] as const

export function secretsIn(env: Readonly<Record<string, string>>): string[] {
  return secretVariables.flatMap((name) => {
    const value = env[name]
    return value === undefined || value === '' ? [] : [value]
  })
}

/** No child gets them, whatever environment it is given: nothing that we start signs or logs in for us. */
const withheld: ReadonlySet<string> = new Set([...secretVariables, 'RFO_SIGN_KEY', 'ACTIONS_ID_TOKEN_REQUEST_URL'])

function forChild(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !withheld.has(name)))
}

export interface ExecOptions {
  readonly cwd?: string
  /** The whole environment of the child, less what holds secrets. Nothing is inherited: pass what it needs. */
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly stdin?: Uint8Array
  /** Each line of stdout and stderr, as it comes. */
  readonly line?: (line: string) => void
  /** At most this many bytes of stdout are kept; more is an error. Default 16 MiB. */
  readonly maxBytes?: number
  /** What a non-zero exit means for our exit code. */
  readonly exit?: ExitName
  /** Told of the child as soon as it runs, for whoever must find its own children. */
  readonly started?: (pid: number) => void
}

export interface ExecResult {
  readonly stdout: Buffer
  readonly stderr: string
}

const tailLines = 20

/** Runs a program to its end. Throws RFO_EXEC_ABSENT when there is no such program, RFO_EXEC_FAILED when it fails. */
export function exec(argv: readonly [string, ...string[]], options: ExecOptions): Promise<ExecResult> {
  const [program, ...args] = argv
  const limit = options.maxBytes ?? 16 * 1024 * 1024
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted()
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: forChild(options.env),
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    if (child.pid !== undefined) options.started?.(child.pid)
    const { stdout: out, stderr: err } = child
    if (out === null || err === null) throw new Error('stdio is piped above')
    const stdout: Buffer[] = []
    const tail: string[] = []
    let kept = 0
    let overflow = false
    const kill = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // ESRCH: it has ended by itself
      }
    }
    const watch = (stream: NodeJS.ReadableStream): void => {
      let rest = ''
      stream.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString('utf8')).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) emit(line)
      })
      stream.on('end', () => {
        if (rest !== '') emit(rest)
      })
    }
    const emit = (line: string): void => {
      tail.push(line)
      if (tail.length > tailLines) tail.shift()
      options.line?.(line)
    }
    out.on('data', (chunk: Buffer) => {
      kept += chunk.length
      if (kept > limit) {
        overflow = true
        kill()
      } else stdout.push(chunk)
    })
    watch(out)
    watch(err)
    options.signal?.addEventListener('abort', kill, { once: true })
    child.on('error', (cause: NodeJS.ErrnoException) => {
      options.signal?.removeEventListener('abort', kill)
      const absent = cause.code === 'ENOENT'
      reject(
        new RfoError(
          absent ? 'RFO_EXEC_ABSENT' : 'RFO_EXEC_START',
          absent ? `no program ${program} on the PATH` : `can't start ${program}: ${cause.message}`,
          {
            exit: 'machine',
            cause,
            next: `install ${program}`,
          },
        ),
      )
    })
    child.on('close', (code, killed) => {
      options.signal?.removeEventListener('abort', kill)
      if (options.signal?.aborted) reject(options.signal.reason)
      else if (code === 0 && !overflow) resolve({ stdout: Buffer.concat(stdout), stderr: tail.join('\n') })
      else {
        const how = overflow ? `printed more than ${limit} bytes` : code === null ? `was ended by ${killed}` : `ended with ${code}`
        reject(
          new RfoError('RFO_EXEC_FAILED', `${[program, ...args].join(' ').slice(0, 300)} ${how}`, {
            exit: options.exit ?? 'build',
            details: [...tail],
          }),
        )
      }
    })
    if (options.stdin !== undefined) {
      child.stdin?.on('error', () => {}) // EPIPE: the child's exit code says why
      child.stdin?.end(options.stdin)
    }
  })
}

export interface FilterOptions {
  /** The whole environment of the child, as in `exec`. */
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/**
 * Bytes through a program, as they come: its stdout while `input` is written to its stdin. The program ends when nobody reads
 * any more. Throws as `exec` does, and what `input` throws.
 */
export async function* filter(
  argv: readonly [string, ...string[]],
  input: AsyncIterable<Uint8Array>,
  options: FilterOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const [program, ...args] = argv
  options.signal?.throwIfAborted()
  const child = spawn(program, args, { env: forChild(options.env), stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  const kill = (): void => void child.kill('SIGKILL')
  const said: string[] = []
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < tailLines) said.push(chunk.toString('utf8').slice(0, 1000).trim())
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  ended.catch(() => {}) // awaited below, after its output
  options.signal?.addEventListener('abort', kill, { once: true })
  // a program that has ended breaks the pipe: its exit code says why
  const fed = pipeline(Readable.from(input), child.stdin).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'EPIPE' || thrown.code === 'ERR_STREAM_PREMATURE_CLOSE' || thrown.code === 'ECONNRESET') return
    kill()
    throw thrown
  })
  fed.catch(() => {})
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer
    await fed
    const code = await ended
    options.signal?.throwIfAborted()
    if (code !== 0)
      throw new RfoError('RFO_EXEC_FAILED', `${argv.join(' ').slice(0, 300)} ended with ${code}`, { exit: 'build', details: said })
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code !== 'ENOENT' || thrown instanceof RfoError) throw thrown
    throw new RfoError('RFO_EXEC_ABSENT', `no program ${program} on the PATH`, {
      exit: 'machine',
      cause: thrown,
      next: `install ${program}`,
    })
  } finally {
    options.signal?.removeEventListener('abort', kill)
    kill()
    await fed.catch(() => {})
  }
}
