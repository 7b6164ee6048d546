/**
 * One parser for some seconds over seeded changes of a good input. Prints what came of them as one line of JSON; what is thrown and is no error of
 * ours ends it. Arguments: parser, seconds, seed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { RfoError } from '../../src/error.ts'
import { readGoBuildInfo } from '../../src/inspect/go-buildinfo.ts'
import { readRpmFront } from '../../src/inspect/rpm-file.ts'
import { parseRpmHeader } from '../../src/inspect/rpmdb/header.ts'
import { readRpmDatabase } from '../../src/inspect/rpmdb/index.ts'
import { scoreSbom } from '../../src/inspect/score.ts'
import { readTar } from '../../src/inspect/tar.ts'
import { parseImageConfig, parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { rpmFileHeader, rpmHeader, rpmSignatureHeader, writeNdb } from '../../src/sandbox/rpmdb.ts'
import { inlineProgram, pointerProgram } from './go-elf.ts'
import { osRelease, rpm, tarOf } from './images.ts'

interface Parser {
  readonly good: readonly Buffer[]
  read(bytes: Buffer): unknown
}

const packages = Array.from({ length: 12 }, (_, n) =>
  rpm(`package-${n}`, {
    files: Array.from({ length: n }, (_, m) => ({ path: `/usr/share/${n}/${m}`, digest: 'b'.repeat(64) })),
    requires: [`package-${n + 1}`],
  }),
)

function sqlite(): { readonly file: Buffer; readonly wal: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-hostile-'))
  try {
    const path = join(folder, 'rpmdb.sqlite')
    const database = new DatabaseSync(path)
    database.exec('PRAGMA journal_mode = wal; CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')
    const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)')
    for (const one of packages.slice(0, 6)) insert.run(rpmHeader(one))
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    for (const one of packages.slice(6)) insert.run(rpmHeader(one))
    const found = { file: readFileSync(path), wal: readFileSync(`${path}-wal`) }
    database.close()
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const at = (bytes: Buffer) => (offset: number, length: number) => bytes.subarray(offset, offset + length)
async function wholeTar(bytes: Buffer): Promise<number> {
  let size = 0
  for await (const { body } of readTar(pieces(bytes))) for await (const piece of body) size += piece.length
  return size
}
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += 700) yield bytes.subarray(from, from + 700)
}

const modules = 'path\tx.org/m\nmod\tx.org/m\tv1.0.0\th1:abc=\ndep\tx.org/d\tv2.0.0\th1:def=\nbuild\tCGO_ENABLED=0\n'
const digest = `sha256:${'a'.repeat(64)}`
const manifest = { schemaVersion: 2, config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 1 }, layers: [] }
const index = { schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 }] }
const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } }
const bom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  metadata: { timestamp: '2026-11-28T00:00:00Z', component: { 'bom-ref': 'a', name: 'a', type: 'file' } },
  components: [
    { 'bom-ref': 'b', name: 'b', version: '1', purl: 'pkg:generic/b@1', supplier: { name: 'c' }, properties: [{ name: 'x', value: 'y' }] },
  ],
  dependencies: [{ ref: 'a', dependsOn: ['b'] }],
}

const parsers: Readonly<Record<string, () => Promise<Parser>>> = {
  'rpm header': async () => ({ good: [rpmHeader(packages[9] ?? rpm('x'))], read: parseRpmHeader }),
  rpm: async () => {
    const lead = Buffer.alloc(96)
    lead.writeUInt32BE(0xedabeedb, 0)
    lead[4] = 3
    const signature = rpmSignatureHeader([])
    const front = Buffer.concat([lead, signature, Buffer.alloc((8 - (signature.length % 8)) % 8), rpmFileHeader(packages[9] ?? rpm('x'))])
    return { good: [front], read: (bytes) => readRpmFront(at(bytes)) }
  },
  ndb: async () => ({ good: [writeNdb(packages)], read: (bytes) => readRpmDatabase('x', bytes) }),
  sqlite: async () => ({ good: [sqlite().file], read: (bytes) => readRpmDatabase('x', bytes) }),
  'sqlite log': async () => {
    const { file, wal } = sqlite()
    return { good: [wal], read: (bytes) => readRpmDatabase('x', file, bytes) }
  },
  elf: async () => ({
    good: [inlineProgram('go1.26.8', modules), pointerProgram(false, 'go1.16.5', modules)],
    read: (bytes) => readGoBuildInfo(at(bytes), bytes.length),
  }),
  tar: async () => {
    const entries = ['a', 'b/c', `${'long/'.repeat(40)}d`].map((name) => ({ name, body: osRelease }))
    return { good: [await tarOf([...entries, { name: 'link', type: 'symlink', linkname: 'a' }])], read: wholeTar }
  },
  json: async () => ({
    good: [manifest, index, config, bom].map((each) => Buffer.from(JSON.stringify(each))),
    read(bytes) {
      // each of these is asked what it says of bytes that may be another's
      const thrown: unknown[] = []
      for (const parse of [parseManifest, parseIndex, parseImageConfig, (some: Buffer) => scoreSbom(some.toString('utf8'))]) {
        try {
          return parse(bytes)
        } catch (cause) {
          if (!(cause instanceof RfoError)) throw cause
          thrown.push(cause)
        }
      }
      throw thrown[0]
    },
  }),
}
export const parserNames = Object.keys(parsers)

/** https://prng.di.unimi.it/splitmix64.c, of 32 bits: the same changes from the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % Math.max(1, below)
  }
}

const words = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]

function changed(good: Buffer, next: (below: number) => number): Buffer {
  let bytes = Buffer.from(good)
  for (let times = next(4); times >= 0; times--) {
    const kind = next(6)
    // headers, lengths and tables stand in front
    const place = next(2) === 0 ? next(bytes.length) : next(Math.min(bytes.length, 512))
    if (kind === 0) bytes[place] = next(256)
    else if (kind === 1) bytes[place] = (bytes[place] ?? 0) ^ (1 << next(8))
    else if (kind === 2 && place + 4 <= bytes.length) bytes.writeUInt32LE(words[next(words.length)] ?? 0, place)
    else if (kind === 3 && place + 4 <= bytes.length) bytes.writeUInt32BE(words[next(words.length)] ?? 0, place)
    else if (kind === 4) bytes = bytes.subarray(0, place)
    else bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(next(bytes.length), next(bytes.length)), bytes.subarray(place)])
  }
  return bytes
}

if (process.argv[1] === import.meta.filename) {
  const [, , name = '', seconds = '1', seed = '1'] = process.argv
  const made = parsers[name]
  if (made === undefined) throw new Error(`no parser ${name}`)
  const { good, read } = await made()
  for (const bytes of good) if ((await read(bytes)) === undefined) throw new Error(`${name}: nothing in a good input`)
  const next = generator(Number(seed))
  const end = performance.now() + 1000 * Number(seconds)
  const counts = { runs: 0, refused: 0, read: 0, slowest: 0 }
  while (performance.now() < end) {
    const bytes = changed(good[counts.runs % good.length] ?? Buffer.alloc(0), next)
    const started = process.cpuUsage()
    counts.runs++
    try {
      if ((await read(bytes)) === undefined) counts.refused++
      else counts.read++
    } catch (thrown) {
      if (!(thrown instanceof RfoError) || thrown.exit !== 'untrusted')
        throw new Error(`${name}: run ${counts.runs} of seed ${seed}`, { cause: thrown })
      counts.refused++
    }
    const { user, system } = process.cpuUsage(started)
    counts.slowest = Math.max(counts.slowest, Math.round((user + system) / 1000))
  }
  process.stdout.write(
    JSON.stringify({
      name,
      seed: Number(seed),
      seconds: Number(seconds),
      ...counts,
      rss: Math.round(process.resourceUsage().maxRSS / 1024),
    }),
  )
}
