/** The terminal's renderer under a real pty, and what is loaded where there is none. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { tool } from '../tools.ts'
import { play } from './screen.ts'

const run = promisify(execFile)
const fixture = (name: string): string => join(import.meta.dirname, 'fixture', name)
const dir = await mkdtemp(join(tmpdir(), 'rfo-tty-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

/** https://docs.python.org/3/library/pty.html; stdout is a file, as in `rfo-build release … > root`. */
const inPty = `
import fcntl, os, pty, struct, sys, termios
rows, columns, out, *argv = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack('HHHH', int(rows), int(columns), 0, 0))
    os.dup2(os.open(out + '.stdout', os.O_WRONLY | os.O_CREAT, 0o644), 1)
    os.execv(argv[0], argv)
with open(out, 'wb') as file:
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        file.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`
const python = tool('python3')

async function watch(rows: number, stages: number, env: Readonly<Record<string, string>> = {}) {
  const out = join(dir, `${rows}-${stages}-${Object.keys(env)}`)
  const argv = [String(rows), '80', out, process.execPath, fixture('terminal.ts'), `${out}.cost`, String(stages)]
  await run(python.path, ['-c', inPty, ...argv], { env: { PATH: process.env.PATH, TERM: 'xterm-256color', ...env } })
  const output = await readFile(out, 'utf8')
  const cost = JSON.parse(await readFile(`${out}.cost`, 'utf8')) as { milliseconds: number; isTTY: boolean; rows: number }
  return { output, cost, stdout: await readFile(`${out}.stdout`, 'utf8'), ...play(output) }
}

describe.skipIf(python.skip)('in a terminal', () => {
  test.each([
    [24, 6],
    [24, 30],
    [12, 12],
  ])('%i rows, %i stages: few rows, little work, nothing on stdout', { timeout: 30_000 }, async (rows, stages) => {
    const { cost, frames, unknown, stdout, output } = await watch(rows, stages)
    expect(cost).toMatchObject({ isTTY: true, rows })
    expect(unknown).toEqual([])
    expect(frames.length).toBeGreaterThan(5)
    expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThanOrEqual(rows - 4)
    // 20 tasks × 30 lines a stage; drawn raw it would be seconds and megabytes
    expect(cost.milliseconds).toBeLessThan(1500)
    expect(output.length).toBeLessThan(200_000)
    expect(stdout).toBe('')
    expect(output.endsWith('\x1b[?25h')).toBe(true)
    const last = frames.at(-1) ?? []
    expect(last.join('\n')).toContain(`ended after 1.2 s: ${19 * stages} done, 0 unchanged, ${stages} failed, 0 skipped`)
    expect(last.join('\n')).toContain('FAILED  stage0/component7/linux/amd64: RFO_BUILD_GO: it ended with 1')
  })

  test('what runs now is seen, with its last line', { timeout: 30_000 }, async () => {
    const { frames } = await watch(40, 16)
    expect(frames.some((frame) => frame.some((row) => /stage\d\/component\d+\/linux\/amd64: line \d+/.test(row)))).toBe(true)
    expect(frames.some((frame) => frame.some((row) => /\d+ of 320 · running 20/.test(row)))).toBe(true)
  })

  test('NO_COLOR: no colour', { timeout: 30_000 }, async () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are looked for
    const coloured = /\x1b\[[0-9;]*m/
    expect((await watch(24, 2, { NO_COLOR: '1' })).output).not.toMatch(coloured)
    expect((await watch(24, 2)).output).toMatch(coloured)
  })
})

test.each(['lines', 'json', 'none', 'auto'])('%s never loads listr2', async (kind) => {
  expect(JSON.parse((await run(process.execPath, [fixture('loads.ts'), kind])).stdout)).toEqual([])
})

test('tty loads it when there is something to draw', async () => {
  expect(JSON.parse((await run(process.execPath, [fixture('loads.ts'), 'tty'])).stdout)).toContain('listr2')
})
