/**
 * The release's own program: compiled out of a repository of RKE2's layout, in a release whose other inputs are stand-ins.
 * It prints every constant that the plan sets; what sets nothing is refused; its provenance is signed and verified.
 */

import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { createRegistrySession } from '../../src/content/registry.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import { platformNames, platformOf } from '../../src/oci/platform.ts'
import { editSources } from '../../src/pack/tarball.ts'
import { listDigest } from '../../src/plan/fingerprint.ts'
import type { Lock } from '../../src/plan/lock.ts'
import { renderLock } from '../../src/plan/lock-text.ts'
import type { ProgramPlan, ReleasePlan } from '../../src/plan/release-plan.ts'
import { buildImages, buildScope } from '../../src/release/build.ts'
import { cCompilers } from '../../src/release/compilers.ts'
import { bundleOf, planInput, planOf, type ReleaseInputs, readInputs } from '../../src/release/inputs.ts'
import { lockRelease } from '../../src/release/lock.ts'
import { makeRelease } from '../../src/release/make.ts'
import { ownProgram } from '../../src/release/own-program.ts'
import type { ReleasePorts } from '../../src/release/ports.ts'
import { resolvers } from '../../src/release/resolvers.ts'
import { runTasks } from '../../src/release/run.ts'
import { provenancePath } from '../../src/release/signed-paths.ts'
import { readSourceRecord, sourceTask } from '../../src/release/source-task.ts'
import { verifyRelease } from '../../src/release/verify/verify.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts'
import { signStatement } from '../../src/sign/bundle.ts'
import { readPublicKey, readSigningKey } from '../../src/sign/key.ts'
import { putToolchain } from '../source/go-proxy.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { type Project, smallProject, version } from './project.ts'
import { putRke2, type Rke2Source } from './rke2-source.ts'

const [go, git] = [tool('go'), tool('git')]
const native = process.arch === 'arm64' ? 'arm64' : 'amd64'
const url = 'https://github.com/rancher/rke2'

