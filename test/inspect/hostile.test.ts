/** Seeded changes of good inputs, a second for each parser; RFO_FUZZ_SECONDS for longer (`npm run evidence -- parsers`). */
import { execFile } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { parserNames } from './hostile-child.ts'

const seconds = Number(process.env['RFO_FUZZ_SECONDS'] ?? '1')
const tally = process.env['RFO_TALLY']

test.each(parserNames)(
  '%s: a typed error or an answer, at once, in little memory',
  async (name) => {
    const child = [join(import.meta.dirname, 'hostile-child.ts'), name, String(seconds), '20261128']
    // who hangs is ended, and that is the failure
    const { stdout } = await promisify(execFile)(process.execPath, child, { timeout: seconds * 1000 + 60_000 })
    const found = JSON.parse(stdout) as { runs: number; refused: number; read: number; slowest: number; rss: number }
    if (tally !== undefined) appendFileSync(tally, `${stdout}\n`)
    expect(found.runs).toBe(found.refused + found.read)
    // a log ends where it is wrong, as sqlite itself takes it
    if (name !== 'sqlite log') expect(found.refused).toBeGreaterThan(0)
    expect(found.read).toBeGreaterThan(0)
    // milliseconds of CPU of the slowest; megabytes of the whole process
    expect(found.slowest).toBeLessThan(2000)
    expect(found.rss).toBeLessThan(300)
  },
  seconds * 1000 + 70_000,
)
