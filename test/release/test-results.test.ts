/** Evidence that comes after the images: demanded, attached, carried along, and refused when it is about something else. */
import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { readReleaseKeys } from '../../src/cli/key-files.ts'
import { type Outcomes, outcomesFile } from '../../src/conformance/checks/outcome.ts'
import { packJson } from '../../src/conformance/pack.ts'
import { readSonobuoy } from '../../src/conformance/sonobuoy.ts'
import { type Counted, testPredicate } from '../../src/conformance/statement.ts'
import { verdictOf } from '../../src/conformance/verdict.ts'
import { attachEvidence, checkedRelease } from '../../src/release/attach-test.ts'
import { carriedEvidence } from '../../src/release/candidate.ts'
import { readSigningKey } from '../../src/sign/key.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { type Project, type Ran, run, smallProject, version } from './project.ts'

const tar = tool('tar')

const recorded = join(import.meta.dirname, '..', 'conformance', 'recorded')
const argv = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none']
const candidate = `${version}.candidate`
const key = ['--key', '.rfo/sandbox/cosign.pub']

let project: Project
let scratch: string
beforeAll(async () => {
  if (tar.skip) return
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-results-'))
  const file = join(project.folder, 'pipelines/release.yaml')
  const release = parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, stringify({ ...release, demands: { conformance: ['linux/amd64'] } }))
  await ofThisVersion('passed')
  await ofThisVersion('failed')
  await ofThisVersion('zero')
})
afterAll(async () => {
  if (tar.skip) return
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** The recorded run as a cluster of this release would have left it: the server says another version, nothing else differs. */
async function ofThisVersion(name: string): Promise<void> {
  const folder = join(scratch, name)
  await mkdir(folder)
  execFileSync(tar.path, ['-xzf', join(recorded, `sonobuoy-${name}.tar.gz`), '-C', folder])
  const file = join(folder, 'serverversion.json')
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), gitVersion: version }))
  execFileSync(tar.path, ['-czf', join(scratch, `${name}.tar.gz`), '-C', folder, '.'])
}

const attach = (target: string, results: string): Promise<Ran> =>
  run(project.folder, ['test', target, '--platform', 'amd64', '--results', results])
const lastLine = (ran: Ran): string => ran.stderr.trim().split('\n').at(-1) ?? ''
const imagesOf = async (folder: string): Promise<string> =>
  JSON.stringify((await readPredicate(join(project.folder, 'dist', folder))).images)

let candidateRoot: string
let candidateImages: string

describe.skipIf(tar.skip)('without the evidence that is demanded', () => {
  test('what is made is a candidate: exit 5, no signature of a release, and the next command', async () => {
    const ran = await run(project.folder, argv)
    expect([ran.code, lastLine(ran)]).toEqual([
      5,
      expect.stringMatching(
        /RFO_RELEASE_CANDIDATE: .*linux\/amd64.*; next: rfo-build test dist\/v1\.24\.8\+rfor1\.candidate --platform amd64 --suite conformance/,
      ),
    ])
    candidateRoot = ran.stdout.trim()
    expect(await readdir(join(project.folder, 'dist'))).toEqual([candidate])
    const files = await readdir(join(project.folder, 'dist', candidate), { recursive: true })
    expect(files.filter((path) => /\.(sig|sigstore\.json|sm2|prov|asc)$/.test(path))).toEqual([])
    candidateImages = await imagesOf(candidate)
    expect((await run(project.folder, ['verify', `dist/${candidate}`, ...key])).code).toBe(3) // it can't be taken for a release
  })

  test('a run of another Kubernetes is no evidence, and neither is one in which nothing ran', async () => {
    const other = await attach(version, join(recorded, 'sonobuoy-passed.tar.gz'))
    expect([other.code, lastLine(other)]).toEqual([4, expect.stringMatching(/RFO_TEST_VERSION: .*v1\.33\.4/)])
    const none = await attach(version, join(scratch, 'zero.tar.gz'))
    expect([none.code, lastLine(none)]).toEqual([5, expect.stringMatching(/RFO_TEST_NONE/)])
    expect((await run(project.folder, argv)).code).toBe(5)
  })

  test('a failed run is attached and told, and the candidate stays one', async () => {
    const failed = await attach(version, join(scratch, 'failed.tar.gz'))
    expect([failed.code, lastLine(failed)]).toEqual([7, expect.stringMatching(/RFO_TEST_FAILED: 2 of 3 tests failed/)])
    expect((await run(project.folder, argv)).code).toBe(5)
    expect(await readdir(join(project.folder, 'dist'))).toEqual([candidate])
  })
})

