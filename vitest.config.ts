import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/** A folder that gets a JSON report of each run, besides what people read: .ci/run sums them. */
const results = process.env.RFO_TEST_RESULTS

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/run-folder.ts'],
    // processes, not threads: tests spawn, kill and measure; two, for the two cores that a release is meant to need
    pool: 'forks',
    maxWorkers: 2,
    // a hook makes whole releases, two files at a time on two cores: this ends what hangs, and measures nothing
    testTimeout: 120_000,
    hookTimeout: 240_000,
    passWithNoTests: false,
    ...(results === undefined || results === ''
      ? {}
      : { reporters: ['default', 'json'], outputFile: { json: join(results, `vitest-${process.pid}.json`) } }),
  },
})
