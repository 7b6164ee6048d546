/**
 * OCI image layouts: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md. One process at a time
 * writes a layout; readers may come at any time, since `index.json` changes by rename. Tags are `ref.name` annotations;
 * referrers stand in `index.json` without a name, where oras looks for them.
 */
import { constants } from 'node:fs'
import { lstat, open, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { maxManifestBytes, parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { makeFolder, removeLeftovers, writeFileOnce } from './atomic.ts'
import { type BlobFolder, blobFolder } from './blobs.ts'
import { absent, bytesBody, gather, verified } from './body.ts'
import { describe } from './directory.ts'
import { readBytes } from './read.ts'
import { isGraphNode, listed, type Node, parseNode } from './referrer.ts'
import type { ContentReader, ContentStore } from './store.ts'

export interface LayoutStore extends ContentStore {
  blobPath(digest: Digest): string
  /** What `index.json` lists, in its order, `ref.name` annotations included. */
  entries(): Promise<readonly Descriptor[]>
}

/** bytes; an index.json lists far more than a pushed index may */
export const maxLayoutIndexBytes = 8 * maxManifestBytes
const layoutFile = canonicalJson({ imageLayoutVersion: '1.0.0' })

/** `index.json` in the one spelling that we write and accept: sorted by name, then digest; canonical JSON and nothing else. */
export function layoutIndexBytes(descriptors: readonly Descriptor[]): string {
  const order = (each: Descriptor): string => `${each.annotations?.[annotationKeys.refName] ?? ''}\0${each.digest}`
  const spelt = new Map(descriptors.map((each) => [`${order(each)}\0${canonicalJson(each as unknown as Json)}`, each]))
  const sorted = [...spelt.keys()].sort().map((key) => spelt.get(key) as unknown as Json)
  return canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: sorted })
}

export async function openLayout(dir: string, options: { readonly create?: boolean } = {}): Promise<LayoutStore> {
  if (options.create === true) await create(dir)
  await check(dir)
  const root = await realpath(dir)
  if (options.create === true) await removeLeftovers(root)
  const blobs = blobFolder(root, root)
  const entries = indexReader(root)
  const { node, remember, ...reader } = layoutReader(blobs, entries)
  const list = async (target: Descriptor): Promise<void> => {
    const { subject, listed: entry } = await node(target)
    if (subject === undefined) return
    const { annotations: _, ...bare } = entry
    await change(root, (entries) => (entries.some((each) => each.digest === bare.digest) ? entries : [...entries, bare]))
  }

  return {
    ...reader,
    blobPath: blobs.path,
    entries,
    async push(expected, body) {
      if (!isGraphNode(expected.mediaType)) {
        if (!(await blobs.has(expected))) await blobs.write(expected, body)
        return
      }
      if (!(await blobs.has(expected))) {
        if (expected.size > maxManifestBytes) return await blobs.write(expected, body)
        const bytes = await gather(verified(expected, body))
        remember(expected.digest, parseNode(expected, bytes))
        await blobs.write(expected, bytesBody(bytes))
      }
      // also when the blob was there: a writer may have been killed between the blob and its entry
      await list(expected)
    },
    async tag(target, reference) {
      if (!(await blobs.has(target))) throw absent(target)
      const entry = { ...target, annotations: { ...target.annotations, [annotationKeys.refName]: reference } }
      await change(root, (entries) => [...entries.filter((each) => !isNamed(each, reference)), entry])
    },
  }
}

interface LayoutReader extends ContentReader {
  node(target: Descriptor): Promise<Node>
  remember(digest: Digest, node: Node): void
}

/** A layout wherever its blobs and its `index.json` are read from. */
export function layoutReader(
  blobs: Pick<BlobFolder, 'read' | 'has' | 'size'>,
  entries: () => Promise<readonly Descriptor[]>,
): LayoutReader {
  const nodes = new Map<Digest, Node>()
  const node = async (target: Descriptor): Promise<Node> => {
    const known = nodes.get(target.digest) ?? parseNode(target, await readBytes(reader, target))
    nodes.set(target.digest, known)
    return known
  }
  const reader: LayoutReader = {
    node,
    remember: (digest, known) => void nodes.set(digest, known),
    fetch: blobs.read,
    exists: blobs.has,
    async resolve(reference) {
      const all = await entries()
      const found = all.find((each) => isNamed(each, reference)) ?? all.find((each) => each.digest === reference)
      if (found !== undefined) return unnamed(found)
      if (!isDigest(reference)) return undefined
      const size = await blobs.size(reference)
      return size === undefined ? undefined : await describe({ mediaType: mediaTypes.octets, digest: reference, size }, reader)
    },
    async referrers(subject, artifactType) {
      const found: Descriptor[] = []
      for (const each of await entries()) {
        if (!isGraphNode(each.mediaType)) continue
        const { subject: about, listed: entry } = await node(each)
        if (about?.digest === subject.digest) found.push(entry)
      }
      return listed(found, artifactType)
    },
  }
  return reader
}

