/** From servers and folders with every known defect to one snapshot; again, interrupted, and from elsewhere. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { folderPlace, webPlace } from '../../src/advisory/fetch.ts'
import { encodeSnapshot } from '../../src/advisory/snapshot.ts'
import { syncAdvisories } from '../../src/advisory/sync.ts'
import { csaf, openVex } from './documents.ts'
import { type AdvisoryServer, advisoryServer, everyDefect } from './server.ts'

let folder: string
let server: AdvisoryServer
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-advisories-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(() => server?.close())

const now = 1_795_000_000
let made = 0
const state = (): string => join(folder, `state-${made++}`)
const web = (url: string) => webPlace(url, { addresses: {}, env: {}, signal: new AbortController().signal, sleep: async () => {} })

function laidOut(files: ReadonlyMap<string, Buffer | string>): string {
  const root = join(folder, `mirror-${made++}`)
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), bytes)
  }
  return root
}

describe('from a server with every known defect', () => {
  test('what can be read is read, and the rest is counted', async () => {
    server = await advisoryServer()
    const { snapshot, read } = await syncAdvisories({ places: [web(server.url)], folder: state(), now })
    expect(snapshot.taken).toBe('2026-11-18T11:06:40Z')
    expect(snapshot.records.map(({ id }) => id).sort()).toEqual([
      'GO-2026-1001',
      'GO-2026-1002',
      ...[1001, 1002, 1003, 1004, 1007].map((number) => `openEuler-SA-2026-${number}`),
    ])
    expect(snapshot.sources).toEqual([
      { kind: 'openeuler-csaf', from: server.url, documents: 3, defects: { empty: 1, broken: 2, missing: 2, 'bad-utf8': 1 } },
      { kind: 'openeuler-cvrf', from: server.url, documents: 1, defects: { broken: 1 } },
      { kind: 'openeuler-osv', from: server.url, documents: 1, defects: { missing: 1 } },
      { kind: 'go', from: server.url, documents: 2, defects: { withdrawn: 1 } },
    ])
    expect(read).toBe(15)
    // nothing outside the root was asked for
    expect(server.asked.filter((path) => /passwd|^evil|\.\./.test(path))).toEqual([])
  })

  test('again: nothing that is known is sent, and the snapshot is the same', async () => {
    server = await advisoryServer()
    const place = state()
    const first = await syncAdvisories({ places: [web(server.url)], folder: place, now })
    server.asked.length = 0
    const second = await syncAdvisories({ places: [web(server.url)], folder: place, now })
    expect(encodeSnapshot(second.snapshot).digest).toBe(encodeSnapshot(first.snapshot).digest)
    const documents = server.asked.filter((path) => !/index|all\.json/.test(path))
    // the index says that Go's and one of OSV's did not change, so that nobody asks; the server says it of the rest
    expect(documents.filter((path) => path.endsWith('=')).length).toBe(4)
    expect(documents.some((path) => path.startsWith('ID/') || path.includes('1004.json='))).toBe(false)
    expect(second.known).toBe(8)
  })

  test('what changed is read again, and what the server lost is kept', async () => {
    server = await advisoryServer()
    const place = state()
    await syncAdvisories({ places: [web(server.url)], folder: place, now })
    const path = (number: number): string => `csaf/advisories/2026/csaf-openeuler-sa-2026-${number}.json`
    server.files.set(path(1001), csaf({ fixed: '3.0.12-99.oe2403sp1' }))
    server.files.delete(path(1002))
    server.files.set(path(1007), '')
    const { snapshot } = await syncAdvisories({ places: [web(server.url)], folder: place, now })
    expect(snapshot.records).toContainEqual(
      expect.objectContaining({ id: 'openEuler-SA-2026-1001', affected: [expect.objectContaining({ fixed: '3.0.12-99.oe2403sp1' })] }),
    )
    expect(snapshot.records.map(({ id }) => id)).toEqual(expect.arrayContaining(['openEuler-SA-2026-1002', 'openEuler-SA-2026-1007']))
    expect(snapshot.sources[0]).toMatchObject({ documents: 3, defects: { empty: 2, missing: 3 } })
  })

  test('interrupted, it goes on where it ended', async () => {
    server = await advisoryServer()
    const place = state()
    let calls = 0
    const broken = web(server.url)
    const breaking = {
      ...broken,
      read: async (path: string, validator?: string) => (++calls > 9 ? Promise.reject(new Error('killed')) : broken.read(path, validator)),
    }
    await expect(syncAdvisories({ places: [breaking], folder: place, now, concurrency: 1 })).rejects.toThrow('killed')
    // and the last line was half written
    const [journal = ''] = readdirSync(place)
    const lines = readFileSync(join(place, journal), 'utf8')
    truncateSync(join(place, journal), lines.length - 20)
    server.asked.length = 0
    const resumed = await syncAdvisories({ places: [web(server.url)], folder: place, now })
    expect(server.asked.filter((path) => path.endsWith('=')).length).toBeGreaterThan(0)
    const whole = await syncAdvisories({ places: [web(server.url)], folder: state(), now })
    expect(encodeSnapshot(resumed.snapshot).digest).toBe(encodeSnapshot(whole.snapshot).digest)
  })

  test('a server that fails for a while is asked again, one that fails for good ends it with 8', async () => {
    server = await advisoryServer()
    server.failing = 3
    await expect(syncAdvisories({ places: [web(server.url)], folder: state(), now })).resolves.toBeDefined()
    server.failing = 1_000_000
    await expect(syncAdvisories({ places: [web(server.url)], folder: state(), now })).rejects.toMatchObject({
      code: 'RFO_ADVISORY_OUTSIDE',
      exit: 'outside',
    })
  })

  test('a server without an index that is known is an error, not an empty snapshot', async () => {
    server = await advisoryServer(new Map([['index.html', 'hello']]))
    await expect(syncAdvisories({ places: [web(server.url)], folder: state(), now })).rejects.toMatchObject({
      code: 'RFO_ADVISORY_NOTHING',
    })
  })
})

describe('from a folder', () => {
  test('a mirror gives the same records as its server', async () => {
    server = await advisoryServer()
    const [there, here] = await Promise.all(
      [web(server.url), folderPlace(laidOut(everyDefect()))].map((place) => syncAdvisories({ places: [place], folder: state(), now })),
    )
    const records = (synced: typeof there) => encodeSnapshot({ ...synced!.snapshot, sources: [] }).digest
    expect(records(here)).toBe(records(there))
  })

  test('loose files of any kind, vendors’ OpenVEX among them, links that leave it not', async () => {
    const statement = { vulnerability: { name: 'CVE-2026-1' }, products: [{ '@id': 'pkg:oci/x' }], status: 'fixed' }
    const root = laidOut(
      new Map([
        ['a.json', csaf()],
        ['csaf/cve/2026/csaf-openeuler-cve-2026-10001.json', csaf().replace('openEuler-SA-2026-1001', 'CVE-2026-10001')],
        ['vex/b.openvex.json', openVex([statement])],
        ['vex/broken.json', openVex([{ ...statement, status: 'fine' }])],
        ['readme.json', '{"hello":"world"}'],
        ['index.json', '[]'],
      ]),
    )
    const secret = join(folder, 'secret.json')
    writeFileSync(secret, csaf({ number: 9999 }))
    symlinkSync(secret, join(root, 'link.json'))
    execFileSync('mkfifo', [join(root, 'pipe.json')])
    const { snapshot } = await syncAdvisories({ places: [folderPlace(root)], folder: state(), now })
    expect(snapshot.records.map(({ id }) => id)).toEqual(['openEuler-SA-2026-1001'])
    expect(snapshot.vex).toMatchObject([{ id: 'https://rfo.example/vex/1#1' }])
    expect(snapshot.sources).toEqual([
      { kind: 'openeuler-csaf', from: 'a folder', documents: 1, defects: { 'csaf-vex': 1 } },
      { kind: 'openvex', from: 'a folder', documents: 1, defects: { broken: 1 } },
    ])
  })
})