describe.skipIf(tar.skip)('with it', () => {
  test('the same command makes the release: same root, same image digests, and the candidate is gone', async () => {
    const attached = await attach(version, join(scratch, 'passed.tar.gz'))
    expect([attached.code, attached.stdout.split('\n')[0]]).toEqual([0, 'linux/amd64: 1 ran, 1 passed, 0 failed, 3 skipped'])
    const ran = await run(project.folder, argv)
    expect([ran.code, ran.stdout.trim()]).toEqual([0, candidateRoot])
    expect(await readdir(join(project.folder, 'dist'))).toEqual([version])
    expect(await imagesOf(version)).toBe(candidateImages)
    const verified = await run(project.folder, ['verify', version, ...key])
    expect(verified.code).toBe(0)
    expect(verified.stdout).toContain('linux/amd64: the images that ship passed 1 tests of conformance')
  })

  test('signed elsewhere it is the same: a candidate first, a release by the same command once the evidence lies there', async () => {
    const out = ['--out', 'elsewhere', '--progress', 'none']
    const keys = ['cosign.key', 'sm2.key', 'pgp.key'].flatMap((name) => ['--sign-key', `.rfo/sandbox/${name}`])
    const sign = (): Promise<Ran> => run(project.folder, ['sign', version, ...keys, ...out])
    const made = async (): Promise<string[]> => (await readdir(join(project.folder, 'elsewhere'))).sort()
    expect((await run(project.folder, [...argv, ...out, '--unsigned'])).stdout.trim()).toBe(candidateRoot)
    const first = await sign()
    expect([first.code, first.stdout.trim(), lastLine(first)]).toEqual([
      5,
      candidateRoot,
      expect.stringMatching(
        /RFO_RELEASE_CANDIDATE: .*next: rfo-build test elsewhere\/v1\.24\.8\+rfor1\.candidate --platform amd64 --suite conformance/,
      ),
    ])
    expect(await made()).toEqual([candidate, `${version}.unsigned`])
    expect((await attach(`elsewhere/${candidate}`, join(scratch, 'failed.tar.gz'))).code).toBe(7)
    expect((await sign()).code).toBe(5)
    expect((await attach(`elsewhere/${candidate}`, join(scratch, 'passed.tar.gz'))).code).toBe(0)
    const second = await sign()
    expect([second.code, second.stdout.split('\n')[0], second.stderr]).toEqual([0, candidateRoot, ''])
    expect(await made()).toEqual([version])
    const verified = await run(project.folder, ['verify', `elsewhere/${version}`, ...key, '--require', 'conformance'])
    expect([verified.code, verified.stderr]).toEqual([0, ''])
  }, 120_000)

  test('whoever verifies can ask for it: of the platforms that the plan demands, or of those that are named', async () => {
    const asking = async (...what: string[]): Promise<Ran> =>
      await run(project.folder, ['verify', version, ...key, ...what.flatMap((each) => ['--require', each])])
    const there = await asking('conformance')
    expect([there.code, there.stdout]).toEqual([
      0,
      expect.stringMatching(/linux\/amd64: .*; conformance: 1 passed, 0 failed; checks, cis not run\n/),
    ])
    expect((await asking('conformance=amd64', 'conformance')).code).toBe(0)
    const other = await asking('conformance=arm64')
    expect([other.code, lastLine(other)]).toEqual([
      5,
      expect.stringMatching(
        /RFO_VERIFY_UNTESTED: no conformance result of linux\/arm64 .*next: rfo-build test v1\.24\.8\+rfor1 --platform arm64/,
      ),
    ])
    expect([(await asking('reviews')).code, (await asking('conformance=s390x')).code]).toEqual([2, 2])
  })

  test('a rerun has nothing to do, and one that lays out again keeps the evidence', async () => {
    expect(JSON.parse((await run(project.folder, [...argv, '--json'])).stdout)).toMatchObject({ ok: true, unchanged: true })
    await rm(join(project.folder, '.rfo/releases'), { recursive: true })
    expect((await run(project.folder, argv)).code).toBe(0)
    expect((await run(project.folder, ['verify', version, ...key])).stdout).toContain('passed 1 tests of conformance')
  })

  test('each kind that is demanded must be there: conformance stands for no other', async () => {
    const outDir = join(project.folder, 'dist')
    const own = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
    const platforms = ['linux/amd64'] as const
    const plan = { version, platforms, demands: { conformance: platforms, checks: platforms, cis: [] } }
    const { missing } = await carriedEvidence({ plan, outDir, key: own }, await readPredicate(join(outDir, version)))
    expect(missing).toEqual([{ kind: 'checks', platform: 'linux/amd64' }])
  })

  test('evidence that can’t be read is not taken for none: the folder stays, and says what to mend', async () => {
    const results = join(project.folder, 'dist', version, 'evidence/test-result.linux-amd64.tar.gz')
    const kept = await readFile(results)
    await rm(results)
    await mkdir(results)
    const ran = await run(project.folder, argv)
    expect([ran.code, lastLine(ran)]).toEqual([9, expect.stringContaining('RFO_VERIFY_READ')])
    expect(await readdir(join(project.folder, 'dist', version, 'evidence'))).toContain('test-result.linux-amd64.sigstore.json')
    await rm(results, { recursive: true })
    await writeFile(results, kept)
  })

  test('a result about other images is refused', async () => {
    const other = await smallProject()
    expect(
      (
        await run(other.folder, [
          'release',
          version,
          '--sandbox',
          '--platform',
          'amd64,arm64',
          '--progress',
          'none',
          '--store',
          join(project.folder, '.rfo2'),
        ])
      ).code,
    ).toBe(0)
    const folder = join(other.folder, 'dist', version)
    for (const end of ['sigstore.json', 'tar.gz']) {
      // amd64's evidence under arm64's name
      await cp(
        join(project.folder, 'dist', version, `evidence/test-result.linux-amd64.${end}`),
        join(folder, `evidence/test-result.linux-arm64.${end}`),
      )
    }
    const verified = await run(other.folder, [
      'verify',
      version,
      '--key',
      join(project.folder, '.rfo/sandbox/cosign.pub'),
      '--key',
      join(project.folder, '.rfo2/sandbox/cosign.pub'),
    ])
    expect([verified.code, lastLine(verified)]).toEqual([3, expect.stringMatching(/RFO_VERIFY_TESTED|RFO_SIGN/)])
    await other.remove()
  })

  test('results that the statement does not name are refused, and so is a statement without its results', async () => {
    const results = join(project.folder, 'dist', version, 'evidence/test-result.linux-amd64.tar.gz')
    const bytes = await readFile(results)
    await writeFile(results, Buffer.concat([bytes, Buffer.from([0])]))
    expect([(await run(project.folder, ['verify', version, ...key])).code]).toEqual([3])
    await rm(results)
    expect([(await run(project.folder, ['verify', version, ...key])).code]).toEqual([3])
    await writeFile(results, bytes)
    expect([(await run(project.folder, ['verify', version, ...key])).code]).toEqual([0])
  })
})

