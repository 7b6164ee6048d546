/** `advisories` and `scan` as a person runs them: from a mirror to a file to a site without a network. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { openLayout } from '../../src/content/layout.ts'
import { writeNdb } from '../../src/sandbox/rpmdb.ts'
import { generateKey } from '../../src/sign/key.ts'
import { go, openVex, osv } from '../advisory/documents.ts'
import { type Entry, elf, image, osRelease, rpm } from '../inspect/images.ts'
import { run } from './ports.ts'

let folder: string
const at = (...names: string[]): string => join(folder, ...names)
const now = () => Date.parse('2026-11-28T00:00:00Z')
/** a machine of its own: its store lies there */
const on = (machine: string, argv: readonly string[], change: object = {}) => {
  mkdirSync(at(machine), { recursive: true })
  return run(argv, { cwd: at(machine), now, ...change })
}
const reference = 'docker.io/rfolabs/hardened-coredns:v1.9.3'

async function layout(name: string, entries: readonly Entry[]): Promise<string> {
  const { store, manifest } = await image([entries])
  const to = await openLayout(at(name), { create: true })
  await copyGraph([manifest], store, to, { concurrency: 2 })
  await to.tag({ ...manifest, platform: { os: 'linux', architecture: 'amd64' } }, reference)
  return at(name)
}

