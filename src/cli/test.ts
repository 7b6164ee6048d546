/** `test`: takes the results of a conformance run and binds them, counted and signed, to the digests of a release. */
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { SigningKey } from '../sign/key.ts'
import type { CliContext } from './context.ts'
import { isVersion, releaseFolder } from './target.ts'
import type { Verb } from './verb.ts'
import { word } from './words.ts'

export const test: Verb = {
  name: 'test',
  summary: 'test',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [{ flags: '--results <tarball>', help: 'testResults', completes: 'file' }],
  examples: ['test v1.24.8+rfor1 --platform amd64 --results 202211151200_sonobuoy.tar.gz'],
  async run(context, { args: [target = ''], flags }) {
    const results = flags.text('results')
    const [platform, ...more] = context.platforms ?? []
    if (results === undefined || platform === undefined || more.length > 0) {
      throw new RfoError('RFO_CLI_USAGE', results === undefined ? 'no --results to take' : 'results are of one --platform', {
        exit: 'usage',
        next: 'rfo-build test --help',
      })
    }
    const { attachTest } = await import('../release/attach-test.ts')
    const folder = await folderOf(context, target)
    const { verdict, digest } = await attachTest({
      folder,
      platform,
      results: resolve(context.cwd, results),
      key: await keyFor(context),
      signal: context.signal,
    })
    const { ran, passed, failed, skipped } = verdict
    const failure = new RfoError('RFO_TEST_FAILED', `${failed} of ${ran} tests failed`, {
      exit: 'build',
      where: platform,
      next: 'read e2e.log in the results, mend it, and test again',
      details: verdict.failures.slice(0, 20),
    })
    return {
      text: word(context.lang, 'testTold', { platform, ran, passed, failed, skipped, digest }),
      json: { platform, ran, passed, failed, skipped, result: verdict.result, statement: digest },
      ...(verdict.result === 'PASSED' ? {} : { failures: [failure] }),
    }
  },
}

/** A version means its release, or its candidate while there is no release. */
async function folderOf(context: CliContext, target: string): Promise<string> {
  const release = releaseFolder(context, target)
  if (!isVersion(target)) return release
  return await access(release).then(
    () => release,
    () => `${release}.candidate`,
  )
}

/** --sign-key; else the sandbox's own key, which signs only what the sandbox made. */
async function keyFor(context: CliContext): Promise<SigningKey> {
  const { readReleaseKeys, signKeyFiles } = await import('./key-files.ts')
  const own = join(context.storeDir, 'sandbox', 'cosign.key')
  const files = await signKeyFiles(context.signKeys.length === 0 ? { ...context, signKeys: [own] } : context)
  return (await readReleaseKeys(files, context.keyPassword)).key
}
