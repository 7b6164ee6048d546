/**
 * An RPM of format 4: lead, signature header, main header, payload.
 * https://rpm-software-management.github.io/rpm/manual/format_v4.html
 */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { cpio, cpioSize } from './cpio.ts'
import { type Entry, encodeHeader, tags } from './header.ts'
import { checkPackage, type RpmPackage, rowOf, sortedFiles } from './package.ts'
import { type Compression, type Payload, withPayload } from './payload.ts'
import { headerSums, signatureHeader } from './signature-header.ts'
import { headerEntries } from './tags.ts'

/** Not registered; what web servers and file(1) call it. */
export const rpmMediaType = 'application/x-rpm'

export interface WriteRpmOptions {
  /** seconds: of the build and of every file */
  readonly epoch: number
  readonly compression: Compression
  /** Gets the main header with its magic; gives a binary OpenPGP signature packet of version 4 over it. */
  readonly sign?: (header: Uint8Array) => Promise<Uint8Array>
  /** for one temporary file of the payload's compressed size */
  readonly workDir?: string
  readonly signal?: AbortSignal
}

export interface WrittenRpm {
  readonly rpm: Descriptor
  /** SHA-256 of main header and payload: the same whoever signed */
  readonly unsigned: Digest
}

/** Pushes the RPM. The same package and epoch give the same bytes; memory does not grow with the files. */
export async function writeRpm(pkg: RpmPackage, store: ContentStore, options: WriteRpmOptions): Promise<WrittenRpm> {
  checkPackage(pkg)
  const files = sortedFiles(pkg)
  const { epoch, compression, signal } = options
  return await writeParts(
    {
      lead: lead(pkg, 0),
      archive: cpio(files, store, epoch, signal),
      archiveSize: cpioSize(files),
      entries: (payload) => headerEntries(pkg, payload, compression, epoch),
      name: pkg.name,
    },
    store,
    options,
  )
}

export interface RpmParts {
  readonly lead: Buffer
  readonly archive: AsyncIterable<Uint8Array>
  /** bytes */
  readonly archiveSize: number
  /** of the main header */
  entries(payload: Payload): readonly Entry[]
  /** for an error */
  readonly name: string
}

export async function writeParts(parts: RpmParts, store: ContentStore, options: WriteRpmOptions): Promise<WrittenRpm> {
  const { archiveSize } = parts
  if (archiveSize > 0xffffffff) throw new RfoError('RFO_RPM_SIZE', `${parts.name} has more than 4 GiB`, { exit: 'condition' })
  const workDir = options.workDir ?? tmpdir()
  const scratch = { workDir, ...(options.signal === undefined ? {} : { signal: options.signal }) }
  return await withPayload(parts.archive, options.compression, scratch, async (payload) => {
    const header = encodeHeader(tags.headerImmutable, parts.entries(payload))
    const signature = await options.sign?.(header)
    const { md5, unsigned } = await digests(header, payload)
    const sums = { ...headerSums(header), md5, size: header.length + payload.size, payloadSize: archiveSize }
    const front = Buffer.concat([parts.lead, signatureHeader(sums, signature), header])
    const whole = createDigester()
    whole.update(front)
    await payload.each((bytes) => whole.update(bytes))
    const rpm: Descriptor = { mediaType: rpmMediaType, digest: whole.finish(), size: front.length + payload.size }
    await store.push(rpm, joined(front, payload))
    return { rpm, unsigned }
  })
}

async function* joined(front: Buffer, payload: Payload): AsyncGenerator<Uint8Array, void, undefined> {
  yield front
  yield* payload.read()
}

async function digests(header: Buffer, payload: Payload): Promise<{ readonly md5: Buffer; readonly unsigned: Digest }> {
  const md5 = createHash('md5')
  const unsigned = createDigester()
  const take = (bytes: Uint8Array): void => {
    md5.update(bytes)
    unsigned.update(bytes)
  }
  take(header)
  await payload.each(take)
  return { md5: md5.digest(), unsigned: unsigned.finish() }
}

/** `kind`: 0 = binary, 1 = source */
export function lead(pkg: RpmPackage, kind: 0 | 1): Buffer {
  const bytes = Buffer.alloc(96)
  bytes.writeUInt32BE(0xedabeedb, 0)
  bytes[4] = 3
  bytes.writeUInt16BE(kind, 6)
  bytes.writeUInt16BE(rowOf(pkg.arch)?.rpmLead ?? 1, 8)
  bytes.write(`${pkg.name}-${pkg.version}-${pkg.release}`, 10, 65)
  bytes.writeUInt16BE(1, 76)
  bytes.writeUInt16BE(5, 78)
  return bytes
}
