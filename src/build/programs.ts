/** What every way of making programs has in common: for which platform, where, and the files that come of it. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PlatformName } from '../oci/platform.ts'
import type { CompilerFacts } from './c-compiler.ts'

export interface CompileHow {
  readonly platform: PlatformName
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

export interface Program {
  /** absolute, in the image */
  readonly path: string
  /** on disk */
  readonly file: string
  /** whoever runs it runs it as root; absent = no */
  readonly setuid?: true
}

export interface MadePrograms {
  readonly programs: readonly Program[]
  /** holds them; the caller removes it once the bytes are in a store */
  readonly dir: string
  /** the C compiler, when there was one: the bytes depend on it */
  readonly compiler?: CompilerFacts
}

/** A fresh folder for what `make` makes; it is gone again when that fails. */
export async function inFreshFolder(workDir: string, make: (dir: string) => Promise<Omit<MadePrograms, 'dir'>>): Promise<MadePrograms> {
  const dir = join(workDir, 'programs', randomUUID())
  await mkdir(dir, { recursive: true })
  try {
    return { ...(await make(dir)), dir }
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
}
