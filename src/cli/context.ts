/** What a command may touch: handed down from main.ts, which alone knows the process. */
import type { PlatformName } from '../oci/platform.ts'
import type { Language } from '../report/messages.ts'
import type { ProgressKind } from '../report/renderer.ts'
import type { StandInKind } from '../sandbox/kinds.ts'

/** The outside of one run. Tests make their own. */
export interface Ports {
  readonly env: Readonly<Record<string, string>>
  /** Passwords and tokens of `env`, which are never printed. */
  readonly secrets: readonly string[]
  /** Absolute. Paths on the command line are relative to it; pipelines/ and images.lock are looked for here. */
  readonly cwd: string
  /** The result, and nothing else. */
  stdout(text: string): void
  readonly stderr: Terminal
  /** milliseconds since 1970; never in an output that is compared */
  now(): number
  /** Aborted by SIGINT and SIGTERM; its reason is what the command rejects with. */
  readonly signal: AbortSignal
  /** Runs a program to its end: src/exec.ts, which also says what it throws. */
  exec(argv: readonly [string, ...string[]], options: ExecOptions): Promise<{ readonly stdout: Buffer }>
  readonly host: Host
  /** of rfo-build */
  readonly toolVersion: string
}

export interface ExecOptions {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly signal: AbortSignal
}

export interface Terminal {
  readonly stream: NodeJS.WritableStream
  write(text: string): void
  readonly isTTY: boolean
  readonly columns: number
  readonly rows: number
}

export interface Host {
  /** Node's own words: `linux`, `x64`. */
  readonly platform: string
  readonly arch: string
  readonly nodeVersion: string
  readonly nodePath: string
}

/** The global flags, checked and with the environment's share filled in. */
export interface Globals {
  readonly json: boolean
  readonly progress: ProgressKind
  readonly lang: Language
  /** Absolute; `.rfo` in the working directory unless told. */
  readonly storeDir: string
  /** Absolute; `dist` in the working directory unless told. */
  readonly outDir: string
  /** undefined = all that the release file names */
  readonly platforms: readonly PlatformName[] | undefined
  readonly dryRun: boolean
  /** Which inputs are replaced: `all` is `--sandbox` and takes the components too. */
  readonly standIns: 'all' | readonly StandInKind[]
  /** Public keys that are trusted: files. */
  readonly keys: readonly string[]
  /** TUF metadata, a folder or an exported file; or a folder of trusted keys. Absolute. */
  readonly trustDir: string | undefined
  /** Where the private keys are: files, one of each kind. */
  readonly signKeys: readonly string[]
  /** Certificates that registries' own are signed by, besides those that Node knows: a file. */
  readonly caFile: string | undefined
  readonly keyPassword: string | undefined
}

export type CliContext = Ports & Globals
