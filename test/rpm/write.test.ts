import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { ContentReader } from '../../src/content/store.ts'
import { RfoError } from '../../src/error.ts'
import { parseRpmHeader } from '../../src/inspect/rpmdb/header.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { rpmExtent } from '../../src/rpm/extent.ts'
import { type RpmPackage, rpmFileName, sortedFiles } from '../../src/rpm/package.ts'
import { writeRpm } from '../../src/rpm/write.ts'
import { tool } from '../tools.ts'
import { inFolder, type Ran, run } from './folder.ts'
import { everything, options, packagesOf, toFolder } from './made.ts'

const rpm = tool('rpm')
const gpg = tool('gpg')

describe('bytes', () => {
  test('the same package gives the same bytes, from any store and in any pieces', async () => {
    await inFolder(async (folder) => {
      for (const compression of ['gzip', 'zstd'] as const) {
        const memory = memoryStore()
        const disk = await openDirectoryStore(join(folder, compression))
        const one = await writeRpm(await everything(memory), memory, { ...options, compression })
        const two = await writeRpm(await everything(disk), disk, { ...options, compression })
        const crumbs: ContentReader = { ...memory, fetch: (target) => inCrumbs(memory.fetch(target)) }
        const three = await writeRpm(await everything(memory), { ...memory, ...crumbs }, { ...options, compression })
        expect(two).toEqual(one)
        expect(three).toEqual(one)
      }
    })
  })

  test('the order of files does not matter, everything else does', async () => {
    const store = memoryStore()
    const pkg = await everything(store)
    const { rpm: made } = await writeRpm(pkg, store, options)
    expect((await writeRpm({ ...pkg, files: [...pkg.files].reverse() }, store, options)).rpm).toEqual(made)
    for (const other of [{ summary: 'x' }, { files: pkg.files.slice(1) }, { scripts: {} }, { release: '4' }] as Partial<RpmPackage>[]) {
      expect((await writeRpm({ ...pkg, ...other }, store, options)).rpm.digest).not.toBe(made.digest)
    }
    expect((await writeRpm(pkg, store, { ...options, epoch: options.epoch + 1 })).rpm.digest).not.toBe(made.digest)
  })

  test('the reader of databases finds in the header what the model says', async () => {
    const store = memoryStore()
    const pkg = await everything(store)
    const { rpm: made, unsigned } = await writeRpm(pkg, store, options)
    const extent = await rpmExtent(made, store)
    const bytes = Buffer.from(await readBytes(store, made))
    expect(extent.unsigned).toBe(unsigned)
    expect(digestOf(bytes.subarray(extent.headerStart))).toBe(unsigned)
    expect(extent.unsignedSize).toBe(bytes.length - extent.headerStart)
    const read = parseRpmHeader(bytes.subarray(extent.headerStart, extent.headerEnd))
    const { name, epoch, version, release, arch, license, vendor } = pkg
    expect(read).toMatchObject({ name, epoch, version, release, arch, license, vendor, digestAlgorithm: 8 })
    expect(read.files.map((file) => file.path)).toEqual(sortedFiles(pkg).map((file) => file.path))
    expect(read.files.find((file) => file.path === '/etc/every.conf')?.digest).toBe(digestOf('a=1\n').slice(7))
    expect(read.provides).toEqual(['every-thing', 'every-thing(x86-64)', 'everything'])
    expect(read.requires).toContain('rpmlib(TildeInVersions)')
    expect(read.requires).toContain('rpmlib(CaretInVersions)')
    const front = { ...store, fetch: () => inCrumbs(store.fetch(made)) }
    expect(await rpmExtent(made, front)).toEqual(extent)
  })

  test('what is no RPM is refused', async () => {
    const store = memoryStore()
    const { rpm: made } = await writeRpm(await everything(store), store, options)
    const good = Buffer.from(await readBytes(store, made))
    const changed = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(good)
      bytes.writeUInt32BE(value, at)
      return bytes
    }
    const bad = [
      Buffer.alloc(0),
      good.subarray(0, 100),
      good.subarray(0, 500),
      changed(0, 1),
      changed(96, 1),
      changed(104, 0xffffffff),
      changed(108, 0x0fffffff),
    ]
    for (const bytes of bad) {
      const target = await pushBytes(store, 'application/x-rpm', bytes)
      await expect(rpmExtent(target, store)).rejects.toMatchObject({ code: 'RFO_RPM_FORMAT', exit: 'untrusted' })
    }
  })

  test('what rpm or a spec would read as something else is refused', async () => {
    const store = memoryStore()
    const pkg = await everything(store)
    const [file] = pkg.files
    const wrong: Partial<RpmPackage>[] = [
      { name: 'a b' },
      { version: '1-2' },
      { release: '' },
      { summary: 'two\nlines' },
      { description: 'a\0b' },
      { epoch: -1 },
      { requires: [{ name: 'a b' }] },
      { requires: [{ name: 'a', is: { relation: '=', version: '1 2' } }] },
      { changelog: [{ date: '2022-13-45', author: 'x', changes: [] }] },
      ...['usr/bin/x', '/usr/../etc/x', '/usr//x', '/a b', '/a\n', '/%{x}', '/*'].map((path) => ({ files: [{ ...file!, path }] })),
      { files: [file!, file!] },
      { files: [{ ...file!, source: '../x' } as never] },
      { files: [{ ...file!, edits: [['a|b', 'c']] } as never] },
      { files: [{ kind: 'symlink', path: '/a', target: 'b\0' }] },
    ]
    for (const each of wrong)
      await expect(writeRpm({ ...pkg, ...each }, store, options), JSON.stringify(each)).rejects.toMatchObject({ code: 'RFO_RPM_PACKAGE' })
  })

  test('a file that is not what its digest says makes no package', async () => {
    const store = memoryStore()
    const pkg = await everything(store)
    const lying: typeof store = {
      ...store,
      fetch: (target) => store.fetch({ ...target, digest: digestOf('something else') }),
    }
    await expect(writeRpm(pkg, lying, options)).rejects.toBeInstanceOf(RfoError)
  })

  test('200 MB in constant memory', async () => {
    await inFolder(async (folder) => {
      const child = spawnSync(process.execPath, [join(import.meta.dirname, 'memory-child.ts'), folder], { encoding: 'utf8' })
      expect(child.stderr).toBe('')
      const { size, before, peak } = JSON.parse(child.stdout)
      expect(size).toBeGreaterThan(200_000_000)
      // KiB
      expect(peak - before).toBeLessThan(80 * 1024)
    })
  })
})

