/**
 * The working store (`.rfo`): blobs, tags and referrers as one file each, so that processes need no lock. Whoever writes
 * a blob second writes the same bytes; a tag is the last writer's.
 *
 *     blobs/sha256/<hex>   tags/<name>   referrers/<hex of the subject>/<hex>   tmp/
 */
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, hex, isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { maxManifestBytes, parseDescriptor } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { diskError, makeFolder, removeLeftovers, writeFileOnce } from './atomic.ts'
import { blobFolder } from './blobs.ts'
import { absent, type Body, bytesBody, gather, verified } from './body.ts'
import { readBytes } from './read.ts'
import { isGraphNode, listed, parseNode } from './referrer.ts'
import type { ContentStore } from './store.ts'

export interface DirectoryStore extends ContentStore {
  /** The blob's file: read it, link it, never write it. */
  blobPath(digest: Digest): string
  /** Takes a stream whose digest nobody knows yet: it is hashed on its way to the disk. */
  pushStream(mediaType: string, body: Body, extra?: Partial<Descriptor>): Promise<Descriptor>
  /** The same for a file; it is copied. */
  pushFile(mediaType: string, path: string, extra?: Partial<Descriptor>): Promise<Descriptor>
}

export async function openDirectoryStore(dir: string): Promise<DirectoryStore> {
  const [tagFolder, referrerFolder, temporary] = ['tags', 'referrers', 'tmp'].map((name) => join(dir, name)) as [string, string, string]
  for (const folder of [join(dir, 'blobs', 'sha256'), tagFolder, referrerFolder, temporary]) await makeFolder(folder)
  await removeLeftovers(temporary)
  const blobs = blobFolder(dir, temporary, true)

  const writeDescriptor = async (path: string, target: Descriptor): Promise<void> =>
    await writeFileOnce(temporary, bytesBody(Buffer.from(canonicalJson(target as unknown as Json))), () => path)

  const store: DirectoryStore = {
    blobPath: blobs.path,
    fetch: blobs.read,
    exists: blobs.has,
    async resolve(reference) {
      if (isDigest(reference)) return await resolveDigest(reference)
      return await readDescriptor(join(tagFolder, tagFile(reference)))
    },
    async referrers(subject, artifactType) {
      const folder = join(referrerFolder, hex(subject.digest))
      const names = (await readdir(folder).catch(() => [])).filter((name) => isDigest(`sha256:${name}`))
      const found: Descriptor[] = []
      for (const name of names) {
        const each = await readDescriptor(join(folder, name))
        // the entry is written before its manifest, so that a killed writer can leave no manifest that is not listed
        if (each !== undefined && (await blobs.has(each))) found.push(each)
      }
      return listed(found, artifactType)
    },
    async push(expected, body) {
      if (await blobs.has(expected)) return
      if (!isGraphNode(expected.mediaType) || expected.size > maxManifestBytes) return await blobs.write(expected, body)
      const bytes = await gather(verified(expected, body))
      const node = parseNode(expected, bytes)
      if (node.subject !== undefined) {
        const folder = join(referrerFolder, hex(node.subject.digest))
        await makeFolder(folder)
        await writeDescriptor(join(folder, hex(expected.digest)), node.listed)
      }
      await blobs.write(expected, bytesBody(bytes))
    },
    async tag(target, reference) {
      if (!(await blobs.has(target))) throw absent(target)
      await writeDescriptor(join(tagFolder, tagFile(reference)), target)
    },
    async pushStream(mediaType, body, extra = {}) {
      return { ...extra, mediaType, ...(await blobs.take(body)) }
    },
    async pushFile(mediaType, path, extra = {}) {
      return await store.pushStream(mediaType, createReadStream(path, { highWaterMark: 1024 * 1024 }), extra)
    },
  }

  /** A digest names bytes alone: what kind of bytes, a manifest says itself. */
  async function resolveDigest(digest: Digest): Promise<Descriptor | undefined> {
    const size = await blobs.size(digest)
    if (size === undefined) return undefined
    return await describe({ mediaType: mediaTypes.octets, digest, size }, store)
  }

  return store
}

/** A descriptor with the media type that the bytes themselves claim, when they are a manifest or an index. */
export async function describe(target: Descriptor, from: Pick<ContentStore, 'fetch'>): Promise<Descriptor> {
  if (target.size > maxManifestBytes) return target
  try {
    const bytes = await readBytes(from as ContentStore, target)
    if (bytes[0] !== 0x7b) return target
    const { mediaType, config, layers, manifests } = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof mediaType === 'string' && isGraphNode(mediaType)) return { ...target, mediaType }
    if (Array.isArray(manifests)) return { ...target, mediaType: mediaTypes.index }
    if (Array.isArray(layers) && config !== undefined) return { ...target, mediaType: mediaTypes.manifest }
    return target
  } catch (cause) {
    if (cause instanceof SyntaxError) return target
    throw cause
  }
}

/** One file a tag: the name escaped as in a URL, or its digest where a file name would get too long. */
function tagFile(reference: string): string {
  // `%.` can't come out of encodeURIComponent, so neither name can be another reference's
  const escaped = encodeURIComponent(reference.toWellFormed()).replace(/^\.+$/, (dots) => `%.${dots.length}`)
  return escaped.length <= 200 && escaped !== '' ? escaped : `%.sha256-${hex(digestOf(reference))}`
}

async function readDescriptor(path: string): Promise<Descriptor | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw diskError(cause, path)
  })
  if (bytes === undefined) return undefined
  try {
    return parseDescriptor(JSON.parse(bytes.toString('utf8')), path)
  } catch (cause) {
    throw new RfoError('RFO_CONTENT_TAG', 'not a descriptor', { exit: 'untrusted', where: path, cause, next: `remove ${path}` })
  }
}
