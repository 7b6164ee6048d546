/** What a node has, held against the signed statement: its containerd, or its folder of images. Asked, and nothing is changed. */
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import { imagesIn } from '../daemon/containerd.ts'
import type { ContainerdPlace } from '../daemon/place.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { archiveFacts, isArchive } from './image-folder/archive.ts'
import { formatOf } from './image-folder/reader.ts'
import { legacyGroups } from './lists.ts'
import type { LoadState } from './load.ts'
import { heldByDocker } from './load-docker.ts'
import { type Beside, type FolderNote, folderState, type NodeSelection } from './load-folder.ts'
import type { ReleaseFiles } from './shelf.ts'
import { fullName, heldImages, signedImages } from './signed-images.ts'

export interface Compared {
  /** an image's reference, or an archive's path */
  readonly name: string
  /** the signed one */
  readonly digest: Digest
  /** `other`: its name is there and is not what was signed. */
  readonly state: LoadState
}

export interface NodeCompared {
  readonly compared: readonly Compared[]
  /** archives that nothing here can look into: bzip2, lz4 */
  readonly unread: readonly string[]
  readonly beside: readonly Beside[]
  readonly notes: readonly FolderNote[]
}

export interface Asked {
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Images of groups that are not asked for may be absent; where they are there, they are what was signed. */
export async function compareContainerd(
  place: ContainerdPlace,
  predicate: ReleasePredicate,
  platform: PlatformName,
  groups: readonly string[] = legacyGroups,
  { env, signal }: Asked,
): Promise<NodeCompared> {
  const held = await imagesIn(place, { env, signal })
  const asked = new Set(signedImages(predicate, platform, groups).map(({ reference }) => reference))
  const all = signedImages(predicate, platform, [...new Set(predicate.images.flatMap((image) => image.groups))])
  const compared = heldImages(all, held).map(({ reference, ...image }) => ({ name: reference, ...image }))
  return { compared: compared.filter(({ name }) => asked.has(name) || held.has(name)), unread: [], beside: [], notes: [] }
}

/** As containerd's. What Docker knows an image by stands in its manifest, so `files` must hold that; the statement has its digest. */
export async function compareDocker(
  files: ReleaseFiles,
  predicate: ReleasePredicate,
  platform: PlatformName,
  groups: readonly string[] = legacyGroups,
  options: Asked,
): Promise<NodeCompared> {
  const asked = new Set(signedImages(predicate, platform, groups).map(({ reference }) => reference))
  const every = [...new Set(predicate.images.flatMap((image) => image.groups))]
  const held = await heldByDocker({ files, predicate }, platform, every, options)
  const compared = held.map(({ reference, ...image }) => ({ name: reference, ...image }))
  return { compared: compared.filter(({ name, state }) => asked.has(name) || state !== 'missing'), unread: [], beside: [], notes: [] }
}

/** Archives by their bytes; whatever lies beside them, by the images that it would bring under the release's names. */
export async function compareFolder(
  folder: string,
  predicate: ReleasePredicate,
  selection: NodeSelection,
  signal: AbortSignal,
): Promise<NodeCompared> {
  const { files, beside, notes } = await folderState(folder, predicate, selection)
  const compared: Compared[] = files.map(({ path, digest, state }) => ({ name: path, digest, state }))
  const signed = signedByName(predicate)
  const unread: string[] = []
  for (const { path } of beside) {
    const file = path.slice(folder.length + 1)
    const format = formatOf(file)
    if (format === 'bzip2' || format === 'lz4') unread.push(path)
    if (format === undefined || !isArchive(format)) continue
    const { docker, oci } = await archiveFacts(join(folder, file), file, format, signal)
    for (const name of new Set([...(oci?.keys() ?? []), ...(docker?.keys() ?? [])])) {
      const wanted = signed.get(fullName(name))
      const found = oci?.get(name)
      // a docker-archive names no manifest: nothing says that it is the signed one
      if (wanted !== undefined && (found === undefined || !wanted.includes(found)))
        compared.push({ name: `${path} ${name}`, digest: wanted[0] as Digest, state: 'other' })
    }
  }
  return { compared, unread, beside, notes }
}

/** Name → the index that was signed, and the images in it. */
function signedByName({ images }: ReleasePredicate): ReadonlyMap<string, readonly Digest[]> {
  return new Map(
    images.map(({ reference, digest, platforms }) => [
      fullName(reference),
      [digest, ...Object.values(platforms).flatMap((one) => (one.status === 'made' ? [one.digest] : []))],
    ]),
  )
}
