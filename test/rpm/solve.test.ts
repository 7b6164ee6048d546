/** What we would install, held against what dnf would install from the same repository on the same base. */
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packingOf, unpacked } from '../../src/rpm/decompress.ts'
import type { Capability, Solvable } from '../../src/rpm/solve/capability.ts'
import { nevraOf } from '../../src/rpm/solve/capability.ts'
import { readFilelists, readPrimary } from '../../src/rpm/solve/primary.ts'
import { readRepomd } from '../../src/rpm/solve/repomd.ts'
import { solve } from '../../src/rpm/solve/solve.ts'
import { type Candidate, createUniverse } from '../../src/rpm/solve/universe.ts'
import { tool } from '../tools.ts'
import { arch, build, rpmbuild, type Spec } from './built.ts'
import { run } from './folder.ts'

const [dnf, createrepo] = [tool('dnf'), tool('createrepo_c')]

/** `base` is installed before; its requirements are met by what rpm brings itself. */
const base: readonly Spec[] = [
  { name: 'libc', evr: '2.34-1', head: ['Provides: libc.so.6()(64bit)', 'Provides: /bin/sh', 'Provides: virtual(base) = 3'] },
  { name: 'openssl-libs', evr: '1.1-1' },
]
const packages: readonly Spec[] = [
  { name: 'iptables', evr: '1.8-1', head: ['Requires: iptables-libs = 1.8-1', 'Requires: libc.so.6()(64bit)', 'Requires(post): /bin/sh'] },
  { name: 'iptables', evr: '1.9-1', head: ['Requires: iptables-libs = 1.9-1', 'Requires: /usr/share/conntrack/table'] },
  { name: 'iptables-libs', evr: '1.8-1', head: ['Requires: libmnl >= 1.0'] },
  { name: 'iptables-libs', evr: '1.9-1', head: ['Requires: libmnl >= 1.0', 'Requires: libmnl < 2'] },
  { name: 'libmnl', evr: '1.0-3' },
  { name: 'libmnl', evr: '1.0-20' },
  { name: 'libmnl', evr: '2.0-1' },
  {
    name: 'conntrack',
    install: ['mkdir -p usr/share/conntrack usr/sbin', 'echo x > usr/share/conntrack/table; echo y > usr/sbin/conntrack'],
    files: ['/usr/share/conntrack/table', '/usr/sbin/conntrack'],
  },
  { name: 'by-path', head: ['Requires: /usr/sbin/conntrack'] },
  // the newest needs another openssl than the base has
  { name: 'openssl', evr: '1.1-1', head: ['Requires: openssl-libs = 1.1-1'] },
  { name: 'openssl', evr: '1.2-1', head: ['Requires: openssl-libs = 1.2-1'] },
  { name: 'epochal', evr: '9.0-1', head: ['Provides: epochal-thing = 9.0'] },
  { name: 'epochal', evr: '1.0-1', epoch: 1, head: ['BuildArch: noarch'] },
  { name: 'rich', head: ['Requires: (missing or libmnl)', 'Requires: (conntrack if by-path)', 'Requires: (epochal if absent)'] },
  { name: 'rich-with', head: ['Requires: (virtual(base) >= 2 with libc)', 'Requires: (epochal and libmnl)'] },
  { name: 'rich-else', head: ['Requires: (missing if absent else conntrack)', 'Requires: (by-path if conntrack)'] },
  { name: 'loop-a', head: ['Requires: loop-b'] },
  { name: 'loop-b', head: ['Requires: loop-a'] },
  { name: 'cautious', head: ['Requires: choice', 'Conflicts: choice-a'] },
  { name: 'choice-a', head: ['Provides: choice'] },
  { name: 'choice-bb', head: ['Provides: choice'] },
  { name: 'modern', head: ['Obsoletes: ancient < 2', 'Provides: ancient = 2'] },
  { name: 'tilde', evr: '2.0~rc1-1' },
  { name: 'tilde', evr: '1.9-1' },
  { name: 'wants-tilde', head: ['Requires: tilde < 2.0'] },
  { name: 'broken', head: ['Requires: libnothing.so.7()(64bit)'] },
  { name: 'needs-broken', head: ['Requires: broken'] },
  { name: 'upgrade-only', head: ['Requires: openssl-libs > 1.1-1'] },
  { name: 'fighter', head: ['Conflicts: libmnl'] },
  { name: 'fan', head: ['Requires: fighter', 'Requires: libmnl'] },
]