/** Where this machine has a C compiler for the architecture, and runs its programs. */
const platforms = platformNames.filter((platform) => {
  const { architecture } = platformOf(platform)
  if (architecture === native) return !tool('gcc').skip
  const rpm = { amd64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' }[architecture]
  return !tool(`${rpm}-linux-gnu-gcc`).skip && !tool(`qemu-${rpm}-static`).skip
})

describe.skipIf(go.skip || git.skip || platforms.length === 0)('compiled', { timeout: 240_000 }, () => {
  let dir: string
  let project: Project
  let inputs: ReleaseInputs
  let sandbox: Sandbox
  let source: Rke2Source
  let lock: Lock
  let ports: ReleasePorts
  let made: string

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-own-program-'))
    const proxy = join(dir, 'proxy')
    await putToolchain(proxy, 'go1.21.13', go.path)
    project = await smallProject(['rancher/hardened-etcd', 'rancher/klipper-helm', 'rancher/rke2-cloud-provider'])
    inputs = await readInputs(project.folder, version, { platforms })
    const image = planOf(inputs).images.find((each) => each.component === 'rke2-runtime')
    if (image === undefined) throw new Error('no rke2-runtime')
    source = await putRke2(dir, proxy, image, 'v1.24.8+rke2r1', { go: go.path, git: git.path })
    const list = listDigest(inputs.pipelines.upstream)
    sandbox = await startSandbox({ plan: planOf(inputs), kinds: new Set(), everything: true, lock: inputs.lock, list, stateDir: dir })
    const env = { PATH: process.env.PATH ?? '', GOPROXY: `file://${proxy}`, GOSUMDB: 'off', NO_PROXY: '127.0.0.1' }
    const addresses = { ...sandbox.addresses, [url]: `file://${source.repository}` }
    const signal = new AbortController().signal
    ports = {
      store: await openDirectoryStore(join(dir, 'store')),
      workDir: join(dir, 'store/work'),
      env,
      addresses,
      registries: createRegistrySession({}),
      listener: () => {},
      now: () => 0,
      signal,
      lanes: { cpu: 2, network: 4, cluster: 1 },
    }
    // all but the one is pinned as the stand-ins are
    const release = sandbox.lock.releases[version]
    if (release === undefined) throw new Error('no lock')
    const { 'rke2-runtime': _, ...components } = release.components
    const asked: string[] = []
    const resolve = resolvers({ env, addresses, workDir: ports.workDir, signal, line: () => {}, credentials: async () => undefined })
    const before: Lock = { ...sandbox.lock, releases: { [version]: { ...release, components } } }
    const answered = (what: string): void => {
      asked.push(what)
    }
    const locked = (await lockRelease({ ...planInput(inputs, before), resolve, concurrency: 2, today: '20261123', answered })).lock
      .releases[version]?.components['rke2-runtime']
    if (locked === undefined) throw new Error('nothing locked')
    lock = { ...sandbox.lock, releases: { [version]: { ...release, components: { ...release.components, 'rke2-runtime': locked } } } }
    expect(asked).toEqual(['rke2-runtime'])
    made = (await make()).folder
  }, 240_000)
  afterAll(async () => {
    await sandbox.close()
    await project.remove()
    await rm(dir, { recursive: true, force: true })
  })

  const make = () =>
    makeRelease(
      {
        plan: planOf(inputs, lock),
        lockText: renderLock(lock),
        keys: { key: readSigningKey(sandbox.key.privatePem) },
        bundle: bundleOf(project.folder, inputs),
        installer: inputs.installer,
        verifier: inputs.verifier,
        code: digestOf('code'),
        failureMode: 'finish',
        outDir: join(dir, 'dist'),
        toolVersion: '0',
      },
      ports,
    )

  test('the pin holds toolchain and sums for the program; the image beside it stays files', () => {
    const pin = lock.releases[version]?.components['rke2-runtime']?.pin
    expect(pin).toMatchObject({
      kind: 'git',
      commit: source.commit,
      toolchain: { version: 'go1.21.13' },
      sums: expect.stringMatching(/^sha256:/),
    })
    expect(planOf(inputs, lock).unresolved).toEqual([])
  })

  test.each(platforms)('%s: the tarball’s program is the release’s, and prints every constant as planned', async (platform) => {
    const { architecture } = platformOf(platform)
    const into = join(dir, `tarball-${architecture}`)
    await mkdir(into)
    execFileSync('tar', ['-xzf', join(made, `rfo.linux-${architecture}.tar.gz`), '-C', into])
    expect((await readFile(join(into, 'bin/rfo'))).equals(await readFile(join(made, `rfo.linux-${architecture}`)))).toBe(true)
    const file = join(into, 'bin/rfo')
    const argv =
      architecture === native ? [file] : [`qemu-${{ amd64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' }[architecture]}-static`, file]
    // println writes to stderr
    const said = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', ...argv], { encoding: 'utf8' })
    expect(said.split('\n')).toEqual([
      `rfo version v1.24.8+rfor1 (${source.commit})`,
      'rfo RFO rfolabs/klipper-helm:v0.7.3-build20221114 7',
      [
        'docker.io',
        'rfolabs/hardened-etcd:v3.5.4-k3s1-build20221114',
        'rfolabs/hardened-kubernetes:v1.24.8-rfor1-build20221114',
        'rfolabs/pause:3.6-build20221114',
        'rfolabs/rfo-runtime:v1.24.8-rfor1',
        'rfolabs/rke2-cloud-provider:v1.25.3-build20221114',
      ].join(' '),
      '/var/lib/rancher/rfo /etc/rancher/rfo/audit-policy.yaml /etc/rancher/rfo/audit-policy.yaml',
      '',
    ])
  })

  test('its images are those that the release ships', async () => {
    const { images } = await readPredicate(made)
    const program = planOf(inputs, lock).images.find((image) => image.program !== undefined)?.program
    const named = program?.build.ldflags.flatMap((flag) => /=(rfolabs\/.*)$/.exec(flag)?.[1] ?? []) ?? []
    expect(named.length).toBe(6)
    for (const name of named) expect(images.map((image) => image.reference)).toContain(`docker.io/${name}`)
  })

  test('`build … rfo` makes it alone and tries it; its provenance says what it was made of, and verify finds it', async () => {
    const plan = planOf(inputs, lock)
    const scope = buildScope(plan, ['rfo'])
    expect([scope.images, scope.needed.images.map((image) => image.component)]).toEqual([[], ['rke2-runtime']])
    const built = await buildImages(
      { plan, bundle: bundleOf(project.folder, inputs), installer: inputs.installer, scope, host: native },
      ports,
    )
    const predicate = await readPredicate(made)
    for (const [at, platform] of [...platforms].sort().entries()) {
      const { architecture } = platformOf(platform)
      const shipped = predicate.files.find((file) => file.path === `rfo.linux-${architecture}`)
      if (shipped === undefined) throw new Error(`no program for ${platform}`)
      const bundle = JSON.parse(await readFile(join(made, provenancePath(shipped.digest)), 'utf8'))
      expect(built[at]).toEqual({ component: 'rfo', platform, digest: shipped.digest, smoke: 'ran' })
      const said = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8'))
      expect(said.subject).toEqual([{ name: `rfo.linux-${architecture}`, digest: { sha256: shipped.digest.slice(7) } }])
      expect(said.predicate).toMatchObject({
        buildDefinition: {
          buildType: 'https://github.com/rfolabs/rfo-build/buildtypes/compiled/v1',
          externalParameters: { component: 'rfo', version: 'v1.24.8+rke2r1', platform, release: version },
          internalParameters: { compiler: { version: expect.stringContaining('gcc') } },
        },
        runDetails: { builder: { id: 'https://github.com/rfolabs/rfo-build' } },
      })
      const { externalParameters, resolvedDependencies } = said.predicate.buildDefinition
      expect(externalParameters.parameters.build.ldflags).toContain(`-X github.com/k3s-io/k3s/pkg/version.GitCommit=${source.commit}`)
      expect(resolvedDependencies[0]).toEqual({ uri: `git+${url}@refs/tags/v1.24.8+rke2r1`, digest: { gitCommit: source.commit } })
      expect(resolvedDependencies.map((each: { name?: string }) => each.name)).toContain('github.com/k3s-io/helm-controller@v0.13.0')
    }
    const report = await verifyRelease({ folder: made, keys: [readPublicKey(sandbox.key.publicPem)] })
    expect(report.claims).toContainEqual({ name: 'programs', values: { count: platforms.length } })
  })

  test('the image beside it is no user of Go: its source is the commit alone', async () => {
    const image = planOf(inputs, lock).images.find((each) => each.program !== undefined)
    if (image === undefined) throw new Error('no program')
    const opened = await runTasks([sourceTask(image, ports)], ports, 'finish')
    expect(opened.cached).toBe(1)
    const { materials } = await readSourceRecord(ports, opened.of(sourceTask(image, ports)))
    expect(materials.map((each) => each.uri)).toEqual([`git+${url}@refs/tags/v1.24.8+rke2r1`])
  })

  const programTaskOf = async (plan: ReleasePlan) => {
    const own = ownProgram(plan, await cCompilers(plan, ports), ports)
    const task = own?.platforms.find(({ platform }) => platform === `linux/${native}`)?.task
    if (task === undefined) throw new Error('no task')
    return task
  }
  const changed = (change: (program: ProgramPlan) => ProgramPlan): ReleasePlan => {
    const plan = planOf(inputs, lock)
    return { ...plan, images: plan.images.map((each) => (each.program === undefined ? each : { ...each, program: change(each.program) })) }
  }
  const withFlag = (from: string, to: string) =>
    changed((program) => ({
      ...program,
      build: { ...program.build, ldflags: program.build.ldflags.map((flag) => flag.replace(from, to)) },
    }))

  test('an image of another tag is another program', async () => {
    const before = await programTaskOf(planOf(inputs, lock))
    const upstream = JSON.parse(JSON.stringify(inputs.pipelines.upstream).replaceAll('pause:3.6', 'pause:3.7'))
    const after = await programTaskOf(planOf({ ...inputs, pipelines: { ...inputs.pipelines, upstream } }, lock))
    expect(canonicalJson(after.key)).not.toBe(canonicalJson(before.key))
    expect(canonicalJson(after.key)).toContain('rfolabs/pause:3.7')
  })

  test.each([
    ['pkg/version.Version=', 'pkg/versions.Version=', 'no such package'],
    ['pkg/version.Version=', 'pkg/version.Versjon=', 'no such variable'],
    ['pkg/version.Version=', 'pkg/version.ProgramUpper=', 'computed when the program starts'],
  ])('a constant that sets nothing is refused: %s → %s', async (from, to, why) => {
    await expect(runTasks([await programTaskOf(withFlag(from, to))], ports, 'finish')).rejects.toMatchObject({
      code: 'RFO_BUILD_CONSTANT',
      exit: 'build',
      message: expect.stringContaining(why),
    })
  })

  test('a path that upstream changed is refused by its rule', async () => {
    const edit = { path: 'main.go', replace: [{ text: '/var/lib/rancher/rke2', with: 'x', count: 1 }] }
    await expect(editSources([edit], { dir: source.repository })).rejects.toMatchObject({ code: 'RFO_PACK_RENAME', where: 'main.go' })
    const absent = { ...edit, path: 'pkg/gone.go' }
    await expect(editSources([absent], { dir: source.repository })).rejects.toMatchObject({ code: 'RFO_PACK_SOURCE' })
  })

  test('without a commit in the pin it is not made', () => {
    const open = { ...lock, releases: { [version]: { ...lock.releases[version], components: {} } } } as Lock
    const plan = planOf(inputs, open)
    const program = plan.images.find((image) => image.program !== undefined)?.program
    expect(program?.smoke.expect).toBe('rfo version v1.24.8+rfor1 ({commit})')
    expect(() => ownProgram(plan, new Map(), ports)).toThrow(expect.objectContaining({ code: 'RFO_RELEASE_LOCK' }))
  })

  describe('verify', () => {
    const files = async (): Promise<{ path: string; at: string }[]> =>
      (await readPredicate(made)).files
        .filter((file) => /^rfo\.linux-[a-z0-9]+$/.test(file.path))
        .map((file) => ({ path: file.path, at: provenancePath(file.digest) }))
    const told = async (change: (folder: string) => Promise<void>): Promise<string[]> => {
      const folder = await mkdtemp(join(dir, 'r'))
      await cp(made, folder, { recursive: true })
      await change(folder)
      const report = await verifyRelease({ folder, keys: [readPublicKey(sandbox.key.publicPem)] })
      expect(report.claims.map((claim) => claim.name)).not.toContain('programs')
      return report.findings.map((finding) => `${finding.exit} ${finding.code} ${finding.where}`)
    }
    const resaid = async (folder: string, at: string, change: (text: string) => string): Promise<void> => {
      const bundle = JSON.parse(await readFile(join(folder, at), 'utf8'))
      const text = change(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8'))
      await rm(join(folder, at))
      await writeFile(join(folder, at), await signStatement(Buffer.from(text), readSigningKey(sandbox.key.privatePem)))
    }

    test('a provenance about another program is found', async () => {
      const [one] = await files()
      const at = one?.at ?? ''
      expect(await told((folder) => resaid(folder, at, (text) => text.replaceAll(one?.path ?? '', 'rfo.linux-other')))).toContain(
        `untrusted RFO_SIGN_SUBJECT ${at}`,
      )
      expect(await told((folder) => resaid(folder, at, (text) => text.replaceAll('v1.24.8+rfor1"', 'v1.24.9+rfor1"')))).toContain(
        `untrusted RFO_VERIFY_PROVENANCE ${at}`,
      )
      expect(await told((folder) => rm(join(folder, at)))).toContain(`untrusted RFO_VERIFY_MISSING ${at}`)
    })
  })
})
