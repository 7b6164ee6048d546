/**
 * RPMs → one layer: their files where rpm would put them, and the base's rpm database with the packages in it. No scriptlet is
 * run. Payloads are streamed: memory does not grow with them.
 *
 * Every time in it is the release's epoch, as in all layers: a package's own times would be as reproducible, but then one image
 * would have two rules. `rpm -V` names the time of every file for it, and nothing else.
 */
import { createHash } from 'node:crypto'
import type { Extent } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import { blockSize, headerBlocks, padding } from '../../oci/tar-header.ts'
import { type DecompressOptions, type Packing, packingOf, unpacked } from '../decompress.ts'
import { nevraOf } from '../solve/capability.ts'
import type { BaseView } from './base.ts'
import { databaseHeader } from './database-header.ts'
import { type FileFact, factsOf, type PackageFacts, solvableOf } from './facts.ts'
import { fileKind } from './file-kind.ts'
import { withPackages } from './ndb.ts'
import { type Placed, placeFiles } from './place.ts'
import { type CpioEntry, readCpio } from './read-cpio.ts'
import { readHeader } from './read-header.ts'
import { type RpmFile, readRpmFile } from './rpm-file.ts'

export interface LayerRequest {
  /** files on the disk, digests checked, in the order of their names */
  readonly rpms: readonly { readonly nevra: string; readonly file: string }[]
  readonly base: BaseView
  /** RPM's name; packages are for it or for none */
  readonly arch: string
  /** seconds */
  readonly epoch: number
  readonly decompress: DecompressOptions
}

export interface PackagesLayer {
  readonly packages: readonly InstalledPackage[]
  /** The tar, once. Throws RFO_RPM_PAYLOAD, RFO_RPM_PACKING, RFO_RPM_XZ. */
  tar(): AsyncIterable<Uint8Array>
}

/** What an image's evidence says of a package. */
export interface InstalledPackage {
  readonly nevra: string
  readonly facts: PackageFacts
  /** `user dnsmasq`: not in the base, since no scriptlet made it; the files are root's */
  readonly unknownOwners: readonly string[]
}

/** The folder of a database that links to a mirror of itself is no other database: rpm's own name in openEuler. */
const ndbName = '/Packages.db'

/** Throws RFO_RPM_FORMAT, _HEADER, _PATH, _CONFLICT, _NAME, and RFO_RPM_DATABASE for a base whose database is not one of ndb. */
export async function packagesLayer(request: LayerRequest): Promise<PackagesLayer> {
  const { base, epoch } = request
  const database = databaseOf(base)
  const opened: { rpm: RpmFile; facts: PackageFacts }[] = []
  for (const { nevra, file } of request.rpms) {
    opened.push(await openRpm(nevra, file, request.arch))
    request.decompress.signal?.throwIfAborted()
  }
  const installed = base.headers.map((blob) => solvableOf(readHeader(blob)))
  const placement = placeFiles(
    opened.map(({ facts }) => facts),
    base,
    installed,
  )
  return {
    packages: opened.map(({ facts }) => ({ nevra: nevraOf(facts), facts, unknownOwners: placement.unknownOwners.get(facts) ?? [] })),
    async *tar() {
      for (const placed of placement.directories) yield head(placed, epoch, 0)
      for (const placed of placement.symlinks) yield head(placed, epoch, 0)
      for (const { rpm, facts } of opened) {
        const files = placement.files.get(facts) ?? new Map<string, Placed>()
        try {
          yield* filesOf(rpm, facts, files, request)
        } catch (thrown) {
          throw thrown instanceof RfoError ? thrown.at(nevraOf(facts)) : thrown
        }
      }
      // an index of fewer packages would hide the new ones from `rpm -q name`; rpm makes one anew when none is there
      const index = database.path.replace(ndbName, '/Index.db')
      if (base.entry(index) !== undefined) yield head(ours(index.replace('/Index.db', '/.wh.Index.db')), epoch, 0)
      const headers = opened.map(({ rpm }) => databaseHeader(rpm, epoch))
      const bytes = withPackages(database.bytes, headers, epoch)
      yield head(ours(database.path), epoch, bytes.length)
      yield bytes
      yield Buffer.alloc(padding(bytes.length) + 2 * blockSize) // two blocks of zeros end the archive
    },
  }
}

/** What a base must have so that packages can be added. Throws RFO_RPM_DATABASE. */
export function databaseOf(base: Pick<BaseView, 'databases'>): BaseView['databases'][number] {
  const [database, ...others] = base.databases
  if (database === undefined) throw badDatabase('it has none')
  if (others.length > 0) throw badDatabase('it has several')
  if (!database.path.endsWith(ndbName)) throw badDatabase(`it has ${database.path}, and only ndb’s Packages.db can be added to`)
  return database
}

/** The payload of an RPM held against its header, file by file, and thrown away: none is missing, none too many. Throws RFO_RPM_*. */
export async function checkRpm(file: string | Extent, decompress: DecompressOptions): Promise<PackageFacts> {
  const rpm = await readRpmFile(file, 'any')
  const facts = factsOf(rpm.header, rpm.isSource)
  for await (const _ of filesOf(rpm, facts, new Map(), { epoch: 0, decompress })) {
    // nothing is brought anywhere
  }
  return facts
}

