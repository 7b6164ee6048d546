/** The installer's other method, by the real dnf and rpm, on a host whose package database is rpm's. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { platformsText } from '../../src/pack/installer.ts'
import { repomdPath, repositoryFolder } from '../../src/rpm/repository.ts'
import { packagePath } from '../../src/rpm/repository-entries.ts'
import type { PgpKey } from '../../src/sign/pgp.ts'
import { pgpKey } from '../rpm/keys.ts'
import { epoch, packagesOf, place } from '../rpm/made.ts'
import { repository, system } from '../rpm/openeuler.ts'
import { tool } from '../tools.ts'
import { hostTool, onHost, type Result, type Run } from './host.ts'
import { type Installable, releaseOf, serve } from './installable.ts'

const host = await hostTool()
const [dnf, gpg] = [tool('dnf'), tool('gpg')]
const repo = repositoryFolder(place, 'x86_64')
const [old, young] = ['v1.24.8+rfor1', 'v1.24.8+rfor2']
const images = '/var/lib/rancher/rfo/agent/images'

/** A release's packages and one archive of images, all of it signed; `change` may touch it before it is summed. */
async function packaged(
  version: string,
  key: PgpKey,
  change: (folder: string) => Promise<void> | void = () => undefined,
): Promise<Installable> {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-packaged-'))
  const store = memoryStore()
  const packages = await packagesOf('linux/amd64', store, version)
  await repository(join(folder, repo), packages, store, { sign: (header) => key.packet(header, epoch) })
  const index = join(folder, repo, repomdPath)
  writeFileSync(`${index}.asc`, await key.detached(readFileSync(index), epoch))
  writeFileSync(join(folder, 'rpm/RPM-GPG-KEY-rfo'), key.publicKey.armored)
  writeFileSync(join(folder, 'rfo-images-core.linux-amd64.tar.zst'), `images of ${version}\n`)
  writeFileSync(join(folder, 'platforms.txt'), platformsText(version, [{ platform: 'linux/amd64', status: 'bootable', missing: [] }]))
  await change(folder)
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  const files = paths.map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
  const made = await releaseOf(new Map(files.map((path) => [path, readFileSync(join(folder, path))])))
  rmSync(folder, { recursive: true })
  return made
}