let folder: string
let installed: Solvable[]
let universe: ReturnType<typeof createUniverse>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-solve-'))
  if (rpmbuild.skip || createrepo.skip) return
  build(join(folder, 'base'), base)
  build(join(folder, 'repo'), packages)
  // a newer openssl-libs is to be had: the base keeps its own all the same
  build(join(folder, 'repo'), [{ name: 'openssl-libs', evr: '1.2-1' }])
  for (const name of ['base', 'repo']) expect(run(createrepo.path, ['-q', '--no-database', join(folder, name)]).code).toBe(0)
  installed = await read('base')
  universe = createUniverse([await read('repo')], arch)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function read(name: string): Promise<Candidate[]> {
  return await readPrimary(await list(name, 'primary'), 'https://example.org/', arch)
}

async function list(name: string, type: string): Promise<AsyncIterable<Uint8Array>> {
  const { files } = await readRepomd(createReadStream(join(folder, name, 'repodata/repomd.xml')))
  const bytes = readFileSync(join(folder, name, files.get(type)?.href ?? ''))
  return unpacked(bytesOf(bytes), packingOf(bytes), { env: {} })
}

async function* bytesOf(...parts: readonly (Buffer | string)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part)
}

/** With the long list of files where one is asked for. */
async function ours(wanted: readonly string[]): Promise<string[]> {
  const unknown = new Set<string>()
  const request = { wanted, installed, universe }
  try {
    solve(request, unknown)
  } catch {
    // once more with what was unknown
  }
  universe.addFiles(await readFilelists(await list('repo', 'filelists'), unknown))
  return solve(request).map(nevraOf).sort()
}

/** dnf's own library, since a whole dnf for each question takes two seconds. What it would install, or null when it refuses. */
const asking = `
import json, sys, dnf
place, repo, arch, wishes = json.loads(sys.argv[1])
base = dnf.Base()
conf = base.conf
conf.installroot, conf.cachedir, conf.persistdir, conf.logdir = place + '/root', place + '/cache', place + '/persist', place
conf.plugins, conf.install_weak_deps, conf.best, conf.gpgcheck = False, False, False, False
conf.substitutions['releasever'] = '24.03'
conf.substitutions['arch'] = conf.substitutions['basearch'] = arch
base.repos.add_new_repo('repo', conf, baseurl=['file://' + repo], excludepkgs=['openssl-libs'])
base.fill_sack()
found = []
for wanted in wishes:
    base.reset(goal=True)
    try:
        for name in wanted: base.install(name)
        base.resolve()
        found.append(sorted(('%s-%s.%s' % (p.name, p.evr, p.arch)) for p in base.transaction.install_set))
    except dnf.exceptions.Error:
        found.append(None)
print(json.dumps(found))
`

