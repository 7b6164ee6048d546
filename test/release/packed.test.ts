/** What a release packs, taken out of its folder by those who will: the installer on a host, containerd, rpm, dnf, helm, tar, zstd. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { generatePgpKey } from '../../src/sign/pgp.ts'
import { type Containerd, startContainerd } from '../build/containerd.ts'
import { hostTool, onHost } from '../pack/host.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { type Project, type Ran, run, smallProject, version } from './project.ts'

let project: Project
let made: string
let scratch: string
let predicate: ReleasePredicate

const notice = `id: RFO-SA-2022-1001
title: A node's certificate <& its key>
severity: Important
cves: [CVE-2022-1001, CVE-2022-1002]
description: Two lines,\n  and "quotes".
fixed: [v1.23.14+rfor2, v1.24.8+rfor1]
`

beforeAll(async () => {
  project = await smallProject()
  await mkdir(join(project.folder, 'pipelines/selinux'))
  await writeFile(join(project.folder, 'pipelines/selinux/rfo.pp'), 'a policy module\n')
  await mkdir(join(project.folder, 'pipelines/advisories'))
  await writeFile(join(project.folder, 'pipelines/advisories/RFO-SA-2022-1001.yaml'), notice)
  expect((await run(project.folder, ['release', version, '--sandbox', '--progress', 'none'])).code).toBe(0)
  made = join(project.folder, 'dist', version)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-packed-'))
  predicate = await readPredicate(made)
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

function call(program: string, argv: readonly string[], cwd = made): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? '', HOME: scratch }
    const child = execFile(program, argv, { cwd, env, maxBuffer: 1 << 26 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

const filesBelow = async (folder: string, end: string): Promise<string[]> =>
  (await readdir(join(made, folder), { recursive: true })).filter((path) => path.endsWith(end)).map((path) => join(folder, path))

describe('the tarball', () => {
  const tar = tool('tar')
  test.skipIf(tar.skip)('holds RKE2’s nine files under RFO’s names, and the program is the one beside it', async () => {
    for (const arch of ['amd64', 'arm64', 'riscv64']) {
      const listed = await call(tar.path, ['-tzf', `rfo.linux-${arch}.tar.gz`])
      expect(listed.stdout.trim().split('\n')).toEqual([
        'bin/rfo',
        'bin/rfo-killall.sh',
        'bin/rfo-uninstall.sh',
        'lib/systemd/system/rfo-agent.env',
        'lib/systemd/system/rfo-agent.service',
        'lib/systemd/system/rfo-server.env',
        'lib/systemd/system/rfo-server.service',
        'share/rfo/LICENSE.txt',
        'share/rfo/rfo-cis-sysctl.conf',
      ])
    }
    await mkdir(join(scratch, 'tar'))
    expect((await call(tar.path, ['-xzf', 'rfo.linux-amd64.tar.gz', '-C', join(scratch, 'tar')])).code).toBe(0)
    expect((await readFile(join(scratch, 'tar/bin/rfo'))).equals(await readFile(join(made, 'rfo.linux-amd64')))).toBe(true)
  })
})

const host = await hostTool()
describe.skipIf(host.skip)('the installer', () => {
  test('installs this very release from its folder once its sandbox is allowed by name, and refuses it otherwise', async () => {
    const env = { INSTALL_RFO_ARTIFACT_PATH: '/mnt/release', INSTALL_RFO_KEY: '/mnt/release/trust/cosign.pub' }
    const refused = await onHost({ release: made, env, command: '$SHELL /mnt/release/install-rfo.sh' })
    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toMatch(/sandbox/i)
    const allowed = { ...env, INSTALL_RFO_ALLOW_SANDBOX: version, INSTALL_RFO_ALLOW_PARTIAL: 'linux/amd64' }
    const done = await onHost({
      release: made,
      env: allowed,
      command: '$SHELL /mnt/release/install-rfo.sh',
      after: '/usr/local/bin/rfo; ls /var/lib/rancher/rfo/agent/images',
    })
    expect([done.status, done.stderr]).toEqual([0, expect.any(String)])
    expect(done.stdout).toContain('[INFO]  verifying tarball')
    expect(done.after).toContain('rfo ') // the program that was installed says who it is
    expect(done.after).toContain('rfo-images.linux-amd64.tar.zst')
  })
})

const [containerd, ctr, runc, zstd] = [tool('containerd'), tool('ctr'), tool('runc'), tool('zstd')]
const root = process.getuid?.() === 0
describe.skipIf(containerd.skip || ctr.skip || runc.skip || zstd.skip || !root)('the archives', () => {
  let daemon: Containerd
  beforeAll(async () => {
    daemon = await startContainerd(join(scratch, 'containerd'), { containerd, ctr, runc })
  })
  afterAll(() => daemon.stop())

  test.each([
    ['amd64', undefined],
    ['arm64', tool('qemu-aarch64-static')],
    ['riscv64', tool('qemu-riscv64-static')],
  ] as const)('containerd imports all of %s, the digests on the node are the signed ones, and an image runs', async (arch, qemu) => {
    const platform = `linux/${arch}` as const
    const ctrIn = (...argv: string[]): Promise<string> => daemon.ctr('--namespace', arch, ...argv)
    const archives = (await readdir(made)).filter((name) => name.endsWith(`.linux-${arch}.tar.zst`))
    expect(archives.length).toBeGreaterThan(2)
    for (const name of archives) {
      const archive = join(scratch, `${arch}.tar`)
      expect((await call(zstd.path, ['-d', '-q', '-f', '-o', archive, name])).code).toBe(0)
      await ctrIn('images', 'import', '--all-platforms', '--no-unpack', archive)
    }
    const listed = (await ctrIn('images', 'ls')).split('\n')
    const names = (await readFile(join(made, `rfo-images-all.linux-${arch}.txt`), 'utf8')).trim().split('\n')
    for (const name of names) {
      const signed = predicate.images.find((one) => one.reference === name)?.platforms[platform]
      expect(listed.find((line) => line.startsWith(`${name} `))).toContain(signed?.status === 'made' ? signed.digest : 'nothing')
    }
    if (qemu?.skip === true) return
    const coredns = names.find((name) => name.includes('coredns')) ?? ''
    // another platform's program by the emulator, which lies in no image
    const emulator = qemu === undefined ? [] : ['--mount', `type=bind,src=${qemu.path},dst=/qemu,options=rbind:ro`, '--platform', platform]
    const argv = qemu === undefined ? [] : ['/qemu', '/coredns']
    const flags = ['--rm', '--snapshotter', 'native', '--runc-binary', runc.path, '--net-host', ...emulator]
    expect(await ctrIn('run', ...flags, coredns, 'run', ...argv)).toContain('coredns')
  })
})

describe('the packages', () => {
  const rpm = tool('rpm')
  test.skipIf(rpm.skip)('rpm finds their digests and signatures right, for three architectures', async () => {
    const packages = await filesBelow('rpm', '.rpm')
    // three of the tarball, kube-explorer, the policy; in no repository, rfo-release and the sources
    expect(packages.length).toBe(3 * 6 + 5)
    const database = ['--dbpath', await mkdtemp(join(scratch, 'rpm-')), '--define', '_pkgverify_level all']
    expect((await call(rpm.path, [...database, '-K', ...packages])).code).not.toBe(0)
    expect((await call(rpm.path, [...database, '--import', 'rpm/RPM-GPG-KEY-rfo'])).code).toBe(0)
    const ran = await call(rpm.path, [...database, '-K', ...packages])
    expect([
      ran.code,
      ran.stdout
        .trim()
        .split('\n')
        .every((line) => line.endsWith('digests signatures OK')),
    ]).toEqual([0, true])
  })

  test.skipIf(rpm.skip)('a package says that it was made with stand-ins', async () => {
    const [one = ''] = await filesBelow('rpm', '.rpm')
    expect((await call(rpm.path, ['-qp', '--nosignature', '--qf', '%{VENDOR}', one])).stdout).toContain('not for use')
  })

  const dnf = tool('dnf')
  /** With the signature of the repository demanded, by the key of that text. */
  const repoquery = async (arch: string, os: string, key: string): Promise<Ran> => {
    const keyFile = join(scratch, `key-${Buffer.from(key).subarray(-80, -60).toString('hex')}.asc`)
    await writeFile(keyFile, key)
    const url = `file://${join(made, 'rpm/stable/1.24/openeuler', os, arch)}`
    return await call(dnf.path, [
      ...['--repofrompath', `rfo,${url}`, '--repoid', 'rfo', '--forcearch', arch, '--releasever', '1', '-q', '-y'],
      ...['--setopt', 'rfo.repo_gpgcheck=1', '--setopt', `rfo.gpgkey=file://${keyFile}`],
      ...['--setopt', `cachedir=${await mkdtemp(join(scratch, 'dnf-'))}`],
      ...['repoquery', '--qf', '%{name}-%{version}-%{release}.%{arch}'],
    ])
  }
  test.skipIf(dnf.skip)('dnf reads the repository of each architecture, and its signature', async () => {
    for (const [arch, os] of [
      ['x86_64', '22.03-LTS'],
      ['aarch64', '22.03-LTS'],
      ['riscv64', '24.03-LTS'],
    ] as const) {
      const ran = await repoquery(arch, os, await readFile(join(made, 'rpm/RPM-GPG-KEY-rfo'), 'utf8'))
      expect(ran.stdout.trim().split('\n').sort()).toEqual([
        `kube-explorer-0.4.2-1.24.8~rfor1.${arch}`,
        ...['agent', 'common'].map((name) => `rfo-${name}-1.24.8~rfor1-1.${arch}`),
        'rfo-selinux-1.24.8~rfor1-1.noarch',
        `rfo-server-1.24.8~rfor1-1.${arch}`,
      ])
    }
  })

  test.skipIf(dnf.skip)('rfo-release tells dnf where the packages are and by which key they are signed', async () => {
    const root = await mkdtemp(join(scratch, 'root-'))
    const [own = ''] = (await filesBelow('rpm', '.x86_64.rpm')).filter((path) => path.startsWith('rpm/rfo-release-'))
    expect((await call(rpm.path, ['--root', root, '--nosignature', '--ignorearch', '-i', join(made, own)])).code).toBe(0)
    const key = await readFile(join(root, 'etc/pki/rpm-gpg/RPM-GPG-KEY-rfo'), 'utf8')
    expect(key).toBe(await readFile(join(made, 'rpm/RPM-GPG-KEY-rfo'), 'utf8'))
    await writeFile(join(root, 'etc/dnf/vars/rfo_url'), `file://${made}\n`)
    const ran = await call(dnf.path, [
      // gpgkey is a path of the host that dnf runs on
      ...['--setopt', `reposdir=${root}/etc/yum.repos.d`, '--setopt', `varsdir=${root}/etc/dnf/vars`, '--forcearch', 'x86_64'],
      ...['--setopt', `*.gpgkey=file://${root}/etc/pki/rpm-gpg/RPM-GPG-KEY-rfo`, '--setopt', `cachedir=${root}/cache`],
      ...['--releasever', '1', '-q', '-y', 'repoquery', '--qf', '%{name} %{repoid}'],
    ])
    expect(ran.stdout.trim().split('\n').sort()).toEqual(
      ['kube-explorer', 'rfo-agent', 'rfo-common', 'rfo-selinux', 'rfo-server'].map((name) => `${name} rancher-rfo-1.24-stable`),
    )
  })

  test.skipIf(dnf.skip)('dnf reads what RFO says of what it mended, and verify what the lists say of it', async () => {
    const root = await mkdtemp(join(scratch, 'root-'))
    const folder = join(made, 'rpm/stable/1.24/openeuler/24.03-LTS/riscv64')
    const [common = ''] = (await filesBelow('rpm', '.riscv64.rpm')).filter((path) => path.includes('/rfo-common-'))
    // dnf speaks of what is installed
    const put = ['--root', root, '--nosignature', '--ignorearch', '--justdb', '--nodeps', '--noscripts', '-i', join(made, common)]
    expect((await call(rpm.path, put)).code).toBe(0)
    const ask = async (...words: string[]): Promise<string> => {
      const from = ['--repofrompath', `rfo,file://${folder}`, '--repoid', 'rfo', '--forcearch', 'riscv64', '--releasever', '1', '-q', '-y']
      const options = ['--installroot', root, '--setopt', `cachedir=${root}/cache`, '--setopt', 'gpgcheck=0']
      return (await call(dnf.path, [...from, ...options, 'updateinfo', ...words])).stdout
    }
    expect((await ask('--list', '--installed', '--with-cve')).trim().split('\n')).toEqual(
      ['1001', '1002'].map((cve) => expect.stringMatching(`CVE-2022-${cve} +Important/Sec. rfo-common-1.24.8~rfor1-1.riscv64`)),
    )
    const info = await ask('--info', '--installed')
    for (const said of ["A node's certificate <& its key>", 'RFO-SA-2022-1001', 'Important', 'CVE-2022-1002', 'and "quotes".'])
      expect(info).toContain(said)
    expect((await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])).code).toBe(0)
  })

  const analyze = tool('systemd-analyze')
  test.skipIf(analyze.skip || host.skip)('systemd has nothing to say of the units, installed', async () => {
    const units = 'rfo-server.service rfo-agent.service kube-explorer.service'
    const broken = `/bin/sed -i s/^Restart=/Restrat=/ /usr/lib/systemd/system/kube-explorer.service; ${analyze.path} verify kube-explorer.service`
    const { after } = await onHost({
      release: made,
      command:
        '/usr/bin/rpm -i --force-debian --nodeps --noscripts --nosignature /mnt/release/rpm/stable/1.24/openeuler/22.03-LTS/x86_64/Packages/*.rpm',
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
      after: `${analyze.path} verify ${units}; echo "ended with $?"; ${broken}`,
    })
    expect(after.split('\n')[0]).toBe('ended with 0')
    expect(after).toContain("Unknown key 'Restrat'")
  })

  const modifyrepo = tool('modifyrepo_c')
  test.skipIf(modifyrepo.skip)('modifyrepo_c puts the same advisories into an index as ours says', async () => {
    const [list = ''] = (await filesBelow('rpm', '-updateinfo.xml.gz')).filter((path) => path.includes('x86_64'))
    const plain = join(scratch, 'updateinfo.xml')
    await writeFile(plain, gunzipSync(await readFile(join(made, list))))
    const folder = await mkdtemp(join(scratch, 'repodata-'))
    const index = await readFile(join(made, dirname(list), 'repomd.xml'), 'utf8')
    await writeFile(join(folder, 'repomd.xml'), index.replace(/ *<data type="updateinfo">[\s\S]*?<\/data>\n/, ''))
    expect((await call(modifyrepo.path, ['--compress-type=gz', plain, folder])).code).toBe(0)
    const shape = (text: string): string =>
      (/<data type="updateinfo">[\s\S]*?<\/data>/.exec(text)?.[0] ?? '')
        // what another compressor and another hour give
        .replace(/<checksum type="sha256">[0-9a-f]{64}|repodata\/[0-9a-f]{64}|<(timestamp|size)>\d+/g, '#')
    expect(shape(await readFile(join(folder, 'repomd.xml'), 'utf8'))).toBe(shape(index))
  })

  test.skipIf(dnf.skip)('dnf refuses the repository by another key', async () => {
    const other = await generatePgpKey('another', 1_600_000_000, 3072)
    const ran = await repoquery('x86_64', '22.03-LTS', other.publicText)
    expect(ran.stdout.trim()).toBe('')
    expect(ran.stderr).toMatch(/repomd|GPG/i)
  })
})

