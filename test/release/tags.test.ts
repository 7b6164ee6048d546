/** An image's tag means one digest, in all releases that lie in one folder. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { createRegistrySession } from '../../src/content/registry.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { listDigest } from '../../src/plan/fingerprint.ts'
import type { Lock, LockedComponent } from '../../src/plan/lock.ts'
import { renderLock } from '../../src/plan/lock-text.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { bundleOf, planInput, planOf, type ReleaseInputs, readInputs } from '../../src/release/inputs.ts'
import { lockRelease, type Resolvers } from '../../src/release/lock.ts'
import { type MadeRelease, makeRelease } from '../../src/release/make.ts'
import { refuseOtherDigests } from '../../src/release/tags.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts'
import { readSigningKey } from '../../src/sign/key.ts'
import { dropGate, type Project, smallProject, version } from './project.ts'
import { smallPlan } from './small-plan.ts'

const reference = 'docker.io/rfolabs/hardened-coredns:v1.9.3-build20221114'
const digest = (letter: string): `sha256:${string}` => `sha256:${letter.repeat(64)}`
const standIns = [{ what: 'image hardened-coredns', standsFor: 'x' }]

let scratch: string
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-tags-'))
})
afterEach(() => rm(scratch, { recursive: true, force: true }))

const lockedOn = (date: string): LockedComponent => ({
  fingerprint: digestOf('c'),
  pin: { kind: 'git', url: 'https://example.test/x', tag: 'v1', commit: 'c'.repeat(40) },
  date,
})

/** A release folder of which only the statement is there. */
async function lay(outDir: string, name: string, predicate: object | string): Promise<void> {
  await mkdir(join(outDir, name, 'evidence'), { recursive: true })
  const text = typeof predicate === 'string' ? predicate : JSON.stringify({ predicate: { version: name, standIns: [], ...predicate } })
  await writeFile(join(outDir, name, 'evidence/release.json'), text)
}

describe('refuseOtherDigests', () => {
  const made = (change: object = {}) => ({
    version: 'v1.24.9+rfor1',
    standIns: [],
    images: [{ reference, digest: digest('b') }],
    ...change,
  })
  const before = { images: [{ reference, digest: digest('a') }] }

  test('another digest under one tag: both are named, and the release that has it', async () => {
    await lay(scratch, 'v1.24.8+rfor1', before)
    await expect(refuseOtherDigests(made(), scratch)).rejects.toMatchObject({
      code: 'RFO_RELEASE_TAG',
      exit: 'condition',
      message: `${reference} is ${digest('a')} in v1.24.8+rfor1, and would be ${digest('b')} now`,
      where: join(scratch, 'v1.24.8+rfor1'),
    })
  })

  test('the way out moves the day of a tag that ends with one, and names a tag for the others', async () => {
    await lay(scratch, 'v1.24.8+rfor1', before)
    const refusal = async (date: string): Promise<unknown> =>
      await refuseOtherDigests(made(), scratch, [
        { ...smallPlan().images[0]!, component: 'hardened-coredns', reference, locked: lockedOn(date) },
      ]).catch((thrown: unknown) => thrown)
    expect(await refusal('20221114')).toMatchObject({ next: 'rfo-build lock v1.24.9+rfor1 --rebuild hardened-coredns' })
    expect(await refusal('20221115')).toMatchObject({ next: expect.stringContaining('a tag of its own with `tag:`') })
  })

  test('the same digest, another tag, the same version again, and its candidate', async () => {
    await lay(scratch, 'v1.24.8+rfor1', before)
    await refuseOtherDigests(made({ images: [{ reference, digest: digest('a') }] }), scratch)
    await refuseOtherDigests(made({ images: [{ reference: `${reference}x`, digest: digest('b') }] }), scratch)
    await refuseOtherDigests(made({ version: 'v1.24.8+rfor1' }), scratch)
    await rm(join(scratch, 'v1.24.8+rfor1'), { recursive: true })
    await lay(scratch, 'v1.24.9+rfor1.candidate', before)
    await refuseOtherDigests(made(), scratch)
  })

  test('stand-ins bind nobody, on either side', async () => {
    await lay(scratch, 'v1.24.8+rfor1', { ...before, standIns })
    await refuseOtherDigests(made(), scratch)
    await lay(scratch, 'v1.24.8+rfor1', before)
    await refuseOtherDigests(made({ standIns }), scratch)
  })

  test('what is no release says nothing: no folder, no statement, other JSON, a folder in its place', async () => {
    await refuseOtherDigests(made(), join(scratch, 'nowhere'))
    await writeFile(join(scratch, 'file'), '')
    await lay(scratch, 'torn', '{"predicate":')
    await lay(scratch, 'other', '{"predicate":{"images":"none"}}')
    await mkdir(join(scratch, 'folder/evidence/release.json'), { recursive: true })
    await lay(scratch, '.v1.24.8+rfor1.1.half-written', before)
    await refuseOtherDigests(made(), scratch)
  })
})