function dnfs(wishes: readonly (readonly string[])[]): (string[] | null)[] {
  const place = join(folder, 'dnf')
  mkdirSync(join(place, 'root'), { recursive: true })
  const rpms = readdirSync(join(folder, 'base/top/RPMS'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.rpm'))
  const root = ['--root', join(place, 'root'), '--nodeps', '--noscripts', '--justdb']
  expect(run('rpm', [...root, '-i', ...rpms.map((name) => join(folder, 'base/top/RPMS', name))])).toEqual({ code: 0, out: '' })
  const python = /^#!(\S+)/.exec(readFileSync(dnf.path, 'utf8'))?.[1] ?? 'python3'
  const { out } = run(python, ['-c', asking, JSON.stringify([place, join(folder, 'repo'), arch, wishes])])
  return JSON.parse(out.slice(out.indexOf('[['))) as (string[] | null)[]
}

const whole = rpmbuild.skip || createrepo.skip
test.skipIf(whole || dnf.skip)('dnf finds the same, and nothing where we find nothing', async () => {
  const wishes = [
    ['iptables'],
    ['iptables', 'libmnl'],
    ['by-path'],
    ['openssl'],
    ['epochal'],
    ['rich'],
    ['rich', 'by-path'],
    ['rich-with'],
    ['rich-else'],
    ['loop-a'],
    ['cautious'],
    ['modern'],
    ['wants-tilde'],
    ['iptables', 'openssl', 'rich', 'loop-b', 'cautious', 'wants-tilde', 'libc'],
    ...[['broken'], ['needs-broken'], ['upgrade-only'], ['fan'], ['fighter', 'libmnl']],
  ]
  const theirs = dnfs(wishes)
  expect(theirs.filter((each) => each === null)).toHaveLength(5)
  for (const [n, wanted] of wishes.entries()) {
    const mine = await ours(wanted).catch((thrown: { code?: string }) => thrown.code)
    expect(mine, wanted.join(' ')).toEqual(theirs[n] ?? 'RFO_RPM_UNSOLVABLE')
  }
})

describe.skipIf(whole)('what can’t be solved says why', () => {
  test.each<readonly [string, string]>([
    ['broken', 'no package provides libnothing.so.7()(64bit), which broken-1.0-1.x86_64 requires'],
    ['needs-broken', 'no package provides libnothing.so.7()(64bit), which broken-1.0-1.x86_64 requires'],
    [
      'upgrade-only',
      'openssl-libs > 1.1-1, which upgrade-only-1.0-1.x86_64 requires, is in openssl-libs-1.2-1.x86_64, and the base has openssl-libs-1.1-1.x86_64',
    ],
    ['fan', 'libmnl, which fan-1.0-1.x86_64 requires, is in libmnl-2.0-1.x86_64, and it does not go with fighter-1.0-1.x86_64'],
  ])('%s', (wanted, message) => {
    expect(() => solve({ wanted: [wanted], installed, universe })).toThrow(message)
  })

  test('a name that nobody has is said with those that somebody may have meant', () => {
    expect(() => solve({ wanted: ['ip-tables'], installed, universe })).toThrow('no repository has a package ip-tables; there is iptables')
    expect(() => solve({ wanted: ['zzzzzzzz'], installed, universe })).toThrow(/^no repository has a package zzzzzzzz$/)
  })
})

describe('the search', () => {
  const made = (name: string, requires: readonly string[], more: Partial<Candidate> = {}): Candidate => ({
    name,
    evr: '1-1',
    arch: 'noarch',
    provides: [],
    requires: requires.map((text): Capability => ({ name: text })),
    conflicts: [],
    obsoletes: [],
    files: [],
    url: '',
    sha256: '',
    size: 0,
    ...more,
  })
  const versions = (name: string, count: number, requires: readonly string[]): Candidate[] =>
    Array.from({ length: count }, (_, n) => made(name, requires, { evr: `${n}-1` }))

  test('does not try the product of everybody’s versions', () => {
    const names = Array.from({ length: 30 }, (_, n) => `p${n}`)
    const hard = [...names.flatMap((name) => versions(name, 10, [])), ...versions('last', 10, ['nowhere'])]
    expect(() => solve({ wanted: [...names, 'last'], installed: [], universe: createUniverse([hard], arch) })).toThrow(
      'no package provides nowhere',
    )
    // blamed is the one that conflicts, thirty choices before
    const culprit = [...versions('p00', 2, []), made('zz', [], { conflicts: [{ name: 'p00', is: { relation: '=', evr: '1-1' } }] })]
    const solved = solve({ wanted: ['p00', ...names, 'zz'], installed: [], universe: createUniverse([[...hard, ...culprit]], arch) })
    expect(solved.find(({ name }) => name === 'p00')?.evr).toBe('0-1')
    expect(solved).toHaveLength(32)
  })

  test('ends when nothing ends it', () => {
    // a pigeonhole: n packages that each need one of fewer places
    const places = Array.from({ length: 8 }, (_, n) => `place${n}`)
    const birds = Array.from({ length: 9 }, (_, n) => made(`bird${n}`, [`hole${n}`]))
    const holes = birds.flatMap((_, n) =>
      places.map((place) => made(`${place}-${n}`, [], { provides: [{ name: `hole${n}` }, { name: place }], conflicts: [{ name: place }] })),
    )
    const started = performance.now()
    expect(() =>
      solve({ wanted: birds.map(({ name }) => name), installed: [], universe: createUniverse([[...birds, ...holes]], arch) }),
    ).toThrow()
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  test('of two repositories the first one’s package counts, and other architectures never', () => {
    const here = [made('a', [], { url: 'first' }), made('a', [], { arch: 'aarch64', evr: '2-1' })]
    const found = solve({ wanted: ['a'], installed: [], universe: createUniverse([here, [made('a', [], { url: 'second' })]], arch) })
    expect(found.map(({ url }) => url)).toEqual(['first'])
  })
})

describe('metadata that lies', () => {
  const primary = (text: string) => readPrimary(bytesOf(text), 'https://example.org/', arch)
  const good = `<metadata xmlns:rpm="r"><package type="rpm"><name>a</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/>
<checksum type="sha256" pkgid="YES">${'a'.repeat(64)}</checksum><size package="7"/><location href="Packages/a.rpm"/>
<format><rpm:requires><rpm:entry name="b" flags="GE" epoch="0" ver="2"/></rpm:requires><file>/usr/bin/a</file></format></package></metadata>`

  test('what is good is read', async () => {
    const [one] = await primary(good)
    expect(one).toMatchObject({ name: 'a', evr: '1-1', url: 'https://example.org/Packages/a.rpm', size: 7, files: ['/usr/bin/a'] })
    expect(one?.requires).toEqual([{ name: 'b', is: { relation: '>=', evr: '2' } }])
  })

  test.each([
    ['cut off', good.slice(0, 300)],
    ['no checksum', good.replace('sha256', 'md5')],
    ['a path that leaves', good.replace('Packages/a.rpm', '../../a.rpm')],
    ['another host', good.replace('Packages/a.rpm', 'https://elsewhere.example/a.rpm')],
    ['another base', good.replace('<location ', '<location xml:base="https://elsewhere.example/" ')],
    ['a name that is none', good.replace('<name>a', '<name>a/../b')],
    ['a version that is none', good.replace('ver="1"', 'ver="1 2"')],
    ['no size', good.replace('package="7"', 'package="-7"')],
    ['entities of its own', `<!DOCTYPE x [<!ENTITY a "aaaa">]>${good}`],
    ['too deep', `<metadata>${'<a>'.repeat(40)}`],
    ['no XML', 'hello'],
  ])('%s', async (_what, text) => {
    await expect(primary(text)).rejects.toMatchObject({ code: 'RFO_RPM_METADATA', exit: 'untrusted' })
  })

  test('names of objects’ own members are names', async () => {
    const odd = good.replace('flags="GE"', 'flags="constructor"').replace('<format>', '<format><constructor/><rpm:entry name="x"/>')
    expect((await primary(odd))[0]?.requires).toEqual([{ name: 'b' }])
  })

  test('repomd.xml without a primary list of SHA-256, or with one that lies elsewhere', async () => {
    const repomd = (href: string, type: string) =>
      readRepomd(
        bytesOf(
          `<repomd><data type="primary"><checksum type="${type}">${'a'.repeat(64)}</checksum><location href="${href}"/></data></repomd>`,
        ),
      )
    expect((await repomd('repodata/p.xml.gz', 'sha256')).files.get('primary')?.href).toBe('repodata/p.xml.gz')
    for (const bad of [repomd('../p.xml.gz', 'sha256'), repomd('p.xml.gz', 'md5'), repomd('//host/p', 'sha256')])
      await expect(bad).rejects.toMatchObject({ code: 'RFO_RPM_METADATA' })
  })
})