async function openRpm(nevra: string, file: string, arch: string): Promise<{ rpm: RpmFile; facts: PackageFacts }> {
  try {
    const rpm = await readRpmFile(file)
    const facts = factsOf(rpm.header)
    if (nevraOf(facts) !== nevra) throw badName(`it is ${nevraOf(facts)}`)
    if (facts.arch !== arch && facts.arch !== 'noarch') throw badName(`it is for ${facts.arch}, not for ${arch}`)
    return { rpm, facts }
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(nevra) : thrown
  }
}

async function* filesOf(
  rpm: RpmFile,
  facts: PackageFacts,
  files: ReadonlyMap<string, Placed>,
  { epoch, decompress }: Pick<LayerRequest, 'epoch' | 'decompress'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const expected = new Map(facts.fileFacts.filter(({ ghost }) => !ghost).map((fact) => [fact.path, fact]))
  if (expected.size === 0) return
  /** names of one file, of which the last in the archive brings the bytes */
  const waiting = new Map<number, FileFact[]>()
  for await (const entry of readCpio(await payloadOf(rpm, decompress))) {
    const fact = expected.get(entry.path)
    if (fact === undefined) throw badPayload(`${JSON.stringify(entry.path.slice(0, 200))} is not in its header, or twice in it`)
    expected.delete(entry.path)
    await checkKind(entry, fact)
    if (fact.kind !== 'file') continue
    if (entry.size === 0 && entry.links > 1 && fact.size > 0) {
      waiting.set(entry.inode, [...(waiting.get(entry.inode) ?? []), fact])
      continue
    }
    if (entry.size !== fact.size) throw badPayload(`${fact.path} has ${entry.size} bytes, and ${fact.size} in its header`)
    const others = entry.links > 1 ? (waiting.get(entry.inode) ?? []) : []
    waiting.delete(entry.inode)
    yield* oneFile(entry, fact, others, files, facts, epoch)
  }
  const [missing] = [...expected.keys(), ...[...waiting.values()].flat().map(({ path }) => path)]
  if (missing !== undefined) throw badPayload(`it lacks ${missing}`)
}

async function checkKind(entry: CpioEntry, fact: FileFact): Promise<void> {
  const kind = fileKind(entry.mode)
  if (kind !== fact.kind) throw badPayload(`${fact.path} is no ${fact.kind}`)
  if (kind !== 'symlink') return
  if (entry.size !== Buffer.byteLength(fact.target)) throw badPayload(`${fact.path} points elsewhere than its header says`)
  const parts: Uint8Array[] = []
  for await (const part of entry.body) parts.push(part)
  if (Buffer.concat(parts).toString('utf8') !== fact.target) throw badPayload(`${fact.path} points elsewhere than its header says`)
}

/** The bytes under the first of its names that is brought, the others as links to it. */
async function* oneFile(
  entry: CpioEntry,
  fact: FileFact,
  others: readonly FileFact[],
  files: ReadonlyMap<string, Placed>,
  { digestAlgorithm }: PackageFacts,
  epoch: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [first, ...links] = [fact, ...others].flatMap(({ path }) => files.get(path) ?? [])
  const hash = createHash(digestAlgorithm)
  if (first !== undefined) yield head(first, epoch, fact.size)
  for await (const part of entry.body) {
    hash.update(part)
    if (first !== undefined) yield part
  }
  const digest = hash.digest('hex')
  // of names that share bytes every header entry has the digest
  for (const each of [fact, ...others]) if (each.digest !== digest) throw badPayload(`${each.path} has other bytes than its header says`)
  if (first === undefined) return
  yield Buffer.alloc(padding(fact.size))
  for (const link of links)
    yield headerBlocks({ name: link.path, type: 'hardlink', mode: link.mode, size: 0, mtime: epoch, link: first.path, owner: link.owner })
}

/** What the header says of the packing is a word; what it is packed with shows in its first bytes. */
async function payloadOf(rpm: RpmFile, options: DecompressOptions): Promise<AsyncIterable<Uint8Array>> {
  const source = rpm.payload()[Symbol.asyncIterator]()
  const first = await source.next()
  const bytes: Uint8Array = first.done === true ? new Uint8Array() : first.value
  async function* whole(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield bytes
      for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value
    } finally {
      await source.return?.()
    }
  }
  const packing: Packing = packingOf(bytes)
  if (packing === 'none' && bytes[0] !== 0x30) {
    await source.return?.()
    throw badPayload('it is packed in a way that is not known')
  }
  return unpacked(whole(), packing, options)
}

function head({ path, kind, mode, owner, target }: Placed, epoch: number, size: number): Buffer {
  const base = { size, mtime: epoch, owner, mode }
  if (kind === 'directory') return headerBlocks({ ...base, name: `${path}/`, type: 'directory', link: '' })
  if (kind === 'symlink') return headerBlocks({ ...base, name: path, type: 'symlink', mode: 0o777, link: target })
  return headerBlocks({ ...base, name: path, type: 'file', link: '' })
}

function ours(path: string): Placed {
  return { path: path.slice(1), kind: 'file', mode: 0o644, owner: { uid: 0, gid: 0 }, target: '' }
}

function badName(what: string): RfoError {
  return new RfoError('RFO_RPM_NAME', `an RPM is not the one that the lock names: ${what}`, { exit: 'untrusted' })
}

function badPayload(what: string): RfoError {
  return new RfoError('RFO_RPM_PAYLOAD', `an RPM's payload can't be read: ${what}`, { exit: 'untrusted' })
}

function badDatabase(what: string): RfoError {
  return new RfoError('RFO_RPM_DATABASE', `packages can't be added to the base's rpm database: ${what}`, {
    exit: 'usage',
    next: 'name another base in pipelines/release.yaml, or drop the packages',
  })
}
