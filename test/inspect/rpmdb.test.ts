import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { parseRpmHeader } from '../../src/inspect/rpmdb/header.ts'
import { readRpmDatabase } from '../../src/inspect/rpmdb/index.ts'
import { rpmHeader, writeNdb } from '../../src/sandbox/rpmdb.ts'
import { tool } from '../tools.ts'
import { rpm } from './images.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-rpmdb-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const some = Array.from({ length: 300 }, (_, n) =>
  rpm(`package-${n}`, {
    ...(n % 2 === 0 ? {} : { epoch: n }),
    files: [
      { path: `/usr/bin/p${n}`, digest: String(n % 10).repeat(64) },
      { path: `/etc/p${n}/link`, digest: '' },
      { path: '/top', digest: 'b'.repeat(64) },
    ].slice(0, n % 4),
    requires: [`package-${n + 1}`, 'rpmlib(CompressedFileNames)'].slice(0, n % 3),
  }),
)

describe('ndb', () => {
  test('what the writer writes, the reader reads, over several pages of slots', () => {
    const bytes = writeNdb(some)
    const read = readRpmDatabase('Packages.db', bytes)
    expect(read.map(({ sha256, url: _, ...rest }) => ({ ...rest, sha256: sha256?.length }))).toEqual(
      some.map(({ summary: _, digestAlgorithm, ...rest }) => ({
        ...rest,
        sha256: 64,
        digestAlgorithm: rest.files.length === 0 ? 1 : digestAlgorithm,
      })),
    )
    expect(writeNdb(some).equals(bytes)).toBe(true)
    expect(readRpmDatabase('Packages.db', writeNdb([]))).toEqual([])
  })

  test('keys are no packages', () => {
    expect(readRpmDatabase('Packages.db', writeNdb([rpm('gpg-pubkey'), rpm('bash')])).map(({ name }) => name)).toEqual(['bash'])
  })

  const one = writeNdb([rpm('a'), rpm('b')])
  const slot = (n: number): number => (n + 2) * 16
  test.each<readonly [string, (bytes: Buffer) => unknown]>([
    ['another version', (bytes) => bytes.writeUInt32LE(1, 4)],
    ['more slot pages than bytes', (bytes) => bytes.writeUInt32LE(0xffffffff, 12)],
    ['no slot pages', (bytes) => bytes.writeUInt32LE(0, 12)],
    ['a slot without magic', (bytes) => bytes.writeUInt32LE(0, slot(5))],
    ['a blob beyond the end', (bytes) => bytes.writeUInt32LE(0x0fffffff, slot(0) + 8)],
    ['a blob among the slots', (bytes) => bytes.writeUInt32LE(1, slot(0) + 8)],
    ['two slots with one blob', (bytes) => bytes.copy(bytes, slot(1) + 8, slot(0) + 8, slot(0) + 16)],
    ['two slots with one number', (bytes) => bytes.copy(bytes, slot(1) + 4, slot(0) + 4, slot(0) + 8)],
    ['another length in the tail', (bytes) => bytes.writeUInt32LE(1, bytes.length - 8)],
    ['no tail', (bytes) => bytes.writeUInt32LE(1, bytes.length - 4)],
  ])('%s is refused', (_, spoil) => {
    const bytes = Buffer.from(one)
    spoil(bytes)
    expect(() => readRpmDatabase('Packages.db', bytes)).toThrow(
      expect.objectContaining({ code: 'RFO_INSPECT_NDB', exit: 'untrusted', where: 'Packages.db' }),
    )
  })
})

test('what is no database is no empty database', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(8192), Buffer.from('RpmP'), Buffer.from('SQLite format 3\0')]) {
    expect(() => readRpmDatabase('x', bytes)).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_RPMDB' }))
  }
})

