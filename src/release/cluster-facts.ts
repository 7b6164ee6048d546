/** What a run says of the cluster it ran in: versions, kernel, images by digest. And whether those are the release's. */
import { z } from 'zod'
import type { ReleasePredicate } from '../attest/release.ts'
import { printableName } from '../conformance/printable.ts'
import { RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { askApi, type TestTarget } from './test-target.ts'

const text = z.string().max(1024)
const Version = z.record(text, z.string().max(1024))
const Nodes = z.object({
  items: z
    .array(
      z.object({
        metadata: z.object({ name: text }),
        status: z.object({
          nodeInfo: z.object({
            architecture: text,
            containerRuntimeVersion: text,
            kernelVersion: text,
            kubeletVersion: text,
            kubeProxyVersion: text,
            operatingSystem: text,
            osImage: text,
          }),
        }),
      }),
    )
    .min(1)
    .max(5000),
})

export interface ClusterFacts {
  readonly server: Readonly<Record<string, string>>
  readonly nodes: readonly Readonly<Record<string, string>>[]
  /** of the release's images that the nodes have: name → digest */
  readonly images: Readonly<Record<string, string>>
  /** of other images: the suite's own */
  readonly others: Readonly<Record<string, string>>
}

export async function clusterFacts(target: TestTarget, release: ReleasePredicate, signal: AbortSignal): Promise<ClusterFacts> {
  const server = Version.parse(await askApi(target, ['get', '--raw', '/version'], signal))
  const nodes = Nodes.parse(await askApi(target, ['get', 'nodes', '-o=json'], signal))
  const present = [...(await target.images())].filter(([name]) => !name.startsWith('sha256:')).sort(([a], [b]) => (a < b ? -1 : 1))
  const shipped = new Set(release.images.map((image) => image.reference))
  const plain = (entries: readonly (readonly [string, string])[]): Record<string, string> =>
    Object.fromEntries(entries.map(([name, digest]) => [printableName(name), printableName(digest)]))
  return {
    server,
    nodes: nodes.items.map(({ metadata, status }) => ({ name: metadata.name, ...status.nodeInfo })),
    images: plain(present.filter(([name]) => shipped.has(name))),
    others: plain(present.filter(([name]) => !shipped.has(name))),
  }
}

/** Throws RFO_TEST_IMAGES (condition): a run of other images says nothing of these. At least one must be the release's. */
export function refuseOtherImages(facts: ClusterFacts, release: ReleasePredicate, platform: PlatformName): void {
  const next = 'install the images of this very release'
  const there = Object.entries(facts.images)
  if (there.length === 0) throw new RfoError('RFO_TEST_IMAGES', 'no image of the release is on the nodes', { exit: 'condition', next })
  for (const [name, digest] of there) {
    const image = release.images.find((each) => each.reference === name)
    const made = image?.platforms[platform]
    // a node knows an image by its index, or by its platform's manifest
    if (digest === image?.digest || (made?.status === 'made' && digest === made.digest)) continue
    throw new RfoError('RFO_TEST_IMAGES', `${name} is ${digest} on the nodes, and another image in the release`, {
      exit: 'condition',
      next,
    })
  }
}

export function factsJson(facts: ClusterFacts, more: Readonly<Record<string, Json>>): Json {
  return {
    ...more,
    server: { ...facts.server },
    nodes: facts.nodes.map((node) => ({ ...node })),
    images: { ...facts.images },
    others: { ...facts.others },
  }
}