describe.skipIf(host.skip || dnf.skip || gpg.skip)('packages on a host', () => {
  let key: PgpKey
  let stranger: PgpKey
  /** what is /mnt/release: releases by their names, and the system's own repository */
  let mounted: string
  let first: Installable
  beforeAll(async () => {
    key = await pgpKey()
    stranger = await pgpKey()
    mounted = await mkdtemp(join(tmpdir(), 'rfo-packaged-'))
    const store = memoryStore()
    await repository(join(mounted, 'system'), [await system(store)], store)
    first = await packaged(old, key)
    await cp(first.folder, join(mounted, 'old'), { recursive: true })
    await writeFile(join(mounted, 'cosign.pub'), first.publicPem)
    await writeFile(join(mounted, 'pgp'), key.publicKey.armored)
    await writeFile(join(mounted, 'stranger'), stranger.publicKey.armored)
    const flip =
      (path: string, at: number) =>
      (folder: string): void => {
        const bytes = readFileSync(join(folder, path))
        bytes[bytes.length - at] = bytes[bytes.length - at]! ^ 1
        writeFileSync(join(folder, path), bytes)
      }
    const [, server] = await packagesOf('linux/amd64', store, young)
    const others: Record<string, Parameters<typeof packaged>[2]> = {
      young: undefined,
      // whoever summed it signed these bytes
      'altered-list': flip(`${repo}/${repomdPath}`, 2),
      'altered-package': flip(`${repo}/${packagePath(server!)}`, 9),
      unsigned: async (folder) => {
        const plain = memoryStore()
        await repository(join(folder, repo), await packagesOf('linux/amd64', plain, young), plain)
        const index = join(folder, repo, repomdPath)
        writeFileSync(`${index}.asc`, await key.detached(readFileSync(index), epoch))
      },
      keyless: (folder) => rm(join(folder, 'rpm/RPM-GPG-KEY-rfo')),
    }
    for (const [name, change] of Object.entries(others)) {
      const made = await packaged(young, key, change)
      await cp(made.folder, join(mounted, name), { recursive: true })
      await made.remove()
    }
  })
  afterAll(async () => {
    await first?.remove()
    if (mounted !== undefined) await rm(mounted, { recursive: true, force: true })
  })

  /** openEuler with a repository of its own; `runs`: what is done on it, one after the other. */
  const onOpenEuler = (runs: readonly string[], env: Readonly<Record<string, string>> = {}, more: Run = {}): Promise<Result> =>
    onHost({
      release: mounted,
      env: { ARCH: 'amd64', INSTALL_RFO_KEY: '/mnt/release/cosign.pub', INSTALL_RFO_PGP_KEY: '/mnt/release/pgp', ...env },
      command: runs.join('\n'),
      ...more,
      shims: {
        rpm: 'PATH=/usr/bin:/bin exec /usr/bin/rpm "$@" 2>/dev/null',
        dnf: 'PATH=/usr/bin:/usr/sbin:/bin:/sbin exec /usr/bin/dnf "$@"',
        gpg: 'exec /usr/bin/gpg "$@"',
        ...more.shims,
      },
      before: `echo 'ID="openEuler"' >/etc/os-release; mkdir -p /etc/yum.repos.d
printf '[system]\\nname=openEuler\\nbaseurl=file:///mnt/release/system\\ngpgcheck=0\\n' >/etc/yum.repos.d/system.repo
${more.before ?? ''}`,
    })
  const install = (name: string, env = ''): string =>
    `INSTALL_RFO_ARTIFACT_PATH=/mnt/release/${name} ${env} "$SHELL" "$INSTALLER" || echo "ended with $?"`
  const there = `/usr/bin/rpm -qa 'rfo-*' 2>/dev/null | sort; cat ${images}/*; /usr/bin/rpm -Va 'rfo-*' 2>/dev/null; ls -A ${images} | grep -v zst`
  const installed = (version: string, ...names: readonly string[]): string =>
    [...names.map((name) => `${name}-1.24.8~${version.slice(-5)}-1.x86_64`), `images of ${version}`].join('\n')

  test('openEuler takes packages by itself: installed, again, upgraded, not downgraded but for a restore', async () => {
    const runs = [install('old'), install('old'), install('young'), install('old'), install('old', `INSTALL_RFO_ALLOW_DOWNGRADE=${old}`)]
    const { stdout, stderr, after, systemctl } = await onOpenEuler(
      runs.flatMap((run) => [run, 'echo']),
      {},
      { after: there },
    )
    const [fresh = '', again = '', upgrade = '', refusal = '', restore = ''] = stdout.split('\n\n')
    const named = (version: string): string =>
      `rfo-common-1.24.8~${version.slice(-5)}-1.x86_64 rfo-server-1.24.8~${version.slice(-5)}-1.x86_64`
    expect(fresh.split('\n')).toEqual([
      '[INFO]  staging local checksums from /mnt/release/old/sha256sum-amd64.txt',
      `[INFO]  staging packages from /mnt/release/old/${repo}`,
      '[INFO]  verifying packages',
      `[INFO]  packages are signed by ${key.publicKey.fingerprint.toUpperCase()}`,
      '[INFO]  verifying rfo-images-core.linux-amd64.tar.zst',
      `[INFO]  installing images to ${images}`,
      `[INFO]  installing packages with dnf: ${named(old)}`,
      "[INFO]  asking this host's repositories for what the packages need",
    ])
    expect(again.split('\n').slice(1)).toEqual([
      `[INFO]  installed already: ${named(old)}`,
      '[INFO]  rfo-images-core.linux-amd64.tar.zst is installed already',
    ])
    expect(upgrade.split('\n').at(-1)).toBe(`[INFO]  installing packages with dnf: ${named(young)}`)
    expect(refusal.split('\n').at(-1)).toBe('ended with 1')
    expect(restore.split('\n').at(-1)).toBe(`[INFO]  installing packages with dnf: ${named(old)}`)
    expect(stderr).toContain(`INSTALL_RFO_VERSION=${old} INSTALL_RFO_ALLOW_DOWNGRADE=${old}`)
    expect(stderr.trimEnd().split('\n').at(-1)).toBe(`[ERROR]  ${young} is installed, and ${old} is older: restore etcd instead, as above`)
    expect(after).toBe(installed(old, 'rfo-common', 'rfo-server'))
    expect(systemctl).toEqual(['daemon-reload', 'daemon-reload', 'daemon-reload', 'daemon-reload'])
  })

  test('an altered or unsigned package, an altered index, a key of somebody else, images that are wrong: the old version stays', async () => {
    const runs = [
      install('old'),
      ...['altered-list', 'altered-package', 'unsigned', 'keyless'].map((name) => install(name, 'INSTALL_RFO_PGP_KEY=')),
      install('young', 'INSTALL_RFO_PGP_KEY=/mnt/release/stranger'),
      // dnf's own word, where there is no gpg
      'rm /mnt/tools/gpg',
      install('altered-list'),
      install('young', 'INSTALL_RFO_PGP_KEY=/mnt/release/stranger'),
      'cp -r /mnt/release/young /srv/young; echo x >>/srv/young/rfo-images-core.linux-amd64.tar.zst',
      'INSTALL_RFO_ARTIFACT_PATH=/srv/young "$SHELL" "$INSTALLER"',
    ]
    const { status, stdout, stderr, after } = await onOpenEuler(runs, {}, { after: there })
    expect({ status, ended: stdout.match(/ended with 1/g)?.length }).toEqual({ status: 1, ended: 7 })
    const errors = stderr.split('\n').filter((line) => /^\[ERROR\]/.test(line))
    expect(errors).toEqual([
      '[ERROR]  the signature of repomd.xml is not by the key of the packages: do not use this release',
      '[ERROR]  dnf did not install the packages',
      '[ERROR]  dnf did not install the packages',
      '[ERROR]  v1.24.8+rfor2 has no signed packages for linux/amd64: INSTALL_RFO_METHOD=tar',
      '[ERROR]  the signature of repomd.xml is not by the key of the packages: do not use this release',
      '[ERROR]  dnf did not install the packages',
      '[ERROR]  dnf did not install the packages',
      expect.stringContaining('sha256 of rfo-images-core.linux-amd64.tar.zst does not match'),
    ])
    expect(stderr.match(/putting back what was there before/g)?.length).toBe(4)
    expect(after).toBe(installed(old, 'rfo-common', 'rfo-server'))
  })

  test('a tar installation of 2023 becomes packages and keeps settings, state, and which units run', async () => {
    const units = '/usr/local/lib/systemd/system'
    const before = `mkdir -p /usr/local/bin /usr/local/share/rfo ${units} /var/lib/rancher/rfo/server /etc/rancher/rfo
printf '#!/bin/sh\\necho "rfo version v1.23.17+rfor1 (abc)"\\n' >/usr/local/bin/rfo; chmod 0755 /usr/local/bin/rfo
echo x >/usr/local/bin/rfo-killall.sh; echo x >/usr/local/share/rfo/LICENSE.txt; echo x >/usr/local/bin/mine
printf 'HOME=/root\\nHTTP_PROXY=http://p\\n' >${units}/rfo-server.env; echo 'Description=old' >${units}/rfo-server.service
echo state >/var/lib/rancher/rfo/server/token; echo 'cni: canal' >/etc/rancher/rfo/config.yaml`
    const systemctl = `case "$*" in *rfo-agent*) exit 1;; is-*) exit 0;; esac; echo "$*" >>/out/systemctl`
    const after = `cat /var/lib/rancher/rfo/server/token /etc/rancher/rfo/config.yaml /etc/sysconfig/rfo-server
cd /usr/local; ls bin/*rfo* bin/mine share/rfo ${units}/*rfo* 2>/dev/null; ls /var/lib/rancher/rfo/tar-installation; ${there}`
    const method = 'INSTALL_RFO_METHOD=rpm'
    const runs = [install('unsigned', method), '/usr/local/bin/rfo', install('young', method)]
    const ran = await onOpenEuler(runs, { INSTALL_RFO_PGP_KEY: '' }, { before, after, shims: { systemctl } })
    expect(ran.stdout).toContain('ended with 1\nrfo version v1.23.17+rfor1 (abc)\n')
    expect(ran.stdout).toContain('[INFO]  moving from the tarball in /usr/local to packages')
    expect(ran.after.split('\n').slice(0, 7)).toEqual([
      ...['state', 'cni: canal', 'HOME=/root', 'HTTP_PROXY=http://p', 'bin/mine', 'rfo-server.env', 'rfo-server.service'],
    ])
    // what an administrator set is what rpm -Va says of it
    expect(ran.after.split('\n').slice(7)).toEqual([
      ...installed(young, 'rfo-common', 'rfo-server').split('\n'),
      expect.stringMatching(/^S\.5.* c \/etc\/sysconfig\/rfo-server$/),
    ])
    expect(ran.systemctl.slice(-3)).toEqual(['reenable rfo-server.service', 'daemon-reload', 'try-restart rfo-server.service'])
  })

  test('from a web server: an agent, with the announcement’s log lines', async () => {
    const web = await serve(first.folder)
    const env = { INSTALL_RFO_VERSION: old, INSTALL_RFO_ARTIFACT_URL: web.url, INSTALL_RFO_TYPE: 'agent', INSTALL_RFO_IMAGE_GROUPS: 'core' }
    const { status, stdout, after } = await onOpenEuler(['"$SHELL" "$INSTALLER"'], env, { after: there })
    await web.close()
    const below = `${web.url}/v1.24.8%2Brfor1`
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      `[INFO]  using ${old} as release`,
      `[INFO]  downloading checksums at ${below}/sha256sum-amd64.txt`,
      `[INFO]  downloading packages at ${below}/${repo}`,
      '[INFO]  verifying packages',
    ])
    expect({ status, after }).toEqual({ status: 0, after: installed(old, 'rfo-agent', 'rfo-common') })
  })
})