describe.skipIf(rpm.skip)('rpm', () => {
  test('finds all digests right, and a changed byte anywhere but in the lead', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const pkg = await everything(store)
      for (const compression of ['gzip', 'zstd'] as const) {
        const { extent } = await toFolder(pkg, store, folder, { compression })
        const path = join(folder, rpmFileName(pkg))
        const checked = run(rpm.path, ['-Kv', path])
        expect(checked.code).toBe(0)
        expect(checked.out).toContain('Header SHA256 digest: OK')
        expect(checked.out).toContain('Payload SHA256 digest: OK')
        const bytes = readFileSync(path)
        for (const at of [200, extent.headerStart + 40, extent.headerEnd - 20, extent.headerEnd + 30, bytes.length - 5]) {
          const changed = Buffer.from(bytes)
          changed[at] = changed[at]! ^ 1
          writeFileSync(path, changed)
          expect(run(rpm.path, ['-K', path]).code, `byte ${at}`).not.toBe(0)
        }
      }
    })
  })

  test('installs every package of every architecture into a root, where nothing differs until it is changed', async () => {
    await inFolder(async (folder) => {
      for (const platform of platformNames) {
        const store = memoryStore()
        const packages = await packagesOf(platform, store)
        const rpms = join(folder, 'rpms')
        const root = join(folder, platform.replace('/', '-'))
        mkdirSync(root)
        for (const pkg of packages) await toFolder(pkg, store, rpms)
        const paths = packages.map((pkg) => join(rpms, rpmFileName(pkg)))
        const refused = run(rpm.path, ['--root', root, '--ignorearch', '--ignoreos', '-i', ...paths])
        expect(refused.out).toContain('iptables is needed by rfo-common')
        const installed = run(rpm.path, ['--root', root, '--ignorearch', '--nodeps', '--noscripts', '-i', ...paths])
        expect(installed).toEqual({ code: 0, out: '' })
        expect(run(rpm.path, ['--root', root, '--nodeps', '-Va'])).toEqual({ code: 0, out: '' })
        expect(readFileSync(join(root, 'usr/lib/systemd/system/rfo-server.service'), 'utf8')).toContain('ExecStart=/usr/bin/rfo server')
        expect(existsSync(join(root, 'run/k3s'))).toBe(false)
        appendFileSync(join(root, 'etc/sysconfig/rfo-server'), 'X=1\n')
        expect(run(rpm.path, ['--root', root, '--nodeps', '-Va']).out).toContain('S.5....T.  c /etc/sysconfig/rfo-server')
      }
    })
  })

  test('an upgrade from a release candidate keeps what an administrator wrote, and nothing goes back by accident', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const root = join(folder, 'root')
      mkdirSync(root)
      const upgrade = async (version: string): Promise<Ran> => {
        const packages = await packagesOf('linux/amd64', store, version)
        for (const pkg of packages) await toFolder(pkg, store, folder)
        const paths = packages.map((pkg) => join(folder, rpmFileName(pkg)))
        return run(rpm.path, ['--root', root, '--nodeps', '--noscripts', '-U', ...paths])
      }
      expect(await upgrade('v1.24.8-rc2+rfor1')).toEqual({ code: 0, out: '' })
      const settings = join(root, 'etc/sysconfig/rfo-server')
      appendFileSync(settings, 'MINE=1\n')
      expect(await upgrade('v1.24.8+rfor1')).toEqual({ code: 0, out: '' })
      expect(await upgrade('v1.24.8+rfor2')).toEqual({ code: 0, out: '' })
      expect(readFileSync(settings, 'utf8')).toContain('MINE=1')
      expect((await upgrade('v1.24.8+rfor1')).out).toContain('which is newer than rfo-common-1.24.8~rfor1-1')
      const removed = run(rpm.path, ['--root', root, '--nodeps', '--noscripts', '-e', 'rfo-server', 'rfo-agent', 'rfo-common'])
      expect(removed.code).toBe(0)
      expect(existsSync(`${settings}.rpmsave`)).toBe(true)
      expect(existsSync(join(root, 'usr/bin/rfo'))).toBe(false)
    })
  })

  test('runs scriptlets with /bin/sh, each of which is a script that sh takes', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      for (const pkg of await packagesOf('linux/riscv64', store)) {
        await toFolder(pkg, store, folder)
        const shown = run(rpm.path, ['-qp', '--scripts', join(folder, rpmFileName(pkg))]).out
        for (const script of Object.values(pkg.scripts)) {
          expect(shown).toContain(script)
          execFileSync('sh', ['-n'], { input: script })
        }
      }
    })
  })

  test.skipIf(gpg.skip)('a signature of gpg over the header is one of the package, and changes nothing that the root lists', async () => {
    await inFolder(async (folder) => {
      for (const algorithm of ['rsa2048', 'ed25519']) {
        const home = join(folder, algorithm)
        mkdirSync(home, { mode: 0o700 })
        const env = { GNUPGHOME: home }
        const quick = ['--batch', '--passphrase', '', '--quick-gen-key', `${algorithm} <x@example.org>`, algorithm, 'sign', 'never']
        expect(run(gpg.path, quick, env).code).toBe(0)
        const sign = async (bytes: Uint8Array): Promise<Uint8Array> =>
          execFileSync(gpg.path, ['--batch', '--digest-algo', 'SHA256', '--detach-sign'], {
            input: bytes,
            env: { ...process.env, ...env },
            stdio: ['pipe', 'pipe', 'ignore'],
          })
        const key = join(home, 'key.asc')
        writeFileSync(key, run(gpg.path, ['--armor', '--export'], env).out)
        const store = memoryStore()
        const pkg = await everything(store)
        const unsigned = (await writeRpm(pkg, store, options)).unsigned
        await toFolder(pkg, store, home, { sign })
        expect((await writeRpm(pkg, store, { ...options, sign })).unsigned).toBe(unsigned)
        const path = join(home, rpmFileName(pkg))
        const database = ['--dbpath', join(home, 'db')]
        expect(run(rpm.path, [...database, '-Kv', path]).out).toContain('NOKEY')
        expect(run(rpm.path, [...database, '--import', key]).code).toBe(0)
        const checked = run(rpm.path, [...database, '-Kv', path])
        expect(checked.out).toMatch(/Header V4 (RSA|EdDSA)\/SHA256 Signature.*: OK/)
        expect(checked.code).toBe(0)
        run('gpgconf', ['--kill', 'gpg-agent'], env)
      }
    })
  })

  test('a signature that is none is refused', async () => {
    const store = memoryStore()
    const pkg = await everything(store)
    for (const packet of [[], [0x88, 0, 3], [0xff, 1, 2, 3], [0x88, 5, 4, 0, 99]]) {
      const written = writeRpm(pkg, store, { ...options, sign: async () => Uint8Array.from(packet) })
      await expect(written).rejects.toMatchObject({ code: 'RFO_RPM_SIGNATURE' })
    }
  })
})

async function* inCrumbs(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for await (const bytes of source) for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}