/** A database as rpm 4.16 and later keeps it, over many pages and with overflow chains. */
function sqliteOf(path: string, rows = some): void {
  const database = new DatabaseSync(path)
  database.exec('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')
  const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)')
  database.exec('BEGIN')
  for (const one of rows) insert.run(rpmHeader(one))
  database.exec('COMMIT')
  database.close()
}

describe('sqlite', () => {
  test('tables over many pages, with cells that overflow', () => {
    const path = join(folder, 'plain.sqlite')
    const big = rpm('big', { files: Array.from({ length: 3000 }, (_, n) => ({ path: `/usr/share/big/${n}`, digest: 'c'.repeat(64) })) })
    sqliteOf(path, [...some, big])
    const read = readRpmDatabase('rpmdb.sqlite', readFileSync(path))
    expect(read.map(({ name }) => name)).toEqual([...some, big].map(({ name }) => name))
    expect(read.at(-1)?.files).toEqual(big.files)
  })

  const rpmTool = tool('rpm')
  test.skipIf(rpmTool.skip)('rpm itself reads the headers that we write', () => {
    const path = join(folder, 'ours')
    mkdirSync(path)
    sqliteOf(join(path, 'rpmdb.sqlite'))
    // checks every header's digest, and refuses headers that lack what it needs
    execFileSync(rpmTool.path, ['--dbpath', path, '--rebuilddb'], { stdio: 'pipe' })
    expect(query(path)).toEqual(dump(readFileSync(join(path, 'rpmdb.sqlite'))))
    expect(query(path)).toHaveLength(some.length)
  })

  const rpmbuild = tool('rpmbuild')
  test.skipIf(rpmTool.skip || rpmbuild.skip)('a database that rpm wrote, and its write-ahead log', () => {
    const path = join(folder, 'theirs')
    const packages = buildRpms(rpmbuild.path, ['first', 'second'])
    const other = join(folder, 'other')
    for (const [into, file] of [
      [path, packages[0] ?? ''],
      [other, packages[1] ?? ''],
    ] as const) {
      mkdirSync(into)
      execFileSync(rpmTool.path, ['--dbpath', into, '-i', '--justdb', '--nodeps', '--noscripts', '--ignorearch', file], { stdio: 'pipe' })
      expect(query(into)).toEqual(dump(readFileSync(join(into, 'rpmdb.sqlite'))))
    }
    // rpm folds its log into the file at the end; a copy taken before that has the second package in the log alone
    const writer = new DatabaseSync(join(path, 'rpmdb.sqlite'))
    writer.exec(`PRAGMA journal_mode = wal; ATTACH '${join(other, 'rpmdb.sqlite')}' AS other`)
    writer.exec('INSERT INTO Packages (blob) SELECT blob FROM other.Packages')
    const copy = join(folder, 'copy')
    mkdirSync(copy)
    for (const name of ['rpmdb.sqlite', 'rpmdb.sqlite-wal']) copyFileSync(join(path, name), join(copy, name))
    writer.close()
    const [file, wal] = [readFileSync(join(copy, 'rpmdb.sqlite')), readFileSync(join(copy, 'rpmdb.sqlite-wal'))]
    expect(wal.length).toBeGreaterThan(0)
    expect(readRpmDatabase('rpmdb.sqlite', file).map(({ name }) => name)).toEqual(['first'])
    expect(readRpmDatabase('rpmdb.sqlite', file, wal).map(({ name }) => name)).toEqual(['first', 'second'])
    expect(dump(file, wal)).toEqual(query(path))
    const [second] = readRpmDatabase('rpmdb.sqlite', file, wal).slice(1)
    expect(second).toMatchObject({ epoch: 3, license: 'GPLv2+', vendor: 'Nobody', arch: 'noarch', digestAlgorithm: 8 })
    // what stands behind a wrong checksum was never committed
    const spoiled = Buffer.from(wal)
    spoiled.writeUInt8(spoiled.readUInt8(32 + 24 + 100) ^ 1, 32 + 24 + 100)
    expect(readRpmDatabase('rpmdb.sqlite', file, spoiled).map(({ name }) => name)).toEqual(['first'])
  })

  function query(path: string): string[] {
    const format =
      '%{NAME}|%|EPOCH?{%{EPOCH}}:{}||%{VERSION}|%{RELEASE}|%{ARCH}|%{LICENSE}|%{VENDOR}|%{SOURCERPM}|%{SHA256HEADER}[|%{FILENAMES}=%{FILEDIGESTS}]\\n'
    return execFileSync(rpmTool.path, ['--dbpath', path, '-qa', '--qf', format], { encoding: 'utf8', maxBuffer: 1 << 24 })
      .split('\n')
      .filter((line) => line !== '')
      .sort()
  }

  function dump(bytes: Buffer, wal?: Buffer): string[] {
    return readRpmDatabase('rpmdb.sqlite', bytes, wal)
      .map((one) =>
        [one.name, one.epoch ?? '', one.version, one.release, one.arch, one.license, one.vendor, one.sourceRpm, one.sha256]
          .concat(one.files.map(({ path, digest }) => `${path}=${digest}`))
          .join('|'),
      )
      .sort()
  }

  function buildRpms(rpmbuildPath: string, names: readonly string[]): string[] {
    const top = join(folder, 'build')
    mkdirSync(top)
    const spec = join(top, 'all.spec')
    const about = 'Epoch: 3\nSummary: s\nLicense: GPLv2+\nVendor: Nobody\nBuildArch: noarch\n'
    const parts = names.map(
      (name) => `%package -n ${name}\nSummary: s\n%description -n ${name}\nd\n%files -n ${name}\n/usr/share/${name}\n`,
    )
    const install = names.map(
      (name) =>
        `mkdir -p %{buildroot}/usr/share/${name}; echo ${name} > %{buildroot}/usr/share/${name}/file; ln -s file %{buildroot}/usr/share/${name}/link\n`,
    )
    writeFileSync(spec, `Name: all\nVersion: 1.2\nRelease: 4\n${about}%description\nd\n%install\n${install.join('')}${parts.join('')}`)
    const defines = [`_topdir ${top}`, '_build_id_links none', '_buildhost none', '__os_install_post %{nil}'].flatMap((define) => [
      '--define',
      define,
    ])
    execFileSync(rpmbuildPath, ['-bb', ...defines, spec], { stdio: 'pipe' })
    return names.map((name) => {
      const made = join(top, 'RPMS', 'noarch', `${name}-1.2-4.noarch.rpm`)
      expect(existsSync(made)).toBe(true)
      return made
    })
  }
})