describe.skipIf(tar.skip)('tests of another kind', () => {
  const base = (): string => join(project.folder, 'dist', version)
  const asking = async (what: string): Promise<Ran> => await run(project.folder, ['verify', version, ...key, '--require', what])
  const attached = async (kind: 'cis', counted: Pick<Counted, 'result' | 'passed' | 'failed' | 'notProven'>): Promise<void> => {
    const { key: signer } = await readReleaseKeys(
      [{ file: 'sandbox', text: await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8') }],
      undefined,
    )
    await attachEvidence({
      folder: base(),
      platform: 'linux/amd64',
      kind,
      release: await checkedRelease(base(), signer),
      results: join(scratch, 'passed.tar.gz'),
      predicate: (results) => testPredicate({ kind, warned: [], facts: {}, ...counted }, { platform: 'linux/amd64', version, results }),
      key: signer,
    })
  }

  const checked = async (outcomes: Outcomes, gitVersion = version): Promise<Ran> => {
    const file = join(scratch, 'checks.tar.gz')
    await packJson(file, outcomesFile, outcomes, { serverVersion: { gitVersion, platform: 'linux/amd64' }, facts: {} })
    return await run(project.folder, ['test', version, '--platform', 'amd64', '--suite', 'checks', '--results', file])
  }

  test('of another Kubernetes, or none at all: no evidence', async () => {
    const other = await checked({ 'air-gap': { result: 'passed', seen: {} } }, 'v1.25.4+rfor1')
    expect([other.code, lastLine(other)]).toEqual([4, expect.stringMatching(/RFO_TEST_VERSION/)])
    const none = await checked({ 'rfo-install': { result: 'not proven', why: 'needs an rfo' } })
    expect([none.code, lastLine(none)]).toEqual([5, expect.stringMatching(/RFO_TEST_NONE/)])
    const asked = await run(project.folder, ['test', version, '--cluster', 'local', '--suite', 'checks', '--focus', 'x'])
    expect([asked.code, lastLine(asked)]).toEqual([2, expect.stringMatching(/--focus is of conformance suites/)])
  })

  test('are demanded and told by themselves, with what is not proven', async () => {
    expect([(await asking('checks')).code, (await asking('cis')).code]).toEqual([5, 5])
    const passed = await checked({
      'air-gap': { result: 'passed', seen: {} },
      'rfo-install': { result: 'not proven', why: 'needs an rfo' },
    })
    expect([passed.code, passed.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^passed {5}air-gap\nnot proven rfo-install: needs an rfo\nlinux\/amd64: 1 checks passed, 0 failed, 1 not proven\nsha256:/,
      ),
    ])
    const there = await asking('checks=amd64')
    expect([there.code, there.stdout]).toEqual([
      0,
      expect.stringMatching(/conformance: 1 passed, 0 failed; checks: 1 passed, 0 failed, 1 not proven; cis not run\n/),
    ])
    expect(there.stdout).toContain(
      'linux/amd64: the images that ship passed 1 tests of checks; 0 failures are excused by plan.json, 1 are not proven',
    )
    const cis = await asking('cis')
    expect([cis.code, lastLine(cis)]).toEqual([5, expect.stringMatching(/RFO_VERIFY_UNTESTED: no cis result of linux\/amd64/)])
  })

  test('a failure in them is a failure of the release', async () => {
    const one = await checked({ 'air-gap': { result: 'failed', why: '1 pulls of images were tried', excerpt: ['Pulling image "x"'] } })
    expect([one.code, lastLine(one)]).toEqual([
      7,
      expect.stringMatching(/RFO_TEST_FAILED: the check air-gap failed: 1 pulls of images were tried/),
    ])
    expect(one.stderr).toContain('Pulling image "x"')
    const failed = await run(project.folder, ['verify', version, ...key])
    expect([failed.code, lastLine(failed)]).toEqual([4, expect.stringMatching(/RFO_VERIFY_FAILED: checks: 1 tests failed/)])
  })

  test('one kind does not stand for another', async () => {
    for (const end of ['sigstore.json', 'tar.gz'])
      await cp(join(base(), `evidence/test-result.linux-amd64.${end}`), join(base(), `evidence/checks.linux-amd64.${end}`))
    const taken = await asking('checks')
    expect([taken.code, lastLine(taken)]).toEqual([
      3,
      expect.stringMatching(/RFO_VERIFY_TESTED: is about conformance results, not checks results/),
    ])
    for (const end of ['sigstore.json', 'tar.gz']) await rm(join(base(), `evidence/checks.linux-amd64.${end}`))
  })

  test('are carried along when the release is laid out again', async () => {
    await attached('cis', { result: 'PASSED', passed: ['1.1.1'], failed: [], notProven: {} })
    await rm(join(project.folder, '.rfo/releases'), { recursive: true })
    expect((await run(project.folder, argv)).code).toBe(0)
    expect((await asking('cis')).code).toBe(0)
  })
})

describe.skipIf(tar.skip)('failures that the project answers for', () => {
  const demand = async (knownFailures: readonly object[]): Promise<Ran> => {
    const file = join(project.folder, 'pipelines/release.yaml')
    const release = parse(await readFile(file, 'utf8')) as Record<string, unknown>
    await writeFile(file, stringify({ ...release, demands: { conformance: ['linux/amd64'], knownFailures } }))
    return await run(project.folder, argv)
  }
  const known = async (until: string): Promise<{ spec: string; reason: string; until: string }[]> => {
    const { failures } = verdictOf(await readSonobuoy(createReadStream(join(scratch, 'failed.tar.gz'))))
    return failures.map((spec) => ({ spec, reason: 'it fails upstream, too', until }))
  }

  test('are counted, named in what is signed, and the release is made; without the plan’s word they are failures', async () => {
    expect((await demand(await known('9999-12-31'))).code).toBe(0)
    const attached = await attach(version, join(scratch, 'failed.tar.gz'))
    expect([attached.code, attached.stdout.split('\n')[0]]).toEqual([0, 'linux/amd64: 3 ran, 1 passed, 2 failed, 3 skipped'])
    expect((await run(project.folder, argv)).code).toBe(0)
    const verified = await run(project.folder, ['verify', version, ...key])
    expect([verified.code, verified.stdout]).toEqual([
      0,
      expect.stringContaining('passed 1 tests of conformance; 2 failures are excused by plan.json'),
    ])
    const [first] = await known('9999-12-31')
    const less = await demand([first ?? {}])
    expect([less.code, lastLine(less)]).toEqual([5, expect.stringMatching(/RFO_RELEASE_CANDIDATE/)])
  })

  test('after their last day they are failures', async () => {
    await demand(await known('2022-11-14'))
    const late = await attach(version, join(scratch, 'failed.tar.gz'))
    expect([late.code, lastLine(late)]).toEqual([7, expect.stringMatching(/RFO_TEST_FAILED: 2 of 3 tests failed/)])
  })
})

describe.skipIf(tar.skip)('what the CNCF takes', () => {
  const submit = async (name: string, change: (folder: string) => Promise<void>): Promise<Ran> => {
    const folder = join(scratch, name)
    await cp(join(scratch, 'passed'), folder, { recursive: true })
    await change(folder)
    execFileSync(tar.path, ['-czf', join(scratch, `${name}.tar.gz`), '-C', folder, '.'])
    const results = ['--results', join(scratch, `${name}.tar.gz`)]
    return await run(project.folder, ['test', version, '--platform', 'amd64', ...results, '--submission', join(scratch, 'submission')])
  }
  const focusOn = (focus: string) => async (folder: string) => {
    const file = join(folder, 'plugins/e2e/definition.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('Pods should be submitted and removed', focus))
  }

  test('a run that was asked for less than all is none, and neither is one with a failure', async () => {
    const quick = await submit('quick', async () => {})
    expect([quick.code, lastLine(quick)]).toEqual([4, expect.stringMatching(/RFO_TEST_SUBMISSION: .*no run of all \[Conformance\] specs/)])
    const less = await submit('less', async (folder) => {
      await focusOn('\\\\[Conformance\\\\]')(folder)
      const log = join(folder, 'plugins/e2e/results/global/e2e.log')
      await writeFile(log, (await readFile(log, 'utf8')).replace(/^Will run 1 of/m, 'Will run 2 of'))
    })
    expect([less.code, lastLine(less)]).toEqual([4, expect.stringMatching(/RFO_TEST_SUBMISSION: .*1 of 2 specs passed; all have to/)])
    expect(await readdir(scratch)).not.toContain('submission')
  })

  test('the four files of a certified run, in the programme’s place and words; never over what is there', async () => {
    const ran = await submit('certified', focusOn('\\\\[Conformance\\\\]'))
    expect([ran.code, ran.stderr]).toEqual([0, ''])
    const folder = join(scratch, 'submission/v1.24/rfo')
    expect((await readdir(folder)).sort()).toEqual(['PRODUCT.yaml', 'README.md', 'e2e.log', 'junit_01.xml'])
    expect(await readdir(join(folder, '..'))).toEqual(['rfo'])
    for (const name of ['e2e.log', 'junit_01.xml'])
      expect((await readFile(join(folder, name))).equals(await readFile(join(scratch, 'certified/plugins/e2e/results/global', name)))).toBe(
        true,
      )
    expect(parse(await readFile(join(folder, 'PRODUCT.yaml'), 'utf8'))).toMatchObject({
      vendor: 'openEuler sig-RFO',
      name: 'RFO',
      version,
      website_url: expect.stringMatching(/^https:/),
      documentation_url: expect.stringMatching(/^https:/),
      type: 'distribution',
      description: expect.stringContaining('openEuler'),
    })
    const readme = await readFile(join(folder, 'README.md'), 'utf8')
    expect(readme).toContain('1 of 1 conformance specs passed')
    expect(readme).toContain(`rfo-build test ${version} --platform amd64`)
    const again = await submit('again', focusOn('\\\\[Conformance\\\\]'))
    expect([again.code, lastLine(again)]).toEqual([4, expect.stringMatching(/RFO_TEST_SUBMISSION: .*there already/)])
  })
})
