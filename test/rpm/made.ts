/** Packages as a release makes them, of small files, for each architecture. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type PlatformName, platformNames, platformOf } from '../../src/oci/platform.ts'
import { parseVersion } from '../../src/plan/version.ts'
import { explorerPackage, explorerSources } from '../../src/rpm/explorer.ts'
import { rpmExtent } from '../../src/rpm/extent.ts'
import { type RpmPackage, rpmFileName } from '../../src/rpm/package.ts'
import { releasePackage } from '../../src/rpm/release-package.ts'
import type { RepositoryPackage } from '../../src/rpm/repository.ts'
import { rfoPackages, unitSources } from '../../src/rpm/rfo.ts'
import { selinuxPackage } from '../../src/rpm/selinux.ts'
import { type WriteRpmOptions, writeRpm } from '../../src/rpm/write.ts'

export const epoch = 1669200000
export const options = { epoch, compression: 'gzip' } as const satisfies WriteRpmOptions

const unit = (kind: string): string => `[Unit]
Description=RFO ${kind}
[Service]
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/usr/local/lib/systemd/system/%N.env
ExecStart=/usr/local/bin/rfo ${kind}
[Install]
WantedBy=multi-user.target
`

/** The release tarball's files; the program is as many bytes as one that a compressor can't shrink. */
export function bundleFiles(platform: PlatformName): ReadonlyMap<string, Buffer> {
  const program = createHash('shake256', { outputLength: 100_000 }).update(platform).digest()
  return new Map([
    ['bin/rfo', Buffer.concat([Buffer.from('#!/bin/true\n'), program])],
    ['bin/rfo-killall.sh', Buffer.from('#!/bin/sh\nexit 0\n')],
    ['bin/rfo-uninstall.sh', Buffer.from('#!/bin/sh\nexit 0\n')],
    ['lib/systemd/system/rfo-server.service', Buffer.from(unit('server'))],
    ['lib/systemd/system/rfo-server.env', Buffer.from('HOME=/root\n')],
    ['lib/systemd/system/rfo-agent.service', Buffer.from(unit('agent'))],
    ['lib/systemd/system/rfo-agent.env', Buffer.from('HOME=/root\n')],
    ['share/rfo/LICENSE.txt', Buffer.from('Apache License 2.0\n')],
    ['share/rfo/rfo-cis-sysctl.conf', Buffer.from('vm.panic_on_oom=0\n')],
  ])
}

export const tarballs: Readonly<Record<PlatformName, string>> = {
  'linux/amd64': 'rfo.linux-amd64.tar.gz',
  'linux/arm64': 'rfo.linux-arm64.tar.gz',
  'linux/riscv64': 'rfo.linux-riscv64.tar.gz',
}

const madeBy = {
  release: '1',
  vendor: 'openEuler sig-RFO',
  url: 'https://gitee.com/rfolabs/rfo',
  packager: 'RFO <rfo@openeuler.org>',
  epoch,
} as const

export async function packagesOf(platform: PlatformName, store: ContentStore, version = 'v1.24.8+rfor1'): Promise<readonly RpmPackage[]> {
  const bundle = new Map<string, { content: Descriptor }>()
  for (const [path, bytes] of bundleFiles(platform)) {
    bundle.set(path, { content: await pushBytes(store, 'application/octet-stream', bytes) })
  }
  return await rfoPackages(
    {
      ...madeBy,
      version: parseVersion(version),
      platform,
      bundle,
      tarballs,
    },
    store,
  )
}

/** What else a release has for hosts: kube-explorer, a policy module, where the repository is. */
export async function hostPackages(platform: PlatformName, store: ContentStore, version = 'v1.24.8+rfor1'): Promise<readonly RpmPackage[]> {
  const put = (bytes: Uint8Array): Promise<Descriptor> => pushBytes(store, 'application/octet-stream', bytes)
  const by = { ...madeBy, version: parseVersion(version), platform, platforms: platformNames }
  return [
    await explorerPackage({ ...by, tag: 'v0.4.2', program: await put(explorer(platform)) }, store),
    selinuxPackage({ ...by, module: 'rfo', content: await put(policy) }),
    await releasePackage({ ...by, place, key: keyText }, store),
  ]
}

export const place = { channel: 'stable', minor: '1.24', os: '24.03-LTS' }
const policy = Buffer.from('a policy module\n')
const keyText = 'a key\n'
const explorer = (platform: PlatformName): Buffer => Buffer.from(`#!/bin/true\n${platform}\n`)