describe('the charts', () => {
  const helm = tool('helm')
  test.skipIf(helm.skip)('helm verifies their provenance by the keyring beside them, and refuses another chart', async () => {
    const [chart = ''] = await filesBelow('charts', '.tgz')
    const good = await call(helm.path, ['verify', chart, '--keyring', 'trust/helm-keyring'])
    expect([good.code, good.stderr]).toEqual([0, ''])
    expect(good.stdout).toContain('Chart Hash Verified')
    const copy = join(scratch, basename(chart))
    await writeFile(copy, Buffer.concat([await readFile(join(made, chart)), Buffer.from([0])]))
    await copyFile(join(made, `${chart}.prov`), `${copy}.prov`)
    const bad = await call(helm.path, ['verify', copy, '--keyring', 'trust/helm-keyring'])
    expect(bad.code).not.toBe(0)
  })

  const gpg = tool('gpg')
  test.skipIf(gpg.skip)('gpg, too, finds good signatures: of a chart and of a repository', async () => {
    const [chart = ''] = await filesBelow('charts', '.prov')
    const [index = ''] = await filesBelow('rpm', 'repomd.xml')
    const home = await mkdtemp(join(scratch, 'g')) // a socket lies in it, whose path must be short
    const home700 = ['--homedir', home, '--batch']
    expect((await call(gpg.path, [...home700, '--import', 'rpm/RPM-GPG-KEY-rfo'])).code).toBe(0)
    for (const argv of [[chart], [`${index}.asc`, index]]) {
      const ran = await call(gpg.path, [...home700, '--verify', ...argv])
      expect([ran.code, ran.stderr]).toEqual([0, expect.stringContaining('Good signature from "RFO sandbox, not for use"')])
    }
  })

  test.skipIf(helm.skip)('helm reads them; the images that RFO rebuilds have its names', async () => {
    const [chart = ''] = await filesBelow('charts', '.tgz')
    const shown = await call(helm.path, ['show', 'all', chart])
    expect([shown.code, shown.stderr]).toEqual([0, ''])
    expect(shown.stdout).toContain('>= v1.24.8')
    expect(shown.stdout).toContain('rfolabs/hardened-coredns')
    expect(shown.stdout).not.toContain('rancher/hardened-coredns')
  })
})
