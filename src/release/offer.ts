/** A verified release as what is served: its files, an index for helm, and its images by the names that nodes ask for. */
import { stringify } from 'yaml'
import type { ReleasePredicate } from '../attest/release.ts'
import { bytesBody } from '../content/body.ts'
import { readBytes } from '../content/read.ts'
import { isGraphNode, listed, parseNode } from '../content/referrer.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { maxManifestBytes, parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { parseReference } from '../oci/reference.ts'
import { readChartArchive } from '../pack/chart-archive.ts'
import { chartNameOf } from '../pack/chart-provenance.ts'
import { metadataOf } from '../pack/chart-yaml.ts'
import type { Offer, OfferedFile } from '../serve/offer.ts'
import { blobDigest, blobsOf, type ReleaseFiles, smallFile } from './shelf.ts'
import { isChart } from './signed-paths.ts'

/** bytes; as a reader of layouts takes them */
const maxLayoutIndexBytes = 8 * maxManifestBytes
/** bytes; etcd, where charts end up, refuses 1.5 MiB */
const maxChartBytes = 8 * 1024 * 1024
const helmIndex = 'charts/index.yaml'

/** `predicate` is of the statement that has been verified: what `from` says of its files is held against it. */
export async function offerRelease(from: ReleaseFiles, predicate: ReleasePredicate): Promise<Offer> {
  const files = new Map<string, OfferedFile>(from.files.map((file) => [file.path, file]))
  for (const { path, digest, size } of predicate.files) {
    const file = files.get(path)
    if (file?.digest !== digest || file.size !== size)
      throw new RfoError('RFO_SERVE_CHANGED', 'the release has changed since it was verified', { exit: 'untrusted', where: path })
  }
  const index = await chartIndex(from, predicate)
  if (index !== undefined) files.set(helmIndex, { path: helmIndex, size: index.length, digest: digestOf(index) })
  const blobs = new Map(from.files.flatMap((file) => (blobDigest(file.path) === undefined ? [] : [[file.digest, file] as const])))
  return {
    files,
    blobs,
    ...(await images(from, predicate)),
    open(file, range) {
      if (file.path === helmIndex && index !== undefined) return bytesBody(index.subarray(range?.start, range?.end))
      return from.open(file, range)
    },
  }
}

async function images(from: ReleaseFiles, predicate: ReleasePredicate): Promise<Pick<Offer, 'nodes' | 'tags' | 'referrers'>> {
  const blobs = blobsOf(from)
  const nodes = new Map<Digest, Descriptor>()
  const referring = new Map<Digest, Descriptor[]>()
  const tags = new Map<string, Map<string, Digest>>()
  /** Gives the digests of all manifests below. */
  const visit = async (target: Descriptor): Promise<Digest[]> => {
    if (!isGraphNode(target.mediaType)) return []
    const { mediaType, digest, size } = target
    const node = parseNode(target, await readBytes(blobs, target))
    if (node.subject !== undefined && !nodes.has(digest))
      referring.set(node.subject.digest, [...(referring.get(node.subject.digest) ?? []), node.listed])
    nodes.set(digest, { mediaType, digest, size })
    return [digest, ...(await Promise.all(node.children.map(visit))).flat()]
  }
  const repositories = new Map<Digest, Set<string>>()
  for (const { reference, digest, size } of predicate.images) {
    const { repository, tag } = parseReference(reference)
    const named = tags.get(repository) ?? new Map<string, Digest>()
    tags.set(repository, named)
    if (tag !== undefined) named.set(tag, digest)
    for (const each of await visit({ mediaType: mediaTypes.index, digest, size }))
      repositories.set(each, (repositories.get(each) ?? new Set()).add(repository))
  }
  for (const entry of await listedBeside(from)) {
    await visit(entry)
    const name = entry.annotations?.[annotationKeys.refName] ?? ''
    // cosign 2 ties a signature to an image by a tag beside it alone
    const subject = /^sha256-([0-9a-f]{64})\.(?:sig|att)$/.exec(name)?.[1]
    for (const repository of repositories.get(`sha256:${subject}` as Digest) ?? []) tags.get(repository)?.set(name, entry.digest)
    // charts as artifacts have a name without a host
    const [, chart, tag] = /^(charts\/[^:]+):([^:]+)$/.exec(name) ?? []
    if (chart !== undefined && tag !== undefined) tags.set(chart, (tags.get(chart) ?? new Map<string, Digest>()).set(tag, entry.digest))
  }
  return { nodes, tags, referrers: new Map([...referring].map(([subject, all]) => [subject, listed(all)])) }
}

/** What the layout lists besides images. Nothing vouches for the list but `verify`; each entry is what its digest says, and proves itself. */
async function listedBeside(from: ReleaseFiles): Promise<readonly Descriptor[]> {
  const bytes = await smallFile(from, 'oci/index.json', maxLayoutIndexBytes)
  return bytes === undefined ? [] : parseIndex(bytes, maxLayoutIndexBytes).manifests
}

/** https://helm.sh/docs/topics/chart_repository/#the-index-file; undefined = no charts. The same release gives the same bytes. */
async function chartIndex(from: ReleaseFiles, predicate: ReleasePredicate): Promise<Buffer | undefined> {
  const created = new Date(predicate.epoch * 1000).toISOString()
  const entries: Record<string, object[]> = {}
  for (const { path, digest } of predicate.files.filter((file) => isChart(file.path)).sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const tgz = await smallFile(from, path, maxChartBytes)
    if (tgz === undefined) continue
    const name = chartNameOf(path)
    const chart = (await readChartArchive(tgz, name)).get('Chart.yaml')
    if (chart === undefined) throw new RfoError('RFO_SERVE_CHART', 'a chart without Chart.yaml', { exit: 'untrusted', where: path })
    const row = { ...metadataOf(chart, name), created, digest: hex(digest), urls: [path.slice('charts/'.length)] }
    entries[name] = [...(entries[name] ?? []), row]
  }
  if (Object.keys(entries).length === 0) return undefined
  return Buffer.from(stringify({ apiVersion: 'v1', entries, generated: created }, { sortMapEntries: true, lineWidth: 0 }))
}
