/** A world for one run of the command line inside the test's own process. */
import type { Ports } from '../../src/cli/context.ts'
import { runProgram } from '../../src/cli/program.ts'
import { commands } from '../../src/cli/verbs.ts'
import { exec, secretsIn } from '../../src/exec.ts'

export interface Run {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
  /** Without its line break; empty when nothing was written. */
  readonly lastLine: string
}

export async function run(argv: readonly string[], change: Partial<Ports> = {}): Promise<Run> {
  let stdout = ''
  let stderr = ''
  const exit = await runProgram(
    argv,
    {
      env: { PATH: process.env.PATH ?? '' },
      secrets: secretsIn(change.env ?? {}),
      cwd: process.cwd(),
      stdout: (text) => {
        stdout += text
      },
      stderr: {
        stream: process.stderr,
        write: (text) => {
          stderr += text
        },
        isTTY: false,
        columns: 80,
        rows: 24,
      },
      now: () => 0,
      signal: new AbortController().signal,
      exec,
      host: { platform: 'linux', arch: 'x64', nodeVersion: '24.0.0', nodePath: 'node' },
      toolVersion: '0.0.0-test',
      ...change,
    },
    commands,
  )
  return { exit, stdout, stderr, lastLine: stderr.trimEnd().split('\n').at(-1) ?? '' }
}
