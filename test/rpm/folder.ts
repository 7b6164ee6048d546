/** A temporary folder of one test, and foreign programs run in it. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function inFolder<T>(use: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-rpm-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface Ran {
  readonly code: number | null
  readonly out: string
}

export function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Ran {
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', HOME: '/nonexistent', ...env },
  })
  // Debian's rpm says each time that it is not the host's own
  return { code: done.status, out: `${done.stdout}${done.stderr}`.replace(/^rpm: (RPM should not|However assuming).*\n/gm, '') }
}
