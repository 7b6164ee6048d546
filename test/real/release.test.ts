/**
 * The images of a release that was made from real sources, as they lie in its folder: in containerd for this machine's
 * architecture, under qemu-user for the others, each printing its version. RFO_REAL_RELEASE names the folder; the main job
 * of CI makes it: `release v1.25.4+rfor1 --stand-in bases,mirrors,git,charts,advisories`.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assembleIndex } from '../../src/build/assemble.ts'
import { smoke } from '../../src/build/smoke.ts'
import { takeOut } from '../../src/build/take-out.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import { readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { parseIndex } from '../../src/oci/manifest.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import type { ImagePlan, ReleasePlan } from '../../src/plan/release-plan.ts'
import { findAttached } from '../../src/sign/find.ts'
import { type Containerd, startContainerd } from '../build/containerd.ts'
import { contractFiles, filesOf, readPredicate, withoutListings } from '../release/form.ts'
import { tool } from '../tools.ts'

const folder = process.env.RFO_REAL_RELEASE
if (folder === undefined) {
  process.stderr.write('tests of a real release are skipped: RFO_REAL_RELEASE names none (CI makes one, which takes many minutes and Go)\n')
}
const compiled = [
  'hardened-kubernetes',
  'hardened-containerd',
  'hardened-coredns',
  'hardened-etcd',
  'hardened-k8s-metrics-server',
  'hardened-flannel',
  'hardened-cni-plugins',
  'hardened-runc',
  'helm-controller',
  'pause',
]
const host = process.arch === 'arm64' ? 'arm64' : 'amd64'
const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

/** Predicates of what is attached to an image, as canonical JSON. */
async function attestedTo(layout: LayoutStore, image: Descriptor): Promise<{ sbom: string; provenance: string }> {
  const { referrers } = await findAttached(image, layout)
  const statements = referrers.flatMap(({ layers }) =>
    layers.flatMap(({ bytes }): { predicateType: string; predicate: Json }[] => {
      const bundle = JSON.parse(bytes.toString('utf8')) as { dsseEnvelope?: { payload: string } }
      return bundle.dsseEnvelope === undefined ? [] : [JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8'))]
    }),
  )
  const of = (type: RegExp): string => canonicalJson(statements.find(({ predicateType }) => type.test(predicateType))?.predicate ?? null)
  return { sbom: of(/cyclonedx/), provenance: of(/slsa\.dev\/provenance/) }
}

describe.skipIf(folder === undefined)('a release from real sources', () => {
  let scratch: string
  let layout: LayoutStore
  let plan: ReleasePlan
  let daemon: Containerd | undefined

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'rfo-real-'))
    layout = await openLayout(join(folder ?? '', 'oci'))
    plan = JSON.parse(await readFile(join(folder ?? '', 'plan.json'), 'utf8')) as ReleasePlan
    const tools = { containerd: tool('containerd'), ctr: tool('ctr'), runc: tool('runc') }
    if (process.getuid?.() === 0 && Object.values(tools).every(({ skip }) => !skip))
      daemon = await startContainerd(join(scratch, 'containerd'), tools)
    else process.stderr.write('images are run without containerd: it takes root, containerd, ctr and runc\n')
  }, 120_000)
  afterAll(async () => {
    await daemon?.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  const imageOf = (component: string): ImagePlan => {
    const image = plan.images.find((one) => one.component === component)
    if (image?.smoke === undefined) throw new Error(`${component} has no smoke test`)
    return image
  }
  const manifestOf = async (image: ImagePlan, platform: PlatformName): Promise<Descriptor> => {
    const index = await layout.resolve(image.reference)
    if (index === undefined) throw new Error(`no ${image.reference}`)
    const found = parseIndex(await readBytes(layout, index)).manifests.find(
      (one) => `${one.platform?.os}/${one.platform?.architecture}` === platform,
    )
    if (found === undefined) throw new Error(`${image.reference} has no ${platform}`)
    return found as Descriptor
  }

  test.each(compiled)('%s was compiled, not stood in for', (component) => {
    expect(imageOf(component).locked?.pin.kind).toBe('go-module')
    expect(imageOf(component).locked?.standIn).toBeUndefined()
  })

  test('holds every file of the contract, and no other', async () => {
    const files = withoutListings(await filesOf(folder ?? ''))
    expect(files.filter((path) => !path.startsWith('evidence/test-result.'))).toEqual(
      contractFiles(plan, await readPredicate(folder ?? '')),
    )
  })

  test('the runtime’s kubelet and containerd print the versions of the images that they come from', async () => {
    const runtime = imageOf('rke2-runtime')
    const { expect: wanted } = imageOf('hardened-containerd').smoke ?? { expect: '' }
    for (const platform of plan.platforms) {
      const image = await manifestOf(runtime, platform)
      const request = { image, platform, host, env, workDir: scratch } as const
      const containerd = await smoke({ ...request, argv: ['/bin/containerd', '--version'], expect: wanted }, layout)
      expect(containerd).toContain(wanted)
      const kubelet = await smoke({ ...request, argv: ['/bin/kubelet', '--version'], expect: `Kubernetes ${plan.version}` }, layout)
      expect(kubelet).toContain(plan.version)
    }
  })

  test('runc on every platform holds the libseccomp of the lock, and its SBOM and provenance say so', async () => {
    const runc = imageOf('hardened-runc')
    const library = plan.libraries?.find(({ name }) => name === 'libseccomp')
    if (library?.locked?.pin.kind !== 'archive') throw new Error('runc links libseccomp')
    const { url, digest } = library.locked.pin
    for (const platform of plan.platforms) {
      const image = await manifestOf(runc, platform)
      const argv = ['/usr/local/bin/runc', '--version']
      await smoke({ image, platform, argv, expect: `libseccomp: ${library.version}`, host, env, workDir: scratch }, layout)
    }
    const runtime = imageOf('rke2-runtime')
    for (const image of [runc, runtime]) {
      const said = await attestedTo(layout, await manifestOf(image, `linux/${host}`))
      expect(said.sbom).toContain(`"purl":"pkg:generic/libseccomp@${library.version}?checksum=${encodeURIComponent(digest)}`)
      expect(said.sbom).toContain('"id":"LGPL-2.1-only"')
    }
    const { provenance } = await attestedTo(layout, await manifestOf(runc, `linux/${host}`))
    expect(provenance).toContain(
      JSON.stringify({ digest: { sha256: digest.slice('sha256:'.length) }, name: `libseccomp@${library.version}`, uri: url }),
    )
    expect(provenance).toContain('"tools":{"gperf":"GNU gperf')
  })

  test('the runtime’s runc starts a container, with a filter of system calls that its libseccomp makes', async ({ skip }) => {
    if (process.getuid?.() !== 0) return skip('it takes root')
    const bundle = join(scratch, 'bundle')
    await mkdir(join(bundle, 'rootfs'), { recursive: true })
    const runc = join(bundle, 'runc')
    const runtime = await manifestOf(imageOf('rke2-runtime'), `linux/${host}`)
    expect(await takeOut(runtime, new Map([['/bin/runc', runc]]), layout)).toEqual([])
    const pause = await manifestOf(imageOf('pause'), `linux/${host}`)
    expect(await takeOut(pause, new Map([['/pause', join(bundle, 'rootfs/pause')]]), layout)).toEqual([])
    const call = promisify(execFile)
    await call(runc, ['spec'], { cwd: bundle })
    const config = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))
    const run = async (id: string, syscalls: object[]): Promise<string> => {
      const process_ = { ...config.process, args: ['/pause', '-v'], terminal: false }
      const linux = { ...config.linux, seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls } }
      await writeFile(join(bundle, 'config.json'), JSON.stringify({ ...config, process: process_, linux }))
      return (await call(runc, ['--root', join(scratch, 'runc'), 'run', `rfo-${process.pid}-${id}`], { cwd: bundle })).stdout
    }
    expect(await run('free', [])).toBe(`${imageOf('pause').smoke?.expect}\n`)
    // runc's own part of the container writes to others: https://github.com/opencontainers/runtime-spec/blob/v1.1.0/config-linux.md#seccomp
    const mute = { names: ['write', 'writev'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] }
    expect(await run('mute', [mute])).toBe('')
  })

  for (const component of compiled) {
    test(`${component} runs in containerd, with the digest that was signed`, async ({ skip }) => {
      if (daemon === undefined) return skip()
      const image = imageOf(component)
      const { argv, expect: wanted } = image.smoke ?? { argv: [], expect: '' }
      const manifest = await manifestOf(image, `linux/${host}`)
      const single = await openLayout(join(scratch, component), { create: true })
      await copyGraph([manifest], layout, single, { concurrency: 4 })
      const index = await assembleIndex([manifest], {}, single)
      await single.tag(index, 'smoke')
      const listed = await daemon.importLayout(join(scratch, component), `docker.io/rfolabs/${component}`)
      expect(listed).toContain(index.digest)
      expect(
        await daemon
          .run(`docker.io/rfolabs/${component}:smoke`, component, argv)
          .catch((error: { stdout?: string; stderr?: string }) => `${error.stdout}${error.stderr}`),
      ).toContain(wanted)
    })

    for (const platform of platformNames) {
      test(`${component} on ${platform} prints its version`, async ({ skip }) => {
        if (!plan.platforms.includes(platform)) return skip(`the release was made without ${platform}`)
        const image = imageOf(component)
        const { argv, expect: wanted } = image.smoke ?? { argv: [], expect: '' }
        const output = await smoke(
          { image: await manifestOf(image, platform), platform, argv, expect: wanted, host, env, workDir: scratch },
          layout,
        )
        expect(output).toContain(wanted)
      })
    }
  }
})