const base: readonly Entry[] = [
  { name: 'etc/os-release', body: osRelease },
  { name: 'usr/bin/x', body: elf('x') },
]
const openssl = rpm('openssl-libs', {
  epoch: 1,
  version: '3.0.12',
  release: '5.oe2403sp1',
  sourceRpm: 'openssl-3.0.12-5.oe2403sp1.src.rpm',
})
const mended = { ...openssl, sourceRpm: 'openssl-3.0.12-10.oe2403sp1.src.rpm' }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-scan-'))
  const keys = generateKey()
  writeFileSync(at('rfo.key'), keys.privatePem)
  writeFileSync(at('rfo.pub'), keys.publicPem)
  mkdirSync(at('mirror'))
  writeFileSync(at('mirror', 'a.json'), osv())
  writeFileSync(at('mirror', 'b.json'), go())
  await layout('hit', [...base, { name: 'var/lib/rpm/Packages.db', body: writeNdb([openssl]) }])
  await layout('fixed', [...base, { name: 'var/lib/rpm/Packages.db', body: writeNdb([mended]) }])
  await layout('broken', [...base, { name: 'var/lib/rpm/Packages.db', body: Buffer.alloc(9000, 'x') }])
  await layout('debian', [{ name: 'etc/os-release', body: 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' }])
  expect(await on('here', ['advisories', 'sync', '--from', at('mirror'), '--progress', 'none'])).toMatchObject({ exit: 0 })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('advisories', () => {
  test('age, digest and sources are printed, and the digest is that of the exported file', async () => {
    const shown = await on('here', ['advisories', 'show'])
    expect(shown.stdout).toMatch(
      /^advisories of 2026-11-28T00:00:00Z, 0 days old: 1 of openEuler, 1 of Go; sha256:[0-9a-f]{64}\n {2}openeuler-osv a folder: 1\n {2}go a folder: 1\n$/,
    )
    const exported = await on('here', ['advisories', 'export', '-o', at('a.json.zst'), '--sign-key', at('rfo.key'), '--json'])
    expect(exported.exit).toBe(0)
    const { digest, signedBy } = JSON.parse(exported.stdout)
    expect(`sha256:${execFileSync('sha256sum', [at('a.json.zst')], { encoding: 'utf8' }).slice(0, 64)}`).toBe(digest)
    expect(signedBy).toMatch(/^sha256:/)
  })

  test('taken elsewhere by signature or by digest, and else not', async () => {
    await on('here', ['advisories', 'export', '-o', at('a.json.zst'), '--sign-key', at('rfo.key')])
    const file = at('a.json.zst')
    expect(await on('site', ['advisories', 'import', file])).toMatchObject({
      exit: 5,
      lastLine: expect.stringContaining('RFO_ADVISORY_NOKEY'),
    })
    expect(await on('site', ['advisories', 'show'])).toMatchObject({ exit: 5, lastLine: expect.stringContaining('RFO_SCAN_SNAPSHOT') })
    expect(await on('site', ['advisories', 'import', file, '--expect', `sha256:${'0'.repeat(64)}`])).toMatchObject({ exit: 3 })
    expect(await on('site', ['advisories', 'import', file, '--key', at('rfo.pub')])).toMatchObject({ exit: 0 })
    expect((await on('site', ['advisories', 'show'])).stdout).toBe((await on('here', ['advisories', 'show'])).stdout)
    const digest = /sha256:[0-9a-f]{64}/.exec((await on('site', ['advisories', 'show'])).stdout)?.[0] ?? ''
    expect(await on('other', ['advisories', 'import', file, '--expect', digest])).toMatchObject({ exit: 0 })
  })

  test('another’s key, another’s signature, one byte more: refused', async () => {
    await on('here', ['advisories', 'export', '-o', at('b.json.zst'), '--sign-key', at('rfo.key')])
    writeFileSync(at('other.pub'), generateKey().publicPem)
    const take = (name: string, key = 'rfo.pub') => on('third', ['advisories', 'import', at(name), '--key', at(key)])
    expect(await take('b.json.zst', 'other.pub')).toMatchObject({ exit: 3 })
    copyFileSync(at('b.json.zst'), at('c.json.zst'))
    expect(await take('c.json.zst')).toMatchObject({ exit: 3, lastLine: expect.stringContaining('RFO_ADVISORY_UNSIGNED') })
    writeFileSync(at('d.json.zst'), Buffer.concat([readFileSync(at('b.json.zst')), Buffer.from('x')]))
    copyFileSync(at('b.json.zst.sigstore.json'), at('d.json.zst.sigstore.json'))
    expect(await take('d.json.zst')).toMatchObject({ exit: 3 })
    // an older one does not take the place of a newer one unasked
    const later = () => Date.parse('2027-01-01T00:00:00Z')
    expect(await on('third', ['advisories', 'sync', '--from', at('mirror'), '--progress', 'none'], { now: later })).toMatchObject({
      exit: 0,
    })
    expect(await take('b.json.zst')).toMatchObject({ exit: 4, lastLine: expect.stringContaining('RFO_ADVISORY_OLDER') })
    expect(await on('third', ['advisories', 'import', at('b.json.zst'), '--key', at('rfo.pub'), '--older'])).toMatchObject({ exit: 0 })
  })
})

describe('scan', () => {
  test('4 for what may not be shipped, with a table that says what to take', async () => {
    const found = await on('here', ['scan', at('hit')])
    expect(found).toMatchObject({ exit: 4, lastLine: expect.stringContaining('RFO_SCAN_FOUND') })
    expect(found.stdout).toContain(`fail      ${reference} linux/amd64  openEuler 24.03-LTS-SP1, 1 packages`)
    expect(found.stdout).toContain(
      'openEuler-SA-2026-1001  openssl-libs 1:3.0.12-5.oe2403sp1  fixed in 3.0.12-10.oe2403sp1  CVE-2026-10001',
    )
  })

  test('0 for what is mended; JSON names date, snapshot and gate', async () => {
    const found = await on('here', ['scan', at('fixed'), '--json'])
    expect(found.exit).toBe(0)
    expect(JSON.parse(found.stdout)).toMatchObject({
      schema: 'rfo-build.scan/1',
      verdict: 'pass',
      judged: '2026-11-28T00:00:00.000Z',
      advisories: { ageDays: 0, openeuler: 1, go: 1 },
      gate: { mode: 'live', fail: ['critical', 'high'] },
      images: [{ verdict: 'pass', packages: 1, findings: [] }],
    })
  })

  test.each([
    ['a database that can’t be read', 'broken', /no rpm database of a kind that is known/],
    ['a system without advisories', 'debian', /no advisories are read of Debian/],
  ])('5 for %s', async (_, name, why) => {
    const found = await on('here', ['scan', at(name)])
    expect(found).toMatchObject({ exit: 5, lastLine: expect.stringContaining('RFO_SCAN_UNDECIDED') })
    expect(found.stdout).toMatch(why)
    expect(found.stdout).toMatch(/^undecided /m)
  })

  test('5 without a snapshot, and by one that is too old; findings come first', async () => {
    expect(await on('nowhere', ['scan', at('fixed')])).toMatchObject({ exit: 5, lastLine: expect.stringContaining('RFO_SCAN_SNAPSHOT') })
    const later = { now: () => Date.parse('2027-03-01T00:00:00Z') }
    expect(await on('here', ['scan', at('fixed')], later)).toMatchObject({
      exit: 5,
      lastLine: expect.stringContaining('93 days old; 30 are allowed'),
    })
    expect((await on('here', ['scan', at('hit')], later)).exit).toBe(4)
  })

  test('months later, a site scans what it has by a snapshot that came alone', async () => {
    const later = { now: () => Date.parse('2027-03-01T00:00:00Z') }
    writeFileSync(
      at('mirror', 'c.json'),
      osv({ number: 2001, fixed: '3.0.12-20.oe2403sp1', published: '2027-02-01T00:00:00Z', severity: 'Critical' }),
    )
    await on('outside', ['advisories', 'sync', '--from', at('mirror'), '--progress', 'none'], later)
    await on('outside', ['advisories', 'export', '-o', at('later.json.zst'), '--sign-key', at('rfo.key')], later)
    rmSync(at('mirror', 'c.json'))
    const scan = ['scan', at('fixed'), '--advisories', at('later.json.zst'), '--key', at('rfo.pub')]
    const found = await on('alone', scan, later)
    expect(found).toMatchObject({ exit: 4 })
    expect(found.stdout).toContain('critical openEuler-SA-2026-2001')
    // as of a day before it was published, nothing is known of it
    expect((await on('alone', [...scan, '--at', '2027-01-30'], later)).stdout).not.toContain('2001')
  })

  test('an archive of images is the same as its layout', async () => {
    execFileSync('tar', ['-C', at('hit'), '-czf', at('hit.tar.gz'), '.'])
    const [one, other] = [await on('here', ['scan', at('hit')]), await on('here', ['scan', at('hit.tar.gz')])]
    expect(other.stdout).toBe(one.stdout)
    expect(other.exit).toBe(4)
  })

  test('a root file system, as a folder and as a tarball, is judged as the image of it is', async () => {
    const tree = (name: string, database: Buffer): string => {
      const files: readonly Entry[] = [...base, { name: 'var/lib/rpm/Packages.db', body: database }]
      for (const { name: path, body = '' } of files) {
        mkdirSync(dirname(at(name, path)), { recursive: true })
        writeFileSync(at(name, path), body)
      }
      return at(name)
    }
    const finding = /^ {2}fails .*openEuler-SA-2026-1001.*$/m
    const root = tree('rootfs', writeNdb([openssl]))
    const found = await on('here', ['scan', root])
    expect(found).toMatchObject({ exit: 4, lastLine: expect.stringContaining('RFO_SCAN_FOUND') })
    expect(found.stdout).toMatch(/^fail {6}rootfs linux\/\w+ {2}openEuler 24\.03-LTS-SP1, 1 packages/m)
    expect(finding.exec(found.stdout)?.[0]).toBe(finding.exec((await on('here', ['scan', at('hit')])).stdout)?.[0])
    execFileSync('tar', ['-C', root, '-czf', at('rootfs.tar.gz'), '.'])
    expect(finding.exec((await on('here', ['scan', at('rootfs.tar.gz')])).stdout)?.[0]).toBe(finding.exec(found.stdout)?.[0])
    expect((await on('here', ['scan', tree('mended', writeNdb([mended]))])).exit).toBe(0)
    const unreadable = await on('here', ['scan', tree('unreadable', Buffer.alloc(9000, 'x'))])
    expect(unreadable).toMatchObject({ exit: 5, lastLine: expect.stringContaining('RFO_SCAN_UNDECIDED') })
    // nothing found in a folder of anything proves nothing
    expect(await on('here', ['scan', at('mirror')])).toMatchObject({ exit: 5, lastLine: expect.stringContaining('RFO_SCAN_UNDECIDED') })
  })

  test('what is no target is 2', async () => {
    writeFileSync(at('text'), 'no format of ours')
    expect(await on('here', ['scan', at('text')])).toMatchObject({ exit: 2 })
    expect(await on('here', ['scan', at('none')])).toMatchObject({ exit: 2 })
  })

  test('a project’s VEX and list count, each with its author', async () => {
    mkdirSync(at('project', 'sbom', 'vex'), { recursive: true })
    mkdirSync(at('project', 'pipelines'), { recursive: true })
    const gate = (text: string): void => writeFileSync(at('project', 'pipelines', 'release.yaml'), `gate:\n${text}`)
    const vex = openVex([
      {
        vulnerability: { name: 'CVE-2026-10001' },
        products: [{ '@id': 'pkg:oci/hardened-coredns' }],
        status: 'not_affected',
        justification: 'inline_mitigations_already_exist',
      },
    ])
    writeFileSync(at('project', 'sbom', 'vex', 'coredns.json'), vex)
    const advisories = ['--advisories', at('a.json.zst')]
    gate('  fail: [high]\n')
    expect((await on('project', ['scan', at('hit'), ...advisories])).exit).toBe(4)
    gate('  vex: [{author: security@rfo.example, expires: 2027-01-01}]\n')
    const suppressed = await on('project', ['scan', at('hit'), ...advisories, '--sarif', 'out.sarif'])
    expect(suppressed).toMatchObject({ exit: 0 })
    expect(suppressed.stdout).toContain(
      'not_affected (inline_mitigations_already_exist), says security@rfo.example: https://rfo.example/vex/1#1',
    )
    const sarif = JSON.parse(readFileSync(at('project', 'out.sarif'), 'utf8'))
    expect(sarif.runs[0].results).toMatchObject([{ ruleId: 'openEuler-SA-2026-1001', level: 'none', suppressions: [{ kind: 'external' }] }])
    gate('  unjudged: [{images: [hardened-coredns], author: a@rfo.example, reason: upstream’s, expires: 2027-01-01}]\n')
    const listed = await on('project', ['scan', at('debian'), ...advisories])
    expect(listed).toMatchObject({ exit: 0 })
    expect(listed.stdout).toMatch(/^unjudged /m)
    expect(listed.stdout).toContain('shipped unjudged by a@rfo.example: upstream’s; until 2027-01-01')
  })
})