/** One value on one overflow page chain, as rpm's Berkeley DB backend leaves it. */
function bdbOf(blobs: readonly Buffer[], little: boolean): Buffer {
  const size = 4096
  const room = size - 26
  const pages: Buffer[] = [Buffer.alloc(size), Buffer.alloc(size)]
  const u16 = (page: Buffer, value: number, at: number): unknown => (little ? page.writeUInt16LE(value, at) : page.writeUInt16BE(value, at))
  const u32 = (page: Buffer, value: number, at: number): unknown => (little ? page.writeUInt32LE(value, at) : page.writeUInt32BE(value, at))
  const [meta, hash] = pages as [Buffer, Buffer]
  u32(meta, 0x00061561, 12)
  u32(meta, size, 20)
  hash.writeUInt8(13, 25)
  u16(hash, blobs.length * 2, 20)
  for (const [n, blob] of blobs.entries()) {
    const item = size - 16 * (n + 1)
    u16(hash, item + 12, 26 + n * 4)
    u16(hash, item, 28 + n * 4)
    hash.writeUInt8(3, item)
    u32(hash, pages.length, item + 4)
    u32(hash, blob.length, item + 8)
    for (let at = 0; at < blob.length; at += room) {
      const page = Buffer.alloc(size)
      page.writeUInt8(7, 25)
      u32(page, at + room < blob.length ? pages.length + 1 : 0, 16)
      u16(page, Math.min(room, blob.length - at), 22)
      blob.copy(page, 26, at, at + room)
      pages.push(page)
    }
  }
  return Buffer.concat(pages)
}

