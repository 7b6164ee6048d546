/** The files of a release, wherever they lie: as a folder has them, or as one archive. Who reads them need not know. */
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ReleasePredicate } from '../attest/release.ts'
import { gather, verified } from '../content/body.ts'
import type { ContentFile, Range } from '../content/file.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex, isDigest } from '../oci/digest.ts'
import { parseJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { maxStatementBytes, statementPath } from './verify/files.ts'
import { hashFile, readTree } from './verify/tree.ts'

/** Its digest is what the statement, the blob's name, or who made the archive says. */
export type ReleaseFile = ContentFile

export interface ReleaseFiles {
  /** for messages */
  readonly where: string
  /** each once, in the order in which they are read best */
  readonly files: readonly ReleaseFile[]
  /** A whole file is verified while it streams and throws RFO_CONTENT_DIGEST; of a range nobody can say whether it is right. */
  open(file: ReleaseFile, range?: Range): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export const blobFolder = 'oci/blobs/sha256/'

/** The digest that a blob's name says; undefined = no blob. */
export function blobDigest(path: string): Digest | undefined {
  const digest = `sha256:${path.slice(blobFolder.length)}`
  return path.startsWith(blobFolder) && isDigest(digest) ? digest : undefined
}

/** Programs and scripts: what a person or an installer runs. */
export function isExecutable(path: string): boolean {
  return /(^|\/)(rfo\.linux-[a-z0-9]+|[^/]+\.sh)$/.test(path)
}

/** A folder: small files that no list covers are hashed now, all others when they are read. Throws RFO_VERIFY_ABSENT, RFO_VERIFY_KIND. */
export async function folderFiles(folder: string): Promise<ReleaseFiles> {
  const tree = await readTree(folder)
  const [odd] = tree.findings
  if (odd !== undefined) throw odd
  const predicate = parseStatement(await readFile(join(folder, statementPath)).catch(() => undefined), folder)
  const listed = new Map(predicate.files.map((file) => [file.path, file.digest]))
  const files: ReleaseFile[] = []
  for (const path of tree.files) {
    const { size } = await stat(join(folder, path))
    files.push({ path, size, digest: listed.get(path) ?? blobDigest(path) ?? (await hashFile(join(folder, path), false)).digest })
  }
  return {
    where: folder,
    files,
    open: (file, range) => {
      if (range !== undefined && range.end <= range.start) return nothing()
      const limits = range === undefined ? {} : { start: range.start, end: range.end - 1 }
      const bytes = readable(join(folder, file.path), limits)
      return range === undefined ? verified(descriptorOf(file), bytes) : bytes
    },
    close: async () => {},
  }
}

/** What release.json says. Nothing vouches for it here. */
export function parseStatement(bytes: Uint8Array | undefined, where: string): ReleasePredicate {
  if (bytes === undefined || bytes.length > maxStatementBytes)
    throw new RfoError('RFO_SHELF_STATEMENT', 'there is no release statement', { exit: 'usage', where, next: 'give a signed release' })
  const said = parseJson(new TextDecoder().decode(bytes)) as { readonly predicate?: unknown } | null
  const parsed = ReleasePredicate.safeParse(said?.predicate)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new RfoError('RFO_SHELF_STATEMENT', `not a release statement: ${issue?.path.join('.')}: ${issue?.message}`.slice(0, 300), {
    exit: 'untrusted',
    where,
  })
}

/** A small file whole, verified; undefined when it is absent. */
export async function smallFile(from: ReleaseFiles, path: string, maxBytes: number): Promise<Buffer | undefined> {
  const file = from.files.find((each) => each.path === path)
  if (file === undefined) return undefined
  if (file.size > maxBytes)
    throw new RfoError('RFO_SHELF_SIZE', `${file.size} bytes, more than ${maxBytes}`, { exit: 'untrusted', where: path })
  return await gather(from.open(file))
}

/** The blobs of its layout. */
export function blobsOf(from: ReleaseFiles): ContentReader {
  const blobs = new Map(from.files.flatMap((file) => (blobDigest(file.path) === undefined ? [] : [[file.digest, file] as const])))
  return {
    fetch: (target) => {
      const file = blobs.get(target.digest)
      if (file === undefined || file.size !== target.size)
        throw new RfoError('RFO_CONTENT_ABSENT', `no content ${target.digest} of ${target.size} bytes`, {
          exit: 'untrusted',
          where: from.where,
        })
      return from.open(file)
    },
    exists: async ({ digest, size }) => blobs.get(digest)?.size === size,
    resolve: async () => undefined,
    referrers: async () => [],
  }
}

export function blobPath(digest: Digest): string {
  return `${blobFolder}${hex(digest)}`
}

export function descriptorOf({ digest, size }: ReleaseFile): Descriptor {
  return { mediaType: mediaTypes.octets, digest, size }
}

async function* readable(path: string, limits: object): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20, ...limits })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new RfoError('RFO_SHELF_READ', `can't read: ${code}`, { exit: 'machine', where: path, cause })
  }
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
