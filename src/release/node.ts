/** A release's own programs and images as a node: no program of Kubernetes, nor of what runs containers, comes from elsewhere. */
import { join } from 'node:path'
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

/** Component → absolute path in its image → name on the node. */
const programs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'hardened-kubernetes': Object.fromEntries(
    ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler', 'kubectl', 'kubelet'].map((name) => [
      `/usr/local/bin/${name}`,
      name,
    ]),
  ),
  'hardened-etcd': { '/usr/local/bin/etcd': 'etcd', '/usr/local/bin/etcdctl': 'etcdctl' },
  'rke2-runtime': Object.fromEntries(['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'].map((name) => [`/bin/${name}`, name])),
  pause: { '/pause': 'pause' },
}
const cniComponent = 'hardened-cni-plugins'
const cniPlugins = ['host-local', 'loopback', 'portmap', 'ptp']
const dnsComponent = 'hardened-coredns'

/** Whose programs run: those above, and what the runtime image carries. Its own source is that of its charts, which a node has not. */
const running = ['hardened-kubernetes', 'hardened-etcd', 'hardened-containerd', 'hardened-runc', 'pause', cniComponent, dnsComponent]

export interface ReleaseNode {
  put(into: { readonly programs: string; readonly cniPlugins: string }): Promise<void>
  readonly images: readonly NodeImage[]
  readonly pause: string
  readonly dns: string
  /** of another component; undefined where the release has none that is more than a stand-in */
  image(component: string): NodeImage | undefined
  /** component → digest of the platform's image that programs of the node were taken out of */
  readonly programs: Readonly<Record<string, Digest>>
}

/**
 * `folder` has been verified by whoever calls. Throws RFO_TEST_NODE (exit condition) when the release has not all of a node, or
 * only stands in for a program of it.
 */
export async function releaseNode(folder: string, release: ReleasePredicate, platform: PlatformName): Promise<ReleaseNode> {
  const [standIn] = running.filter((component) => standsIn(release, component))
  if (standIn !== undefined) throw incomplete(`the release only stands in for ${standIn}`)
  const layout = await openLayout(join(folder, 'oci'))
  const pause = imageOf(release, 'pause')
  const dns = imageOf(release, dnsComponent)
  return {
    pause: pause.reference,
    dns: dns.reference,
    images: [pause, dns].map((image) => nodeImage(image, layout)),
    image(component) {
      const found = release.images.find((each) => each.component === component)
      if (found?.platforms[platform]?.status !== 'made' || standsIn(release, component)) return undefined
      return nodeImage(found, layout)
    },
    programs: Object.fromEntries([...Object.keys(programs), cniComponent].sort().map((name) => [name, madeFor(release, name, platform)])),
    async put(into) {
      for (const [component, paths] of Object.entries(programs)) {
        const wanted = Object.entries(paths).map(([path, name]) => [path, join(into.programs, name)] as const)
        await take(layout, release, component, platform, new Map(wanted))
      }
      const plugins = cniPlugins.map((name) => [`/opt/cni/bin/${name}`, join(into.cniPlugins, name)] as const)
      await take(layout, release, cniComponent, platform, new Map(plugins))
    },
  }
}

/** An image names the stand-ins of its bases, too; a base only lies around the program. */
function standsIn(release: ReleasePredicate, component: string): boolean {
  const { standIn, platforms } = imageOf(release, component)
  const made = release.platforms.filter((platform) => platforms[platform]?.status === 'made')
  const ofBases = [...new Set(made.flatMap((platform) => release.bases[platform]?.standIn ?? []))].join('; ')
  return standIn !== undefined && standIn !== ofBases
}

function imageOf(release: ReleasePredicate, component: string): ReleaseImage {
  const image = release.images.find((each) => each.component === component)
  if (image === undefined) throw incomplete(`the release has no ${component}`)
  return image
}

function nodeImage(image: ReleaseImage, from: LayoutStore): NodeImage {
  return { names: [image.reference], target: indexOf(image), from }
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

function incomplete(what: string): RfoError {
  return new RfoError('RFO_TEST_NODE', `no node can be made: ${what}`, {
    exit: 'condition',
    next: 'choose a release and a platform that have all of a node',
  })
}
