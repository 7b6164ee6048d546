/** What newer advisories say of a release that was judged by older ones. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { matcherOf } from '../../src/advisory/match.ts'
import { decodeSnapshot, encodeSnapshot, type HeldSnapshot, type Snapshot } from '../../src/advisory/snapshot.ts'
import type { ScanPredicate } from '../../src/attest/scan.ts'
import { insideOfBom } from '../../src/release/inside-bom.ts'
import { newestClaim } from '../../src/release/verify/newest.ts'
import { placeOf } from '../../src/release/verify/place.ts'
import { compareEvr } from '../../src/rpm/vercmp.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, root, run, version } from './project.ts'

let project: Project
let made: string
let own: HeldSnapshot

beforeAll(async () => {
  project = await madeProject('amd64,riscv64')
  made = join(project.folder, 'dist', version)
  own = decodeSnapshot(await readFile(join(made, 'advisories.json.zst')), 'advisories.json.zst')
})
afterAll(() => project.remove())

/** The release's own advisories, later, and one more: of a package that every base has. */
function later(severity: 'critical' | 'low', source: string): { bytes: Buffer; digest: string } {
  const number = 9001
  const record = {
    kind: 'openeuler' as const,
    id: `openEuler-SA-2026-${number}`,
    published: '2026-11-01T00:00:00Z',
    severity,
    cves: { [`CVE-2026-${number}`]: severity },
    affected: ['22.03-LTS', '24.03-LTS'].map((stream) => ({ stream, source, fixed: '99-1' })),
  }
  const { digest: _, size: __, ...snapshot } = own
  return encodeSnapshot({ ...(snapshot as Snapshot), taken: '2026-11-20T00:00:00Z', records: [...own.records, record] })
}

test('an SBOM says of an image what its layers say', async () => {
  const { images } = await readPredicate(made)
  const matcher = matcherOf(own, compareEvr, Date.parse(own.taken))
  let compared = 0
  for (const { component, platforms } of images) {
    for (const [platform, image] of Object.entries(platforms)) {
      if (image.status !== 'made') continue
      const at = join(made, 'sbom', `${component}.${platform.replace('/', '-')}`)
      const { scanner } = JSON.parse(await readFile(`${at}.vuln.json`, 'utf8')) as ScanPredicate
      const { stream = '', findings, packages, modules } = scanner.result
      const { rpms, go } = insideOfBom(await readFile(`${at}.cdx.json`), component)
      expect([rpms.length, go.length], `${component} ${platform}`).toEqual([packages, modules])
      const found = [...rpms.flatMap((each) => matcher.rpm(each, stream)), ...go.flatMap((each) => matcher.go(each))]
      const told = (each: { advisory: string; purl: string; installed: string }) => `${each.advisory} ${each.purl} ${each.installed}`
      expect(found.map(told).sort(), `${component} ${platform}`).toEqual(findings.map(told).sort())
      compared += findings.length
    }
  }
  expect(compared).toBeGreaterThan(10)
})

test('newer advisories are counted, and other ones give another count', async () => {
  const predicate = await readPredicate(made)
  const claim = async (snapshot: HeldSnapshot | undefined) => await newestClaim(placeOf(made), predicate, snapshot)
  const nothing = { name: 'noNewer', values: { taken: own.taken } }
  expect(await claim(undefined)).toEqual(nothing)
  expect(await claim(own)).toEqual(nothing)
  const before = predicate.gate?.reported ?? 0
  const bash = decodeSnapshot(later('critical', 'bash').bytes, 'later')
  const one = await claim(bash)
  if (one === undefined) throw new Error('it has a gate')
  const images = predicate.images.flatMap(({ platforms }) => Object.values(platforms)).filter(({ status }) => status === 'made').length
  expect(one).toMatchObject({ name: 'newest', values: { taken: '2026-11-20T00:00:00Z', digest: bash.digest } })
  const { critical, found, unseen } = one.values as { critical: number; found: number; unseen: number }
  expect(critical).toBeGreaterThan(5)
  expect(critical).toBeLessThan(images)
  expect([unseen, found]).toEqual([critical, before + critical])
  // of lesser weight, and of what nobody has
  expect((await claim(decodeSnapshot(later('low', 'bash').bytes, 'later')))?.values).toMatchObject({ critical: 0, unseen, found })
  expect((await claim(decodeSnapshot(later('critical', 'nobody-has-it').bytes, 'later')))?.values).toMatchObject({
    critical: 0,
    unseen: 0,
    found: before,
  })
})

test('verify prints the count by a file or by what was imported, and its verdict stays', async () => {
  const { bytes, digest } = later('critical', 'bash')
  const scratch = await mkdtemp(join(tmpdir(), 'rfo-newest-'))
  try {
    const file = join(scratch, 'advisories.json.zst')
    await writeFile(file, bytes)
    const folder = join(scratch, version)
    await cp(made, folder, { recursive: true })
    const verify = ['verify', folder, '--trust', join(made, 'trust')]
    const store = ['--store', join(scratch, 'store')]
    const without = await run(project.folder, [...verify, ...store])
    expect([without.code, without.stdout]).toEqual([0, expect.stringContaining(`no newer advisories are here than those of ${own.taken}`)])
    expect((await run(project.folder, ['advisories', 'import', file, '--expect', digest, ...store])).code).toBe(0)
    const imported = await run(project.folder, [...verify, ...store])
    expect([imported.code, imported.stdout]).toEqual([0, expect.stringContaining(`by advisories of 2026-11-20T00:00:00Z (${digest})`)])
    expect(imported.stdout.trimEnd().split('\n').at(-1)).toBe(without.stdout.trimEnd().split('\n').at(-1))
    // a snapshot that is named must be signed by whom verify trusts
    const named = await run(project.folder, [
      'verify',
      folder,
      '--key',
      join(project.folder, '.rfo/sandbox/cosign.pub'),
      '--advisories',
      file,
    ])
    expect([named.code, named.stderr]).toEqual([3, expect.stringContaining('RFO_ADVISORY_UNSIGNED')])
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
})

test('track names the published release that a critical advisory hits, once it is verified', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'rfo-hit-'))
  try {
    const [file, tags] = [join(scratch, 'advisories.json.zst'), join(scratch, 'tags.json')]
    const store = ['--store', join(scratch, 'store')]
    const take = async ({ bytes, digest }: ReturnType<typeof later>) => {
      await writeFile(file, bytes)
      expect((await run(root, ['advisories', 'import', file, '--expect', digest, ...store])).code).toBe(0)
    }
    await take(later('critical', 'bash'))
    const tag = ['v1.24.8+rke2r1', '0'.repeat(40), '2022-11-14T14:25:00+01:00']
    await writeFile(tags, JSON.stringify({ schema: 'rfo-build.upstream-tags/1', repository: 'rancher/rke2', tags: [tag] }))
    const track = ['track', '--from', tags, '--at', '2022-11-20', '--published', made, '--exit-code', ...store]
    const told = await run(root, [...track, '--trust', join(made, 'trust')])
    expect([told.code, told.stdout]).toEqual([11, expect.stringContaining(`${version}: 1 advisories of openEuler, critical or high`)])
    expect(told.stdout).toMatch(/critical openEuler-SA-2026-9001; bash \S+ → 99-1(, bash \S+ → 99-1)*; in \d+ images$/m)
    // of lesser weight
    await take(later('low', 'bash'))
    expect((await run(root, [...track, '--trust', join(made, 'trust')])).stdout).toContain('nothing critical or high of openEuler')
    // nobody's word
    expect((await run(root, [...track])).code).toBe(5)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
})
