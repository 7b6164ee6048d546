/**
 * The images of a release that was made from real sources, as they lie in its folder: in containerd for this machine's
 * architecture, under qemu-user for the others, each printing its version. RFO_REAL_RELEASE names the folder; the main job
 * of CI makes it: `release v1.25.4+rfor1 --stand-in bases,mirrors,git,charts`.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assembleIndex } from '../../src/build/assemble.ts'
import { smoke } from '../../src/build/smoke.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import { readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { parseIndex } from '../../src/oci/manifest.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import type { ImagePlan, ReleasePlan } from '../../src/plan/release-plan.ts'
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
  'helm-controller',
  'pause',
]
const host = process.arch === 'arm64' ? 'arm64' : 'amd64'
const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

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
