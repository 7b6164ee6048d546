/** RPMs of rpmbuild, installed by us: what rpm itself, tar and our inventory then find in the image. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rpmHeaders } from '../../src/inspect/rpmdb/index.ts'
import { tool } from '../tools.ts'
import { type Base, baseWith, build, layerOf, rpmbuild, type Spec } from './built.ts'
import { run } from './folder.ts'

const [rpm, tar, xz] = [tool('rpm'), tool('tar'), tool('xz')]

const everything: readonly Spec[] = [
  {
    name: 'alpha',
    payload: 'w2.xzdio',
    install: [
      'mkdir -p usr/bin usr/share/alpha var/lib/alpha usr/share/alpha/empty bin lib64',
      'echo one > usr/share/alpha/one; ln usr/share/alpha/one usr/share/alpha/two; ln usr/share/alpha/one usr/share/alpha/three',
      'ln -s ../share/alpha/one usr/bin/alpha',
      'echo tool > usr/bin/tool; echo old > bin/oldplace; echo lib > lib64/libalpha.so.1; touch var/lib/alpha/state',
    ],
    scripts: '%post -p /sbin/ldconfig\n%pre\necho user\n%postun\necho gone\n',
    files: [
      '/usr/bin/alpha',
      '%attr(4755,root,root) /usr/bin/tool',
      '/bin/oldplace',
      '/lib64/libalpha.so.1',
      '/usr/share/alpha',
      '%dir %attr(0750,root,daemon) /var/lib/alpha',
      '%ghost /var/lib/alpha/state',
    ],
  },
  {
    name: 'beta',
    payload: 'w9.gzdio',
    epoch: 2,
    install: [
      'mkdir -p etc usr/bin usr/share/alpha',
      'echo b > etc/beta.conf; echo s > usr/bin/sgid; echo shared > usr/share/alpha/shared',
    ],
    files: ['%config(noreplace) /etc/beta.conf', '%attr(2755,nobodyhere,nogrouphere) /usr/bin/sgid', '/usr/share/alpha/shared'],
  },
  {
    name: 'gamma',
    payload: 'w3.zstdio',
    head: ['BuildArch: noarch'],
    install: ['mkdir -p usr/share/alpha', 'echo shared > usr/share/alpha/shared; head -c 3000000 /dev/zero > usr/share/alpha/big'],
    files: ['/usr/share/alpha/shared', '/usr/share/alpha/big'],
  },
  { name: 'empty' },
]

let folder: string
let files: string[]
let base: Base
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-layer-'))
  if (!rpmbuild.skip) files = build(folder, everything)
  base = await baseWith()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(rpmbuild.skip || xz.skip || rpm.skip || tar.skip)('a layer of packages', () => {
  test('is what tar lists, with rpm’s modes, owners, links and folders', async () => {
    const path = join(folder, 'layer.tar')
    writeFileSync(path, await layerOf(files, base.view))
    const listed = run(tar.path, ['--numeric-owner', '--full-time', '-tvf', path]).out.trim().split('\n')
    expect(listed.every((line) => line.includes('2022-11-23 10:40:00'))).toBe(true)
    expect(listed.map((line) => line.replace(/ +/g, ' ').replace(/ [0-9]+ 2022-11-23 10:40:00/, ''))).toEqual([
      'drwxr-xr-x 0/0 usr/share/alpha/',
      'drwxr-xr-x 0/0 usr/share/alpha/empty/',
      'drwxr-x--- 0/2 var/lib/alpha/',
      'lrwxrwxrwx 0/0 usr/bin/alpha -> ../share/alpha/one',
      '-rw-r--r-- 0/0 usr/bin/oldplace',
      '-rw-r--r-- 0/0 usr/lib64/libalpha.so.1',
      '-rwsr-xr-x 0/0 usr/bin/tool',
      '-rw-r--r-- 0/0 usr/share/alpha/two',
      'hrw-r--r-- 0/0 usr/share/alpha/one link to usr/share/alpha/two',
      'hrw-r--r-- 0/0 usr/share/alpha/three link to usr/share/alpha/two',
      '-rw-r--r-- 0/0 etc/beta.conf',
      // nobody made its user and group: it must not run as root for everybody
      '-rwxr-xr-x 0/0 usr/bin/sgid',
      '-rw-r--r-- 0/0 usr/share/alpha/shared',
      '-rw-r--r-- 0/0 usr/share/alpha/big',
      '-rw-r--r-- 0/0 var/lib/rpm/Packages.db',
    ])
  })

  test('is a database in which rpm finds the packages whole, and files that are as they say', async () => {
    const root = join(folder, 'root')
    const headers = await unpack(root)
    expect(headers).toHaveLength(1 + everything.length)
    intoSqlite(root, headers)
    const asked = run(rpm.path, [...in_(root), '-qa', '--qf', '%{NAME} %{EVR} %{ARCH} %{INSTALLTIME}\n'])
    expect(asked.out.trim().split('\n').sort()).toEqual([
      'alpha 1.0-1 x86_64 1669200000',
      'bash 1.0-1.oe2403sp1 x86_64 0',
      'beta 2:1.0-1 x86_64 1669200000',
      'empty 1.0-1 x86_64 1669200000',
      'gamma 1.0-1 noarch 1669200000',
    ])
    const checked = (...names: string[]) => run(rpm.path, [...in_(root), '-V', '--nomtime', '--noscripts', '--nodeps', ...names])
    // owners and groups that this machine may give to nobody are root's here: tar ran as root or not
    expect(checked('gamma', 'empty')).toEqual({ code: 0, out: '' })
    expect(checked('--nouser', '--nogroup', 'alpha')).toEqual({ code: 0, out: '' })
    // its setgid is gone, and rpm expects no other: it would have dropped it too
    expect(checked('--nouser', '--nogroup', 'beta').out).toBe('')
    // the one thing that is not as in the package
    expect(run(rpm.path, [...in_(root), '-V', '--noscripts', 'gamma']).out).toContain('.......T.    /usr/share/alpha/big\n')
    writeFileSync(join(root, 'usr/share/alpha/shared'), 'other')
    expect(checked('gamma').out).toContain('/usr/share/alpha/shared')
    expect(run(rpm.path, [...in_(root), '-q', '--scripts', 'alpha']).out).toContain('postinstall program: /sbin/ldconfig')
  })

  async function unpack(root: string): Promise<Buffer[]> {
    const path = join(folder, 'layer.tar')
    writeFileSync(path, await layerOf(files, base.view))
    mkdirSync(join(root, 'usr/lib64'), { recursive: true })
    mkdirSync(join(root, 'usr/bin'), { recursive: true })
    symlinkSync('usr/bin', join(root, 'bin'))
    symlinkSync('usr/lib64', join(root, 'lib64'))
    expect(run(tar.path, ['-C', root, '--same-permissions', '-xf', path])).toEqual({ code: 0, out: '' })
    const database = join(root, 'var/lib/rpm/Packages.db')
    return rpmHeaders(database, readFileSync(database))
  }
})

/** Debian's rpm reads no ndb: the same headers in the kind that it reads, checked and indexed by its own hand. */
function intoSqlite(root: string, headers: readonly Buffer[]): void {
  expect(run(rpm.path, [...in_(root), '--initdb']).code).toBe(0)
  const database = new DatabaseSync(join(root, 'db/rpmdb.sqlite'))
  for (const header of headers) database.prepare('INSERT INTO Packages (blob) VALUES (?)').run(header)
  database.close()
  expect(run(rpm.path, [...in_(root), '--rebuilddb'])).toEqual({ code: 0, out: '' })
}

function in_(root: string): string[] {
  return ['--root', root, '--dbpath', '/db', '--define', '_db_backend sqlite']
}
