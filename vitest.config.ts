import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** A folder that gets a JSON report of each run, besides what people read: .ci/run sums them. */
const results = process.env.RFO_TEST_RESULTS

/** Files that take a minute or more begin first: begun last, they run alone beside an idle core. A clone knows nothing of earlier runs. */
const long = [
  'docs.test.ts',
  'release/test-results.test.ts',
  'release/own-program.test.ts',
  'build/go-linking.test.ts',
  'release/kill.test.ts',
  'release/sign.test.ts',
  'source/git-pipelines.test.ts',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => long.filter((name) => !moduleId.endsWith(`/${name}`)).length
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/run-folder.ts'],
    // processes, not threads: tests spawn, kill and measure; two, for the two cores that a release is meant to need
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    // a hook makes whole releases, two files at a time on two cores: this ends what hangs, and measures nothing
    testTimeout: 120_000,
    hookTimeout: 240_000,
    passWithNoTests: false,
    ...(results === undefined || results === ''
      ? {}
      : { reporters: ['default', 'json'], outputFile: { json: join(results, `vitest-${process.pid}.json`) } }),
  },
})
