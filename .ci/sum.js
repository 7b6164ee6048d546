// One closing line over all of vitest's JSON reports and the stages of .ci/run. Fails when something failed or nothing ran.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
let [passed, failed, skipped] = [0, 0, 0]
for (const name of readdirSync(folder).filter((each) => each.endsWith('.json'))) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'))
  passed += report.numPassedTests
  failed += report.numFailedTests + (report.success || report.numFailedTests > 0 ? 0 : 1) // a file that could not be loaded
  skipped += report.numPendingTests + report.numTodoTests
}
const checks = join(folder, 'checks')
for (const line of existsSync(checks) ? readFileSync(checks, 'utf8').trim().split('\n') : []) {
  if (line.startsWith('PASS ')) passed++
  else {
    failed++
    process.stdout.write(`failed: ${line.slice('FAIL '.length)}\n`)
  }
}
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