function isNamed(entry: Descriptor, reference: string): boolean {
  return entry.annotations?.[annotationKeys.refName] === reference
}

function unnamed(entry: Descriptor): Descriptor {
  const { annotations, ...bare } = entry
  const { [annotationKeys.refName]: _, ...rest } = annotations ?? {}
  return Object.keys(rest).length === 0 ? bare : { ...bare, annotations: rest }
}

async function create(dir: string): Promise<void> {
  await makeFolder(join(dir, 'blobs', 'sha256'))
  const root = await realpath(dir)
  for (const [name, text] of [
    ['index.json', layoutIndexBytes([])],
    ['oci-layout', layoutFile],
  ] as const) {
    const there = await lstat(join(root, name)).catch(() => undefined)
    if (there === undefined) await writeFileOnce(root, bytesBody(Buffer.from(text)), () => join(root, name))
  }
}

/** A layout is hostile input: what it is made of must be folders and files of its own, not links to elsewhere. */
async function check(dir: string): Promise<void> {
  for (const name of ['blobs', join('blobs', 'sha256')]) {
    const found = await lstat(join(dir, name)).catch(() => undefined)
    if (found?.isSymbolicLink()) {
      throw new RfoError('RFO_CONTENT_SYMLINK', 'a symbolic link where a folder of the layout should be', {
        exit: 'untrusted',
        where: join(dir, name),
      })
    }
    if (!found?.isDirectory()) throw noLayout(dir, `no folder ${name}`)
  }
  const bytes = await readSmall(join(dir, 'oci-layout'), dir, 4096)
  let version: unknown
  try {
    version = JSON.parse(bytes.toString('utf8'))?.imageLayoutVersion
  } catch {
    throw noLayout(dir, 'oci-layout is not JSON')
  }
  // https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#oci-layout-file
  if (version !== '1.0.0') throw noLayout(dir, `imageLayoutVersion is ${JSON.stringify(version)?.slice(0, 50)}`)
}

/** Reads `index.json` each time, for another process may have changed it, and parses it where it is not what it was. */
function indexReader(root: string): () => Promise<readonly Descriptor[]> {
  let last: { readonly bytes: Buffer; readonly entries: readonly Descriptor[] } | undefined
  return async () => {
    const bytes = await readSmall(join(root, 'index.json'), root, maxLayoutIndexBytes)
    if (last?.bytes.equals(bytes) !== true) last = { bytes, entries: parseIndex(bytes, maxLayoutIndexBytes).manifests }
    return last.entries
  }
}

async function readSmall(path: string, dir: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((cause) => {
    if (cause.code === 'ENOENT') throw noLayout(dir, `no ${path}`)
    if (cause.code === 'ELOOP') {
      throw new RfoError('RFO_CONTENT_SYMLINK', 'a symbolic link where a file of the layout should be', { exit: 'untrusted', where: path })
    }
    throw new RfoError('RFO_CONTENT_DISK', `can't read: ${cause.code}`, { exit: 'machine', where: path, cause })
  })
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > maxBytes) throw noLayout(dir, `${path} is no file of at most ${maxBytes} bytes`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

function noLayout(dir: string, why: string): RfoError {
  return new RfoError('RFO_CONTENT_LAYOUT', `not an OCI layout: ${why}`, { exit: 'untrusted', where: dir })
}

type Change = (entries: readonly Descriptor[]) => readonly Descriptor[]
const writing = new Map<string, { readonly waiting: Change[]; next: Promise<void> }>()

/** Changes `index.json`: read, changed and renamed by one at a time; those who come meanwhile share the next write. */
async function change(root: string, how: Change): Promise<void> {
  const queued = writing.get(root)
  if (queued !== undefined && queued.waiting.length > 0) {
    queued.waiting.push(how)
    return await queued.next
  }
  const waiting = [how]
  const before = queued?.next ?? Promise.resolve()
  const next = before
    .catch(() => {})
    .then(async () => {
      const changes = waiting.splice(0)
      const old = await indexReader(root)()
      const bytes = layoutIndexBytes(changes.reduce((entries, each) => each(entries), old))
      if (bytes !== layoutIndexBytes(old)) await writeFileOnce(root, bytesBody(Buffer.from(bytes)), () => join(root, 'index.json'))
    })
  const state = { waiting, next }
  writing.set(root, state)
  try {
    await next
  } finally {
    if (writing.get(root) === state) writing.delete(root)
  }
}
