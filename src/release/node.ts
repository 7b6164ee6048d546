/** A release's own programs and images as a node: nothing that a cluster of it runs comes from elsewhere unless the release says so. */
import { copyFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { ReleaseImage, ReleasePredicate } from '../attest/release.ts'
import { takeOut } from '../build/take-out.ts'
import type { NodeImage } from '../cluster/archive.ts'
import type { LayoutStore } from '../content/layout.ts'
import { openLayout } from '../content/layout.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { onPath } from './preflight.ts'

/** Component → absolute path in its image → name on the node. */
const programs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'hardened-kubernetes': Object.fromEntries(
    ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler', 'kubectl', 'kubelet'].map((name) => [
      `/usr/local/bin/${name}`,
      name,
    ]),
  ),
  'hardened-etcd': { '/usr/local/bin/etcd': 'etcd' },
  'rke2-runtime': Object.fromEntries(['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'].map((name) => [`/bin/${name}`, name])),
  pause: { '/pause': 'pause' },
}
const cniComponent = 'hardened-cni-plugins'
const cniPlugins = ['host-local', 'loopback', 'portmap', 'ptp']
const dnsComponent = 'hardened-coredns'

/** A program that this machine gives where the release only stands in for one. */
const replaceable = { component: 'hardened-runc', program: 'runc' } as const

export interface ReleaseNode {
  put(into: { readonly programs: string; readonly cniPlugins: string }): Promise<void>
  readonly images: readonly NodeImage[]
  readonly pause: string
  readonly dns: string
  /** component → digest of the platform's image that programs of the node were taken out of */
  readonly programs: Readonly<Record<string, Digest>>
  /** programs of the machine that took part, one phrase each */
  readonly standIns: readonly string[]
}

/** `folder` has been verified by whoever calls. Throws RFO_TEST_NODE (exit condition) when the release has not all of a node. */
export async function releaseNode(
  folder: string,
  release: ReleasePredicate,
  platform: PlatformName,
  env: Readonly<Record<string, string>>,
): Promise<ReleaseNode> {
  const layout = await openLayout(join(folder, 'oci'))
  const pause = imageOf(release, 'pause')
  const dns = imageOf(release, dnsComponent)
  const withoutRunc = release.images.find((image) => image.component === replaceable.component)?.standIn !== undefined
  const runc = withoutRunc ? await hostProgram(replaceable.program, env) : undefined
  return {
    pause: pause.reference,
    dns: dns.reference,
    images: [pause, dns].map((image) => ({ names: [image.reference], target: indexOf(image), from: layout })),
    programs: Object.fromEntries([...Object.keys(programs), cniComponent].sort().map((name) => [name, madeFor(release, name, platform)])),
    standIns: runc === undefined ? [] : [`runc: the machine’s ${runc}, since the release only stands in for one`],
    async put(into) {
      for (const [component, paths] of Object.entries(programs)) {
        const wanted = Object.entries(paths).map(([path, name]) => [path, join(into.programs, name)] as const)
        await take(layout, release, component, platform, new Map(wanted))
      }
      const plugins = cniPlugins.map((name) => [`/opt/cni/bin/${name}`, join(into.cniPlugins, name)] as const)
      await take(layout, release, cniComponent, platform, new Map(plugins))
      if (runc !== undefined) await copyFile(runc, join(into.programs, replaceable.program))
    },
  }
}

function imageOf(release: ReleasePredicate, component: string): ReleaseImage {
  const image = release.images.find((each) => each.component === component)
  if (image === undefined) throw incomplete(`the release has no ${component}`)
  return image
}

function indexOf({ digest, size }: ReleaseImage): Descriptor {
  return { mediaType: mediaTypes.index, digest, size }
}

async function take(
  layout: LayoutStore,
  release: ReleasePredicate,
  component: string,
  platform: PlatformName,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  const [absent] = await takeOut(await manifest(layout, madeFor(release, component, platform)), wanted, layout)
  if (absent !== undefined) throw incomplete(`${component} has no ${absent}`)
}

function madeFor(release: ReleasePredicate, component: string, platform: PlatformName): Digest {
  const made = imageOf(release, component).platforms[platform]
  if (made?.status !== 'made') throw incomplete(`${component} is not made for ${platform}`)
  return made.digest
}

async function manifest(layout: LayoutStore, digest: Digest): Promise<Descriptor> {
  const found = await layout.resolve(digest)
  if (found === undefined) throw incomplete(`no ${digest} in oci/`)
  return found
}

async function hostProgram(name: string, env: Readonly<Record<string, string>>): Promise<string> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && (await onPath(name, { PATH: folder }))) return join(folder, name)
  }
  throw new RfoError('RFO_TEST_NODE', `the release only stands in for ${name}, and there is none on the PATH`, {
    exit: 'machine',
    next: `install ${name}`,
  })
}

function incomplete(what: string): RfoError {
  return new RfoError('RFO_TEST_NODE', `no node can be made: ${what}`, {
    exit: 'condition',
    next: 'choose a release and a platform that have all of a node',
  })
}