/** All sources of all packages as files in `folder`; tarballs are packed by tar itself. */
export async function writeSources(folder: string): Promise<void> {
  writeTarballs(folder)
  for (const [name, text] of Object.entries(explorerSources)) writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'rfo.pp'), policy)
  for (const [path, bytes] of bundleFiles('linux/amd64')) if (unitSources.includes(path)) writeFileSync(join(folder, basename(path)), bytes)
  const store = memoryStore()
  for (const platform of platformNames) {
    const { architecture } = platformOf(platform)
    writeFileSync(join(folder, `kube-explorer.linux-${architecture}`), explorer(platform))
    for (const file of (await hostPackages(platform, store)).find(({ name }) => name === 'rfo-release')?.files ?? []) {
      if (file.kind !== 'file') continue
      const name = file.source === 'rfo.repo' ? `rfo.linux-${architecture}.repo` : file.source
      writeFileSync(join(folder, name), await readBytes(store, file.content))
    }
  }
}

export function writeTarballs(folder: string): void {
  for (const platform of platformNames) {
    const tree = mkdtempSync(join(tmpdir(), 'rfo-rpm-tree-'))
    for (const [path, bytes] of bundleFiles(platform)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true })
      writeFileSync(join(tree, path), bytes)
    }
    execFileSync('tar', ['-C', tree, '-czf', join(folder, tarballs[platform]), 'bin', 'lib', 'share'])
    rmSync(tree, { recursive: true })
  }
}

/** Writes the RPM into `folder` and describes it for a repository. */
export async function toFolder(
  pkg: RpmPackage,
  store: ContentStore,
  folder: string,
  more: Partial<WriteRpmOptions> = {},
): Promise<RepositoryPackage> {
  const all: WriteRpmOptions = { ...options, ...more }
  const { rpm } = await writeRpm(pkg, store, all)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, rpmFileName(pkg)), await readBytes(store, rpm, 1 << 30))
  return { pkg, rpm, extent: await rpmExtent(rpm, store), compression: all.compression }
}

/** A package with a bit of everything that a model can say. */
export async function everything(store: ContentStore, more: Partial<RpmPackage> = {}): Promise<RpmPackage> {
  const put = async (text: string): Promise<Descriptor> => await pushBytes(store, 'application/octet-stream', Buffer.from(text))
  return {
    name: 'every-thing',
    epoch: 2,
    version: '1.0~rc1^git5',
    release: '3',
    arch: 'x86_64',
    summary: 'Has 100% of what a model can say',
    description: 'Two lines, <&">\nand %{name}.',
    license: 'Apache-2.0 AND MIT',
    url: 'https://example.org/?a=1&b=2',
    vendor: 'Nobody',
    packager: 'Nobody <nobody@example.org>',
    files: [
      { kind: 'file', path: '/usr/bin/every', mode: 0o755, content: await put('#!/bin/sh\necho every\n'), source: 'every' },
      { kind: 'file', path: '/usr/bin-x/every', mode: 0o4755, content: await put('x'), source: 'x' },
      { kind: 'file', path: '/etc/every.conf', mode: 0o640, content: await put('a=1\n'), source: 'conf', mark: 'config(noreplace)' },
      { kind: 'file', path: '/etc/every.d/b.conf', mode: 0o644, content: await put('b=2\n'), source: 'b', mark: 'config' },
      { kind: 'file', path: '/usr/share/doc/every/README', mode: 0o644, content: await put('read\n'), source: 'readme', mark: 'doc' },
      { kind: 'file', path: '/usr/share/licenses/every/MIT', mode: 0o644, content: await put('mit\n'), source: 'mit', mark: 'license' },
      { kind: 'file', path: '/usr/share/every/empty', mode: 0o644, content: await put(''), source: 'empty' },
      { kind: 'symlink', path: '/usr/bin/all', target: 'every' },
      { kind: 'directory', path: '/etc/every.d', mode: 0o750 },
      { kind: 'directory', path: '/run/every', mode: 0o755, ghost: true },
      { kind: 'ghost', path: '/var/log/every.log', mode: 0o600 },
    ],
    requires: [{ name: '/bin/sh' }, { name: 'libevery', is: { relation: '>=', version: '1:2.0' } }, { name: 'systemd', script: 'post' }],
    provides: [{ name: 'everything', is: { relation: '=', version: '1.0' } }],
    conflicts: [{ name: 'nothing', is: { relation: '<', version: '5' } }],
    obsoletes: [{ name: 'something', is: { relation: '<=', version: '0.9-1' } }],
    scripts: { pre: 'true', post: 'echo 50% "$1"\ntrue', preun: 'true', postun: 'true', posttrans: 'true' },
    changelog: [
      { date: '2022-11-23', author: 'Nobody <nobody@example.org>', changes: ['second & <best>', 'two lines'] },
      { date: '2022-11-03', author: 'Nobody <nobody@example.org> - 0.9-1', changes: ['first'] },
    ],
    archives: { x86_64: 'every.tar.gz' },
    ...more,
  }
}
