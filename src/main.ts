/** The composition root: the only place that knows the process, the clock and the exit. */
import { writeFileSync } from 'node:fs'
import type { Commands } from './cli/commands.ts'
import type { Ports } from './cli/context.ts'
import { Interrupted } from './cli/failure.ts'
import { runProgram } from './cli/program.ts'
import { exec, secretsIn, secretVariables } from './exec.ts'

/** The environment, whose secrets nothing finds in process.env any more: no library, and nothing that one would start. */
function takeEnvironment(): Record<string, string> {
  const env = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined))
  for (const name of secretVariables) delete process.env[name]
  return env
}

/**
 * A core file of this process, or of one that it starts, holds no memory. Node can't set a limit of the kernel's, but this file decides
 * what is dumped. https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-coredump-filter-core-dump-filtering-settings
 */
function keepMemoryOutOfCores(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // not Linux, or no /proc: whoever fears cores has `ulimit -c 0`
  }
}

/** Runs the command line and ends the process with its exit code. `alone` is the command that is meant where none is named. */
export async function main(toolVersion: string, commands: Commands, alone?: string): Promise<void> {
  const { stdout, stderr } = process
  keepMemoryOutOfCores()
  const env = takeEnvironment()
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    let heard = false
    process.on(name, () => {
      // the second time, the person means it
      if (heard) process.exit(name === 'SIGINT' ? 130 : 143)
      heard = true
      interruption.abort(new Interrupted(name))
    })
  }
  // A reader that has left (`| head`) is no failure of ours.
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
  const argv = process.argv.slice(2)
  const ports: Ports = {
    env,
    secrets: secretsIn(env),
    cwd: process.cwd(),
    stdout: (text) => void stdout.write(text),
    stderr: {
      stream: stderr,
      write: (text) => void stderr.write(text),
      isTTY: stderr.isTTY === true,
      columns: stderr.columns ?? 80,
      rows: stderr.rows ?? 24,
    },
    now: () => Date.now(),
    signal: interruption.signal,
    exec,
    host: { platform: process.platform, arch: process.arch, nodeVersion: process.versions.node, nodePath: process.execPath },
    toolVersion,
  }
  const code = await runProgram(alone === undefined || argv[0] === alone ? argv : [alone, ...argv], ports, commands)
  await Promise.all([stdout, stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))))
  process.exit(code)
}