describe('a release', () => {
  let project: Project
  let inputs: ReleaseInputs
  let sandbox: Sandbox
  let state: string
  beforeAll(async () => {
    project = await smallProject()
    await dropGate(project.folder)
    state = await mkdtemp(join(tmpdir(), 'rfo-tags-state-'))
    inputs = await readInputs(project.folder, version, { platforms: ['linux/amd64'] })
    const list = listDigest(inputs.pipelines.upstream)
    sandbox = await startSandbox({ plan: planOf(inputs), kinds: new Set(), everything: true, lock: inputs.lock, list, stateDir: state })
  })
  afterAll(async () => {
    await sandbox.close()
    await project.remove()
    await rm(state, { recursive: true, force: true })
  })

  /** The same content, as it would be if it were real: the lock says of nothing that it stands for something. */
  const asReal = (lock: Lock): Lock =>
    JSON.parse(JSON.stringify(lock, (key, value: unknown) => (key === 'standIn' ? undefined : value))) as Lock

  async function make(lock: Lock, outDir: string, plan: ReleasePlan = planOf(inputs, lock)): Promise<MadeRelease> {
    return await makeRelease(
      {
        plan,
        lockText: renderLock(lock),
        keys: { key: readSigningKey(sandbox.key.privatePem) },
        bundle: bundleOf(project.folder, inputs),
        installer: inputs.installer,
        verifier: inputs.verifier,
        code: digestOf('code'),
        failureMode: 'finish',
        outDir,
        toolVersion: '0',
      },
      {
        store: await openDirectoryStore(join(state, 'store')),
        workDir: join(state, 'store/work'),
        env: { PATH: process.env.PATH ?? '', NO_PROXY: '127.0.0.1' },
        addresses: sandbox.addresses,
        registries: createRegistrySession({}),
        listener: () => {},
        now: () => 0,
        signal: new AbortController().signal,
        lanes: { cpu: 2, network: 4, cluster: 1 },
      },
    )
  }

  test('is refused before it is laid out; one of stand-ins is not', async () => {
    await lay(scratch, 'v1.24.7+rfor1', { images: [{ reference, digest: digest('a') }] })
    await expect(make(asReal(sandbox.lock), scratch)).rejects.toMatchObject({
      code: 'RFO_RELEASE_TAG',
      message: expect.stringContaining(`${reference} is ${digest('a')} in v1.24.7+rfor1, and would be sha256:`),
    })
    expect(await readdir(scratch)).toEqual(['v1.24.7+rfor1'])
    await make(sandbox.lock, scratch)
    expect(await readdir(scratch)).toEqual(['v1.24.7+rfor1', version])
    // made again as if it were real: the same version is replaced, whatever it was
    await rm(join(scratch, 'v1.24.7+rfor1'), { recursive: true })
    expect((await make(asReal(sandbox.lock), scratch)).folder).toBe(join(scratch, version))
  })

  test('an image is its tag’s and not its release’s: another release of another time has the same digests', async () => {
    const lock = asReal(sandbox.lock)
    const plan = planOf(inputs, lock)
    await make(lock, scratch)
    // the runtime carries the release's charts, RFO's installers its program: they are called by the release's version
    const named = (reference: string): string => reference.replace(/(rfo-runtime|rfo-upgrade|installer-rfo):.*/, '$1:v1.24.9-rfor1')
    const other: ReleasePlan = {
      ...plan,
      version: 'v1.24.9+rfor1',
      epoch: plan.epoch + 1_000_000,
      images: plan.images.map((image) => ({ ...image, reference: named(image.reference) })),
    }
    const { folder } = await make(lock, scratch, other)
    expect(folder).toBe(join(scratch, 'v1.24.9+rfor1'))
  })

  test('the command that the refusal names gives the image another tag, and then the release is made', async () => {
    await lay(scratch, 'v1.24.7+rfor1', { images: [{ reference, digest: digest('a') }] })
    const lock = asReal(sandbox.lock)
    const { next } = await make(lock, scratch).then(
      () => ({ next: 'made' }),
      (thrown: { readonly next: string }) => thrown,
    )
    expect(next).toBe(`rfo-build lock ${version} --rebuild hardened-coredns`)
    const asked = (): Promise<never> => Promise.reject(new Error('asked'))
    const request = { ...planInput(inputs, lock), concurrency: 1, today: '20221114' }
    const { lock: moved } = await lockRelease({
      ...request,
      rebuild: ['hardened-coredns'],
      resolve: { source: asked, image: asked, base: asked, packages: asked, chart: asked } satisfies Resolvers,
    })
    const before = lock.releases[version]
    if (before === undefined) throw new Error('not locked')
    // the recorded digests of RKE2's own charts are not those of the stand-ins
    const made = await make(
      { ...moved, releases: { [version]: { ...before, components: moved.releases[version]?.components ?? {} } } },
      scratch,
    )
    expect(await readFile(join(made.folder, 'rfo-images-core.linux-amd64.txt'), 'utf8')).toContain(
      'docker.io/rfolabs/hardened-coredns:v1.9.3-build20221115\n',
    )
  })
})
