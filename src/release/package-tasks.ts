/** Pinned RPMs → a layer between base and programs; images that need the same on the same base share it. */
import { compressLayer, layerEncoder } from '../build/compress.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { type BaseImage, readBaseImage } from '../inspect/base-image.ts'
import { rpmPurl } from '../inspect/purl.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, hex, isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import { imageEpoch } from '../plan/day.ts'
import { type NamedRpm, packageWishes, pinnedRpms } from '../plan/os-packages.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { type InstalledPackage, packagesLayer } from '../rpm/install/layer.ts'
import { download } from '../source/download.ts'
import { given } from './given.ts'
import type { ReleasePorts } from './ports.ts'
import { unpinned } from './source-task.ts'

/** What the layer's packages are, as provenance will say it. */
export interface PackageRecord {
  readonly materials: readonly { readonly uri: string; readonly digest: { readonly sha256: string }; readonly name: string }[]
  /** what rpm would have done at installation, and nobody did: package → what */
  readonly notDone: Readonly<Record<string, readonly string[]>>
}

export interface PackagesLayer {
  readonly layer: Descriptor
  readonly diffId: Digest
}

/** Downloads at once, of one layer */
const concurrency = 4
const maxRecordBytes = 16 * 1024 * 1024

/** One task for each image and platform that asks for packages which the base has not. */
export function packageTasks(
  plan: ReleasePlan,
  ports: ReleasePorts,
): (image: ImagePlan, platform: PlatformName, base: Task) => Task | undefined {
  const wishes = new Map(packageWishes(plan).map((wish) => [wish.what, wish]))
  const bases = new Map<Digest, Promise<BaseImage>>()
  const made = new Map<string, Task>()
  const baseImage = (manifest: Descriptor, signal: AbortSignal): Promise<BaseImage> => {
    const known = bases.get(manifest.digest)
    if (known !== undefined) return known
    const read = readBaseImage(manifest, ports.store, { tempDir: ports.workDir, signal })
    bases.set(manifest.digest, read)
    return read
  }
  return (image, platform, base) => {
    const what = `packages/${image.component}/${platform}`
    if (!wishes.has(what)) return undefined
    const rpms = pinnedRpms(plan.packages?.[platform], image.component)
    if (rpms === undefined) throw unpinned(`packages of ${image.component} for ${platform}`)
    if (rpms.length === 0) return undefined
    const epoch = imageEpoch(plan, image)
    const name = `${platform} ${image.layers} ${epoch} ${digestOf(canonicalJson(rpms as unknown as Json))}`
    const known = made.get(name)
    if (known !== undefined) return known
    const task = layerTask(what, rpms, image.layers, platform, base, { epoch, ports, baseImage })
    made.set(name, task)
    return task
  }
}

function layerTask(
  id: string,
  rpms: readonly NamedRpm[],
  encoding: ImagePlan['layers'],
  platform: PlatformName,
  base: Task,
  {
    epoch,
    ports,
    baseImage,
  }: {
    /** seconds; every time stamp in the layer */
    readonly epoch: number
    readonly ports: ReleasePorts
    readonly baseImage: (manifest: Descriptor, signal: AbortSignal) => Promise<BaseImage>
  },
): Task {
  return {
    id,
    needs: { base },
    key: { rule: 'packages@1', rpms: rpms as unknown as Json, platform, encoding, encoder: layerEncoder, epoch },
    lane: 'cpu',
    async run(inputs, at) {
      const { env, addresses, workDir } = ports
      const files: { nevra: string; file: string }[] = []
      for (let from = 0; from < rpms.length; from += concurrency) {
        const some = rpms.slice(from, from + concurrency).map(async ({ nevra, url, digest, size }) => {
          const { file } = await download({ url, addresses, env, workDir, expected: { digest, size }, signal: at.signal })
          return { nevra, file }
        })
        files.push(...(await Promise.all(some)))
      }
      const found = await baseImage(given(inputs['base']), at.signal)
      const arch = architectures[platformOf(platform).architecture].rpm
      const made = await packagesLayer({ rpms: files, base: found, arch, epoch, decompress: { env, signal: at.signal } })
      const tar = await ports.store.pushStream(mediaTypes.layerTar, made.tar())
      const { layer, diffId } = await compressLayer(tar, encoding, ports.store, { workDir, signal: at.signal })
      const record = await pushBytes(ports.store, mediaTypes.json, canonicalJson(recordOf(made.packages, rpms, found) as unknown as Json))
      for (const [nevra, what] of Object.entries(notDone(made.packages))) at.log(`${nevra}: not done: ${what.join(', ')}`)
      const index = {
        schemaVersion: 2,
        mediaType: mediaTypes.index,
        manifests: [{ ...layer, annotations: { [diffIdKey]: diffId } }, record],
      }
      return await pushBytes(ports.store, mediaTypes.index, canonicalJson(index as unknown as Json))
    },
  }
}

/** Inside a task's result alone: a layer's descriptor does not say what it unpacks to. */
const diffIdKey = 'io.rfolabs.rfo.diff-id'

function recordOf(packages: readonly InstalledPackage[], rpms: readonly NamedRpm[], base: BaseImage): PackageRecord {
  const materials = packages.map(({ nevra, facts }) => {
    const pin = rpms.find((each) => each.nevra === nevra)
    if (pin === undefined) throw unpinned(nevra)
    const [, epoch, version = '', release = ''] = /^(?:(\d+):)?([^-]*)-([^-]*)$/.exec(facts.evr) ?? []
    const { name, arch, sourceRpm } = facts
    const purl = rpmPurl({ name, ...(epoch === undefined ? {} : { epoch: Number(epoch) }), version, release, arch, sourceRpm }, base.os)
    return { uri: purl ?? pin.url, digest: { sha256: hex(pin.digest) }, name: nevra }
  })
  return { materials, notDone: notDone(packages) }
}

function notDone(packages: readonly InstalledPackage[]): Record<string, readonly string[]> {
  return Object.fromEntries(
    packages.flatMap(({ nevra, facts, unknownOwners }): [string, string[]][] => {
      const capable = facts.fileFacts
        .filter(({ capabilities }) => capabilities !== '')
        .map(({ path, capabilities }) => `${path} without ${capabilities}`)
      const what = [...facts.scriptlets, ...unknownOwners.map((owner) => `no ${owner}: root’s instead`), ...capable]
      return what.length === 0 ? [] : [[nevra, what]]
    }),
  )
}

/** The two parts of a packages task's result. */
async function partsOf(result: Descriptor, ports: ReleasePorts): Promise<readonly [Descriptor, Descriptor]> {
  const { manifests } = (await readJson(ports.store, result)) as { readonly manifests: readonly Descriptor[] }
  const [layer, record] = manifests
  if (layer === undefined || record === undefined) throw new Error('a packages task gives a layer and a record')
  return [layer, record]
}

export async function readPackagesLayer(result: Descriptor, ports: ReleasePorts): Promise<PackagesLayer> {
  const [{ annotations, ...layer }] = await partsOf(result, ports)
  const diffId = annotations?.[diffIdKey]
  if (diffId === undefined || !isDigest(diffId)) throw new Error('a packages task gives the layer’s diff_id')
  return { layer, diffId }
}

export async function readPackageRecord(result: Descriptor, ports: ReleasePorts): Promise<PackageRecord> {
  const [, record] = await partsOf(result, ports)
  return JSON.parse(Buffer.from(await readBytes(ports.store, record, maxRecordBytes)).toString('utf8')) as PackageRecord
}
