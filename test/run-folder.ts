/** A folder for one run of the tests: what several files ask for is made there once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The workers inherit what is set here. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-run-'))
  process.env.RFO_TEST_RUN = folder
  return () => rmSync(folder, { recursive: true, force: true })
}