describe('Berkeley DB', () => {
  const long = rpm('long', { files: Array.from({ length: 200 }, (_, n) => ({ path: `/usr/share/long/${n}`, digest: 'd'.repeat(64) })) })
  test.each([true, false])('hash files of either byte order (little endian: %s)', (little) => {
    const read = readRpmDatabase('Packages', bdbOf([rpmHeader(rpm('short')), rpmHeader(long)], little))
    expect(read.map(({ name, files }) => [name, files.length])).toEqual([
      ['short', 0],
      ['long', 200],
    ])
  })

  test('a chain that bites its tail is refused', () => {
    const bytes = bdbOf([rpmHeader(long)], true)
    bytes.writeUInt32LE(2, 3 * 4096 + 16)
    expect(() => readRpmDatabase('Packages', bytes)).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_BDB' }))
  })
})

describe('hostile bytes', () => {
  /** Each change: a place (as a share of the length) and a value; then a length to cut to. */
  const changes = fc.record({
    bytes: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    words: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1, 2, 0x7fffffff, 0xffffffff, 0x10000)), {
      maxLength: 1,
    }),
    keep: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }),
  })

  function survives(original: Buffer, runs: number, read: (bytes: Buffer) => unknown): { readonly refused: number; readonly read: number } {
    const counts = { refused: 0, read: 0 }
    fc.assert(
      fc.property(changes, ({ bytes, words, keep }) => {
        const spoiled = Buffer.from(original)
        for (const [place, value] of bytes) spoiled.writeUInt8(value, Math.floor(place * (spoiled.length - 1)))
        // most numbers stand near the start
        for (const [place, value] of words) spoiled.writeUInt32BE(value, Math.floor((place ** 3 * (spoiled.length - 4)) / 4) * 4)
        const started = performance.now()
        try {
          read(spoiled.subarray(0, Math.floor(keep * spoiled.length)))
          counts.read++
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RfoError)
          expect((thrown as RfoError).exit).toBe('untrusted')
          counts.refused++
        }
        expect(performance.now() - started).toBeLessThan(2000)
      }),
      { numRuns: runs, seed: 20221122 },
    )
    return counts
  }

  test('a header changed 2,000 times is read or refused, at once', () => {
    const counts = survives(rpmHeader(some[7] ?? rpm('x')), 2000, parseRpmHeader)
    expect(counts.refused).toBeGreaterThan(200)
    expect(counts.read).toBeGreaterThan(20)
  })

  test('so is a database of every kind', () => {
    const path = join(folder, 'hostile.sqlite')
    sqliteOf(path, some.slice(0, 40))
    const read = (bytes: Buffer): unknown => readRpmDatabase('x', bytes)
    for (const bytes of [writeNdb(some.slice(0, 10)), readFileSync(path), bdbOf(some.slice(0, 4).map(rpmHeader), true)]) {
      expect(survives(bytes, 700, read).refused).toBeGreaterThan(50)
    }
  })

  test('a tree that contains itself, and one long directory named many times', () => {
    const path = join(folder, 'cycle.sqlite')
    sqliteOf(path)
    const bytes = readFileSync(path)
    const size = bytes.readUInt16BE(16)
    for (let page = 1; page < bytes.length / size; page++) {
      if (bytes[page * size] === 5) bytes.writeUInt32BE(page + 1, page * size + 8)
    }
    expect(() => readRpmDatabase('x', bytes)).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_SQLITE' }))
    const wide = rpm('wide', { files: Array.from({ length: 20_000 }, (_, n) => ({ path: `/${'x'.repeat(4000)}/${n}`, digest: '' })) })
    expect(() => parseRpmHeader(rpmHeader(wide))).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_RPMHEADER' }))
  })
})
