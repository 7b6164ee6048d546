import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const program = join(import.meta.dirname, 'memory-child.ts')

test.each(['gzip', 'zstd', 'plain'])('a layer of 200 MB is walked within 150 MB (%s)', async (packing) => {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-memory-'))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, folder, packing])
    const measured = JSON.parse(stdout) as { readonly files: number; readonly bytes: number; readonly rss: number }
    expect(measured.files).toBe(3)
    expect(measured.bytes).toBeGreaterThan(200e6)
    // the peak of the whole process, Node's own 45 MB with it
    expect(measured.rss).toBeLessThan(150 * 1024 * 1024)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
