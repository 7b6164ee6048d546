import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installerText, platformsText } from '../../src/pack/installer.ts'
import { tool } from '../tools.ts'
import { hostTool, onHost, programs, quoted, type Result, type Run, written } from './host.ts'
import { type Installable, installable, serve, version, type Web } from './installable.ts'

const template = await readFile(join(import.meta.dirname, '../../install/install-rfo.sh'), 'utf8')
const host = await hostTool()
const shellcheck = tool('shellcheck')
const images = '/var/lib/rancher/rfo/agent/images'

test.skipIf(shellcheck.skip)('shellcheck has nothing to say', () => {
  execFileSync(shellcheck.path, ['-s', 'sh', '-'], { input: template })
  execFileSync(shellcheck.path, ['-s', 'sh', '-'], { input: installerText(template, version) })
})

test('a release’s own installer knows its version', () => {
  expect(installerText(template, version)).toContain("\nRFO_VERSION='v1.24.8+rfor1'\n")
  expect(() => installerText('nothing', version)).toThrow(expect.objectContaining({ code: 'RFO_PACK_INSTALLER', exit: 'bug' }))
  expect(() => installerText(template, "v1'; reboot")).toThrow(expect.objectContaining({ code: 'RFO_PLAN_VERSION' }))
})

test('platforms.txt is a line a platform whatever a reason holds', () => {
  const missing = ['a:v1', 'no base,\nlinux/riscv64 bootable\u2028']
  expect(
    platformsText(version, [
      { platform: 'linux/riscv64', status: 'partial', missing },
      { platform: 'linux/amd64', status: 'bootable', missing: [] },
    ]),
  ).toBe('release v1.24.8+rfor1\nlinux/amd64 bootable\nlinux/riscv64 partial a:v1; no base, linux/riscv64 bootable\n')
})

describe.skipIf(host.skip)('on a host', () => {
  let release: Installable
  let web: Web
  const variants: Installable[] = []
  beforeAll(async () => {
    release = await installable()
    web = await serve(release.folder)
  })
  afterAll(async () => {
    await web?.close()
    for (const each of [release, ...variants]) await each?.remove()
  })

  const changed = async (changes: Readonly<Record<string, string | undefined>>): Promise<string> => {
    const made = await release.variant(changes)
    variants.push(made)
    return made.folder
  }

  const offline = (env: Readonly<Record<string, string>> = {}, more: Run = {}): Promise<Result> =>
    onHost({ release: release.folder, ...more, env: { ARCH: 'amd64', INSTALL_RFO_ARTIFACT_PATH: '/mnt/release', ...env } })

  /** Everything that an installation leaves. */
  const left = written
  const nine = (prefix: string, units = `${prefix}/lib/systemd/system`): string[] =>
    [
      `755 0:0 ${prefix}/bin/rfo`,
      `755 0:0 ${prefix}/bin/rfo-killall.sh`,
      `755 0:0 ${prefix}/bin/rfo-uninstall.sh`,
      `644 0:0 ${prefix}/lib/systemd/system/rfo-agent.env`,
      `644 0:0 ${units}/rfo-agent.service`,
      `644 0:0 ${prefix}/lib/systemd/system/rfo-server.env`,
      `644 0:0 ${units}/rfo-server.service`,
      `644 0:0 ${prefix}/share/rfo/LICENSE.txt`,
      `644 0:0 ${prefix}/share/rfo/rfo-cis-sysctl.conf`,
    ].sort((a, b) => ((a.split(' ')[2] ?? '') < (b.split(' ')[2] ?? '') ? -1 : 1))

  /** Refused, with this said, and nothing left behind. */
  const refused = (result: Result, said: string | RegExp): void => {
    expect(result.stderr.trimEnd().split('\n').at(-1)).toMatch(said)
    expect(result.stderr).toContain('[ERROR]  ')
    expect({ status: result.status, after: result.after, systemctl: result.systemctl }).toEqual({ status: 1, after: '', systemctl: [] })
  }

  describe('from a web server', () => {
    test.each(['dash', 'bash'] as const)('%s: an agent, with the announcement’s log lines', async (shell) => {
      web.asked.length = 0
      const { status, stdout, stderr, after, systemctl } = await onHost({
        shell,
        env: { ARCH: 'x86_64', INSTALL_RFO_VERSION: version, INSTALL_RFO_TYPE: 'agent', INSTALL_RFO_ARTIFACT_URL: web.url },
        after: `${left}; /usr/local/bin/rfo`,
      })
      expect(stderr).toMatch(/^\[WARN\] {2}INSTALL_RFO_KEY is not set[^\n]*\n$/)
      expect(stdout.split('\n')).toEqual([
        '[INFO]  using v1.24.8+rfor1 as release',
        `[INFO]  downloading checksums at ${web.url}/v1.24.8%2Brfor1/sha256sum-amd64.txt`,
        `[INFO]  downloading tarball at ${web.url}/v1.24.8%2Brfor1/rfo.linux-amd64.tar.gz`,
        '[INFO]  verifying tarball',
        '[INFO]  unpacking tarball file to /usr/local',
        '',
      ])
      expect(after.split('\n')).toEqual([...nine('/usr/local'), expect.stringContaining('rfo v')])
      expect({ status, systemctl }).toEqual({ status: 0, systemctl: ['daemon-reload'] })
      const below = '/rfo/releases/v1.24.8%2Brfor1'
      expect(web.asked).toEqual([`${below}/sha256sum-amd64.txt`, `${below}/platforms.txt`, `${below}/rfo.linux-amd64.tar.gz`])
    })

    test('wget alone, piped into sh, the release’s own installer, one image group', async () => {
      const { status, after } = await onHost({
        without: ['curl'],
        script: installerText(template, version),
        command: 'cat "$INSTALLER" | /bin/dash -s -',
        env: { ARCH: 'aarch64', INSTALL_RFO_ARTIFACT_URL: `${web.url}/`, INSTALL_RFO_IMAGE_GROUPS: 'cilium', INSTALL_RFO_SKIP_RELOAD: '1' },
        after: left,
      })
      expect(status).toBe(0)
      expect(after.split('\n')).toEqual([...nine('/usr/local'), `644 0:0 ${images}/rfo-images-cilium.linux-arm64.tar.zst`])
    })

    test.each([
      ['a page instead of a file', (path: string) => path.endsWith('.gz'), 404],
      ['a server that fails', (path: string) => path.endsWith('platforms.txt'), 500],
    ])('%s', async (_what, which, code) => {
      const broken = await serve(release.folder, (path) =>
        which(path) ? (_request, response) => response.writeHead(code).end('no') : undefined,
      )
      const env = { ARCH: 'amd64', INSTALL_RFO_VERSION: version, INSTALL_RFO_ARTIFACT_URL: broken.url }
      // wget: curl would try again after a second
      refused(await onHost({ without: ['curl'], env, after: left }), /download failed: http/)
      await broken.close()
    })

    test('half a tarball, and one that never ends: what was begun goes away', async () => {
      const half = await serve(release.folder, (path) =>
        path.endsWith('.gz') ? (_request, response) => response.writeHead(200).end('half') : undefined,
      )
      const env = { ARCH: 'amd64', INSTALL_RFO_VERSION: version, INSTALL_RFO_ARTIFACT_URL: half.url }
      refused(await onHost({ env, after: left }), /sha256 of rfo.linux-amd64.tar.gz does not match/)
      await half.close()
      const hanging = await serve(release.folder, (path) =>
        path.endsWith('.gz') ? (_request, response) => response.writeHead(200).write('half') : undefined,
      )
      const ended = await onHost({
        env: { ...env, INSTALL_RFO_ARTIFACT_URL: hanging.url },
        command: '/usr/bin/timeout -s TERM 1 "$SHELL" "$INSTALLER"',
        after: left,
      })
      expect(ended).toMatchObject({ status: 124, after: '' })
      await hanging.close()
    })

    test('half an installer does nothing', async () => {
      const cuts = [0.2, 0.5, 0.8, 0.99].map((part) => Math.floor(template.length * part))
      const { after } = await onHost({
        env: { INSTALL_RFO_VERSION: version, INSTALL_RFO_ARTIFACT_URL: web.url },
        command: `for cut in ${cuts.join(' ')} ${Buffer.byteLength(template) - 3}; do /usr/bin/head -c $cut "$INSTALLER" | /bin/dash; done`,
        after: left,
      })
      expect(after).toBe('')
    })
  })

  describe('from a directory', () => {
    test.each(['dash', 'bash'] as const)('%s: a server with every image, and a second time', async (shell) => {
      const key = '/tmp/key.pem'
      const { status, stdout, stderr, after } = await offline(
        { INSTALL_RFO_KEY: key },
        {
          shell,
          before: `cat >${key} <<'P'\n${release.publicPem}P\nmkdir -p ${images}; echo mine >${images}/mine.tar`,
          command: `"$SHELL" "$INSTALLER" >/out/first && /usr/bin/stat -c '%Y %i' ${images}/* >/out/stat1 && sleep 0.01 && "$SHELL" "$INSTALLER"`,
          after: `/usr/bin/stat -c '%Y %i' ${images}/* | /usr/bin/diff /out/stat1 - && rm ${key} && cat ${images}/mine.tar && ${left}; cat /out/first`,
          shims: { sleep: 'exec /bin/sleep "$@"' },
        },
      )
      // a stand-in's program does not know RFO's version
      const unsaid = '[WARN]  RFO is installed here and does not say which version: nobody checks that this is no downgrade\n'
      expect({ status, stderr }).toEqual({ status: 0, stderr: unsaid })
      const first = [
        '[INFO]  staging local checksums from /mnt/release/sha256sum-amd64.txt',
        '[INFO]  staging tarball from /mnt/release/rfo.linux-amd64.tar.gz',
        '[INFO]  verifying tarball',
        '[INFO]  leaving out rfo-images-canal.linux-amd64.tar.zst: rfo-images.linux-amd64 holds its images',
        '[INFO]  verifying rfo-images-cilium.linux-amd64.tar.zst',
        '[INFO]  leaving out rfo-images-core.linux-amd64.tar.zst: rfo-images.linux-amd64 holds its images',
        '[INFO]  verifying rfo-images.linux-amd64.tar.zst',
        `[INFO]  installing images to ${images}`,
        '[INFO]  unpacking tarball file to /usr/local',
      ]
      expect(after.split('\n')).toEqual([
        'mine',
        ...nine('/usr/local'),
        `644 0:0 ${images}/mine.tar`,
        `644 0:0 ${images}/rfo-images-cilium.linux-amd64.tar.zst`,
        `644 0:0 ${images}/rfo-images.linux-amd64.tar.zst`,
        ...first,
      ])
      const again = first.filter((line) => !line.includes('installing'))
      expect(stdout.trimEnd().split('\n')).toEqual(again.map((line) => line.replace(/verifying (rfo\S+)/, '$1 is installed already')))
    })

    test('what is carried as .tar.gz alone is installed so, and one of two forms', async () => {
      const gz = Object.fromEntries(['', '-core', '-cilium'].map((group) => [`rfo-images${group}.linux-amd64.tar.gz`, `gzip of ${group}`]))
      const release = await changed({
        ...gz,
        'rfo-images.linux-amd64.tar.zst': undefined,
        'rfo-images-core.linux-amd64.tar.zst': undefined,
      })
      const before = `mkdir -p ${images}; echo mine >${images}/rfo-images.linux-amd64.tar.zst`
      const { status, stdout, stderr, after } = await offline({}, { release, before, after: `ls ${images}` })
      const names = ['-cilium.linux-amd64.tar.zst', '.linux-amd64.tar.gz', '.linux-amd64.tar.zst'].map((end) => `rfo-images${end}`)
      expect([status, after.split('\n')]).toEqual([0, names])
      // nobody's file is removed
      expect(stderr).toContain(`${images}/rfo-images.linux-amd64.tar.zst stays, and RFO imports both`)
      expect(stdout).toContain('leaving out rfo-images-core.linux-amd64.tar.gz: rfo-images.linux-amd64 holds its images')
    })

    test('an older release’s archive is replaced, whatever lies at its place but a folder', async () => {
      const name = 'rfo-images.linux-amd64.tar.zst'
      const after = `cat /srv/mine; ${left} | grep -c zst`
      const before = `echo mine >/srv/mine; mkdir -p ${images}; ln -s /srv/mine ${images}/${name}`
      expect(await offline({}, { before, after })).toMatchObject({ status: 0, after: 'mine\n2' })
      const folder = await offline({}, { before: `mkdir -p ${images}/${name}` })
      expect(folder).toMatchObject({ status: 1, stderr: expect.stringContaining(`${name} is a directory`) })
    })

    test('lists are installed when asked for, for groups without an archive', async () => {
      const folder = await changed(Object.fromEntries(['', '-core'].map((group) => [`rfo-images${group}.linux-amd64.tar.zst`, undefined])))
      const env = { INSTALL_RFO_IMAGE_LISTS: '1', INSTALL_RFO_AGENT_IMAGES_DIR: '/srv/a b' }
      const { status, after } = await offline(env, { release: folder, after: "ls -A '/srv/a b'" })
      expect({ status, after: after.split('\n') }).toEqual({
        status: 0,
        after: ['-canal', '-cilium', '-core', ''].map(
          (group) => `rfo-images${group}.linux-amd64.${/n/.test(group) || group === '-cilium' ? 'tar.zst' : 'txt'}`,
        ),
      })
    })

    test('hostile names are words, never commands', async () => {
      const odd = `-a b\n$(touch pwned)\u001b[31m'"`
      const { status, stdout, stderr, after } = await offline(
        { INSTALL_RFO_ARTIFACT_PATH: odd },
        {
          before: `cd /srv; cp -r /mnt/release ./${quoted(odd)}; cd ./${quoted(odd)}
touch 'rfo-images-$(touch pwned).linux-amd64.tar.zst' -- '-rf.txt' rfo-images-core.linux-amd64.tar.zst.bak
touch "$(printf 'rfo-images-\\033]0;x\\n.linux-amd64.tar.gz')"; cd /srv`,
          after: 'find / -xdev -name pwned 2>/dev/null; ls /usr/local/bin/rfo',
        },
      )
      expect({ status, after }).toEqual({ status: 0, after: '/usr/local/bin/rfo' })
      expect(`${stdout}${stderr}`).not.toMatch(/[^\x20-\x7e\n]/)
      expect(stderr).toContain('do not name it: rfo-images-$(touch pwned).linux-amd64.tar.zst\n')
      expect(stderr).toContain('do not name it: rfo-images-?]0;x?.linux-amd64.tar.gz\n')
    })

    test('an edited .env stays, ours lies beside it', async () => {
      const env = '/usr/local/lib/systemd/system/rfo-server.env'
      const before = `mkdir -p /usr/local/lib/systemd/system; echo MINE=1 >${env}`
      const { status, stderr, after } = await offline({}, { before, after: `cat ${env} ${env}.rfonew` })
      expect({ status, after }).toEqual({ status: 0, after: 'MINE=1\nHOME=/root' })
      expect(stderr).toContain(`${env} was changed and is kept`)
    })

    test.each([
      ['read-only', '/bin/mount --bind /usr/local /usr/local; /bin/mount -o remount,bind,ro /usr/local', {}, ['mountpoint']],
      ['a mount', '/bin/mount -t tmpfs tmpfs /usr/local', {}, []],
      ['not wanted', '', { INSTALL_RFO_TAR_PREFIX: '/opt/rfo/' }, []],
    ])('/usr/local is %s: /opt/rfo, units in /etc/systemd/system', async (_what, before, env, without) => {
      const { status, after } = await offline(
        { INSTALL_RFO_IMAGE_GROUPS: 'core', ...env },
        {
          before,
          without,
          after: `${left} | grep -v zst; grep -h /rfo /etc/systemd/system/rfo-agent.service; grep -c /usr/local /opt/rfo/bin/rfo-uninstall.sh`,
        },
      )
      expect(status).toBe(0)
      const lines = after.split('\n')
      expect(lines.slice(0, 9)).toEqual(nine('/opt/rfo', '/etc/systemd/system'))
      expect(lines.slice(9)).toContain('ExecStart=/opt/rfo/bin/rfo agent')
      expect(lines.slice(9)).toContain('EnvironmentFile=-/opt/rfo/lib/systemd/system/%N.env')
      expect(lines.at(-1)).toBe('0')
    })
  })

  /** What an earlier installation left: its program says a version, and nothing else of it is looked at. */
  const before2023 = (said: string): string =>
    `mkdir -p /usr/local/bin; printf '#!/bin/sh\\necho "rfo version ${said} (abc)"\\n' >/usr/local/bin/rfo; chmod 0755 /usr/local/bin/rfo`
  const same = `cat /usr/local/bin/rfo; ${written} | grep -v ' /usr/local/bin/rfo$'`

  describe('what is there already', () => {
    test.each([
      [
        'a minor that is skipped',
        'v1.22.17+rfor3',
        'v1.22.17+rfor3 is installed, and Kubernetes is upgraded one minor at a time: install v1.23 before',
      ],
      ['a downgrade', 'v1.25.0-rc1+rfor1', 'v1.25.0-rc1+rfor1 is installed, and v1.24.8+rfor1 is older'],
      ['a patch back', 'v1.24.10+rfor1', 'is older: restore etcd'],
      ['an older build of the same', 'v1.24.8+rfor2', 'is older: restore etcd'],
    ])('%s is refused', async (_what, said, refusal) => {
      const { status, stderr, after } = await offline({}, { before: before2023(said), after: same })
      expect({ status, after }).toEqual({ status: 1, after: `#!/bin/sh\necho "rfo version ${said} (abc)"` })
      expect(stderr).toContain(refusal)
      expect(stderr.includes('--cluster-reset-restore-path=/var/lib/rancher/rfo/server/db/snapshots/')).toBe(/older/.test(refusal))
    })

    test.each([
      ['a candidate of it', 'v1.24.8-rc2+rfor1', {}],
      ['the minor before', 'v1.23.17+rfor1', {}],
      ['a newer one, as a step of a restore', 'v1.25.4+rfor1', { INSTALL_RFO_ALLOW_DOWNGRADE: version }],
    ])('%s is replaced', async (_what, said, env) => {
      const run = { before: before2023(said), after: '/usr/bin/od -An -c -j1 -N3 /usr/local/bin/rfo' }
      expect(await offline({ INSTALL_RFO_IMAGE_GROUPS: 'core', ...env }, run)).toMatchObject({ status: 0, after: '   E   L   F' })
    })

    test('all of it is there again when the last file fails, and when somebody interrupts', async () => {
      const failing = 'for at; do :; done; case $at in */rfo-cis-sysctl.conf) HOW;; esac; exec /bin/mv "$@"'
      for (const how of ['exit 1', 'kill -TERM $PPID']) {
        const archive = `${images}/rfo-images.linux-amd64.tar.zst`
        const before = `${before2023('v1.24.7+rfor1')}; mkdir -p ${images}; echo old >${archive}`
        const run = { before, after: `cat ${archive}; ${same}`, shims: { mv: failing.replace('HOW', how) } }
        const { status, stderr, after } = await offline({}, run)
        expect(status).not.toBe(0)
        expect(stderr).toContain('putting back what was there before')
        expect(after).toBe(`old\n#!/bin/sh\necho "rfo version v1.24.7+rfor1 (abc)"\n644 0:0 ${archive}`)
      }
    })
  })

  test('busybox has all programs that it needs', async () => {
    const busybox = tool('busybox')
    if (busybox.skip) return
    const applets = `mkdir /srv/bin; for each in ${programs.filter((name) => name !== 'curl' && name !== 'openssl').join(' ')}; do /bin/ln -s ${busybox.path} /srv/bin/$each; done`
    const run = {
      before: `${applets}; echo ID=openEuler >/etc/os-release`,
      command: `${busybox.path} sh "$INSTALLER"`,
      after: `${left} | grep -v os-release`,
    }
    const { status, stderr, after } = await offline(
      { PATH: '/srv/bin', INSTALL_RFO_VERSION: '', INSTALL_RFO_IMAGE_GROUPS: 'core\t\u0001' },
      run,
    )
    expect({ status, after }).toEqual({ status: 1, after: '' })
    expect(stderr).toContain('has no image group ? for linux/amd64')
    const whole = await offline({ PATH: '/srv/bin' }, { ...run, after: `${left} | grep -c .` })
    expect(whole).toMatchObject({ status: 0, after: '12' })
  })

  describe('refuses', () => {
    const copy = (file: string, how: string): string => `cp -r /mnt/release /srv/r; cd /srv/r; ${how.replaceAll('FILE', file)}; cd /`
    const sums = 'sha256sum-amd64.txt'

    test.each([
      ['a changed tarball', 'rfo.linux-amd64.tar.gz', 'echo x >>FILE', 'sha256 of rfo.linux-amd64.tar.gz does not match'],
      ['a changed archive', 'rfo-images.linux-amd64.tar.zst', 'echo x >FILE', 'sha256 of rfo-images.linux-amd64.tar.zst does not match'],
      [
        'a changed list',
        'rfo-images-cilium.linux-amd64.txt',
        'echo evil/x:v1 >>FILE',
        'sha256 of rfo-images-cilium.linux-amd64.txt does not',
      ],
      ['changed facts', 'platforms.txt', 'echo "linux/s390x bootable" >>FILE', 'sha256 of platforms.txt does not match'],
      ['no tarball', 'rfo.linux-amd64.tar.gz', 'rm FILE', 'the directory has no rfo.linux-amd64.tar.gz'],
      ['a folder as tarball', 'rfo.linux-amd64.tar.gz', 'rm FILE; mkdir FILE', 'the directory has no rfo.linux-amd64.tar.gz'],
      ['no checksums', sums, 'rm FILE', 'the directory has no sha256sum-amd64.txt'],
      ['empty checksums', sums, ': >FILE', 'sha256sum-amd64.txt is empty'],
      ['checksums that are a page', sums, 'echo "<html>" >FILE', 'is no list of checksums'],
      ['a name that leaves', sums, `echo "$(printf '%064d' 0)  a/../../etc/x" >>FILE`, 'is no list of checksums'],
      ['an absolute name', sums, `echo "$(printf '%064d' 0)  /etc/x" >>FILE`, 'is no list of checksums'],
      ['a name twice', sums, `echo "$(printf '%064d' 0)  rfo.linux-amd64.tar.gz" >>FILE`, 'names a file twice'],
      ['checksums without the tarball', sums, `sed -i '/tar.gz$/d' FILE`, 'has no rfo.linux-amd64.tar.gz'],
      ['checksums without facts', sums, `sed -i '/platforms/d' FILE`, 'does not say what it holds'],
    ])('%s', async (_what, file, how, said) => {
      const env = { INSTALL_RFO_ARTIFACT_PATH: '/srv/r' }
      refused(await offline(env, { before: copy(file, how), after: left }), said)
    })

    test.each([
      ['checksums by another key', '', 'printf x | cat >/dev/null', 'other', 'is not by the key'],
      ['checksums changed after signing', sums, 'sed -i "1d" FILE', 'key', 'is not by the key'],
      ['no signature', `${sums}.sig`, 'rm FILE', 'key', 'has no sha256sum-amd64.txt.sig'],
      ['a key that is not there', '', ':', 'nothing', "can't read INSTALL_RFO_KEY"],
    ])('%s', async (_what, file, how, key, said) => {
      const pem = `openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout >/srv/other`
      const before = `${copy(file, how)}; cat >/srv/key <<'P'\n${release.publicPem}P\n${pem}`
      refused(await offline({ INSTALL_RFO_ARTIFACT_PATH: '/srv/r', INSTALL_RFO_KEY: `/srv/${key}` }, { before, after: left }), said)
    })

    test('a release of stand-ins, unless its version is named', async () => {
      const marked = await changed({ SANDBOX: 'stand-ins' })
      const run = { release: marked, after: left }
      refused(await offline({}, run), `to install it nevertheless: INSTALL_RFO_ALLOW_SANDBOX=v1.24.8+rfor1`)
      refused(await offline({ INSTALL_RFO_ALLOW_SANDBOX: 'v1.24.8+rfor2' }, run), 'is a sandbox release')
      const env = { INSTALL_RFO_ARTIFACT_PATH: '/srv/r' }
      refused(await offline(env, { before: copy('SANDBOX', 'touch FILE'), after: left }), 'is a sandbox release')
      expect(await offline({ INSTALL_RFO_ALLOW_SANDBOX: version }, { release: marked })).toMatchObject({ status: 0 })
    })

    test('a partial platform, unless it is named; one that the release lacks, always', async () => {
      const riscv = { shims: { uname: 'echo riscv64' }, after: left }
      const run = (env: Readonly<Record<string, string>>, more: Run = riscv): Promise<Result> =>
        onHost({ release: release.folder, ...more, env: { INSTALL_RFO_ARTIFACT_PATH: '/mnt/release', ...env } })
      const said = 'partial for linux/riscv64, it lacks mirrored-ingress-nginx-kube-webhook-certgen; no $(reboot) [31m`base`; to install it'
      const first = await run({})
      refused(first, /INSTALL_RFO_ALLOW_PARTIAL=linux\/riscv64$/)
      expect(first.stderr).toContain(said)
      refused(await run({ INSTALL_RFO_ALLOW_PARTIAL: 'linux/arm64' }), 'is partial')
      const allowed = await run(
        { INSTALL_RFO_ALLOW_PARTIAL: 'linux/riscv64' },
        { ...riscv, after: 'od -An -tx1 -j18 -N1 /usr/local/bin/rfo' },
      )
      expect(allowed).toMatchObject({ status: 0, after: ' f3' }) // EM_RISCV
      const without = await changed({ 'platforms.txt': `release ${version}\nlinux/amd64 bootable\n` })
      refused(await run({}, { ...riscv, release: without }), 'is not made for linux/riscv64')
      refused(await run({}, { ...riscv, shims: { uname: 'echo s390x' } }), 'unsupported architecture s390x')
    })

    test('another version than the one that was asked for', async () => {
      const run = { after: left }
      refused(await offline({ INSTALL_RFO_VERSION: 'v1.24.9+rfor1' }, run), 'this is release v1.24.8+rfor1, not v1.24.9+rfor1')
      const odd = await changed({ 'platforms.txt': 'release v1\nlinux/amd64 bootable\n' })
      refused(await offline({}, { ...run, release: odd }), 'not a version of RFO: v1')
    })

    test.each<[string, Record<string, string>, Run, string | RegExp]>([
      ['whoever is not root', {}, { shims: { id: 'echo 1000' } }, 'you need to be root'],
      ['a tarball beside RPMs', { INSTALL_RFO_METHOD: 'tar' }, { shims: { rpm: '[ "$2" = rfo-common ]' } }, 'installed from RPMs here'],
      ['RPMs without dnf', { INSTALL_RFO_METHOD: 'rpm' }, {}, 'needs dnf or yum'],
      ['RPMs that are not there', { INSTALL_RFO_METHOD: 'rpm' }, { shims: { dnf: 'exit 1' } }, 'has no signed packages for linux/amd64'],
      ['an unknown method', { INSTALL_RFO_METHOD: 'apt' }, {}, 'INSTALL_RFO_METHOD is tar or rpm, not apt'],
      ['an unknown type', { INSTALL_RFO_TYPE: 'ser\nver' }, {}, 'server or agent, not ser?ver'],
      ['an unknown group', { INSTALL_RFO_IMAGE_GROUPS: 'core no.e' }, {}, 'has no image group no.e for linux/amd64'],
      ['a version that is a command', { INSTALL_RFO_VERSION: 'v1.24.8+rfor1\n$(x)' }, {}, 'not a version of RFO: v1.24.8+rfor1?$(x)'],
      ['a version of RKE2', { INSTALL_RFO_VERSION: 'v1.24.8+rke2r1' }, {}, 'not a version of RFO: v1.24.8+rke2r1'],
      ['no directory', { INSTALL_RFO_ARTIFACT_PATH: '/mnt/nothing' }, {}, 'is no directory: /mnt/nothing'],
      ['a relative prefix', { INSTALL_RFO_TAR_PREFIX: 'usr' }, {}, 'is no absolute path: usr'],
      ['a prefix that a unit misreads', { INSTALL_RFO_TAR_PREFIX: '/opt/a b' }, {}, "that a unit can't hold"],
      ['a relative folder of images', { INSTALL_RFO_AGENT_IMAGES_DIR: 'images' }, {}, 'is no absolute path: images'],
      ['a host without tar', {}, { without: ['tar'] }, 'tar is missing; fix: dnf install -y tar'],
      ['no version', { INSTALL_RFO_ARTIFACT_PATH: '' }, {}, 'which release? Set INSTALL_RFO_VERSION'],
      [
        'no downloader',
        { INSTALL_RFO_ARTIFACT_PATH: '', INSTALL_RFO_VERSION: version },
        { without: ['curl', 'wget'] },
        'neither curl nor wget',
      ],
      [
        'a URL of another kind',
        { INSTALL_RFO_ARTIFACT_PATH: '', INSTALL_RFO_VERSION: version, INSTALL_RFO_ARTIFACT_URL: 'file:///mnt' },
        {},
        'is no http',
      ],
    ])('%s', async (_what, env, run, said) => {
      refused(await offline(env, { ...run, after: left }), said)
    })
  })

  describe('the host', () => {
    const keyfile = '/etc/NetworkManager/conf.d/rfo-canal.conf'
    const openEuler = {
      before: 'mkdir -p /etc/NetworkManager/conf.d',
      // units are there until they are disabled
      shims: {
        systemctl: `case "$1" in
  is-active|is-enabled) shift 2; ! grep -qs "disable --now $1" /out/systemctl;;
  *) echo "$*" >>/out/systemctl;;
esac`,
      },
    }
    const few = { INSTALL_RFO_IMAGE_GROUPS: 'core' }

    test('is told what it lacks, with the fix', async () => {
      const { status, stderr, systemctl, after } = await offline(few, { ...openEuler, after: `ls ${keyfile} 2>/dev/null` })
      expect(stderr.split('\n').slice(1)).toEqual([
        '[WARN]  firewalld runs, which conflicts with Canal; fix: systemctl disable --now firewalld',
        "[WARN]  nm-cloud-setup.service is enabled, RFO's units refuse to start beside it; fix: systemctl disable --now nm-cloud-setup.service",
        "[WARN]  nm-cloud-setup.timer is enabled, RFO's units refuse to start beside it; fix: systemctl disable --now nm-cloud-setup.timer",
        "[WARN]  NetworkManager would manage Canal's interfaces; fix: printf '[keyfile]\\nunmanaged-devices=interface-name:cali*;interface-name:flannel*\\n' > /etc/NetworkManager/conf.d/rfo-canal.conf && systemctl reload NetworkManager",
        '[WARN]  INSTALL_RFO_PREPARE=1 applies these fixes',
        '',
      ])
      expect({ status, systemctl, after }).toEqual({ status: 0, systemctl: ['daemon-reload'], after: '' })
    })

    test('is prepared when asked to, once', async () => {
      const { status, stderr, systemctl, after } = await offline(
        { ...few, INSTALL_RFO_PREPARE: '1' },
        {
          ...openEuler,
          command: '"$SHELL" "$INSTALLER" && "$SHELL" "$INSTALLER"',
          after: `cat ${keyfile}; ls -A /etc/NetworkManager/conf.d`,
        },
      )
      expect(stderr.replace(/.*(INSTALL_RFO_KEY|does not say which version).*\n/g, '')).toBe('')
      expect({ status, after: after.split('\n') }).toEqual({
        status: 0,
        after: ['[keyfile]', 'unmanaged-devices=interface-name:cali*;interface-name:flannel*', 'rfo-canal.conf'],
      })
      expect(systemctl).toEqual([
        'disable --now firewalld.service',
        'disable --now nm-cloud-setup.service',
        'disable --now nm-cloud-setup.timer',
        'reload NetworkManager.service',
        'daemon-reload',
        'daemon-reload',
      ])
    })

    test('keeps an operator’s own keyfile, and needs none where another one says it', async () => {
      const prepare = { ...few, INSTALL_RFO_PREPARE: '1' }
      const own = { before: `${openEuler.before}; echo '# mine' >${keyfile}`, after: `cat ${keyfile}` }
      const kept = await offline(prepare, own)
      expect(kept).toMatchObject({ status: 0, after: '# mine', stderr: expect.stringContaining('it is left as it is') })
      const line = 'unmanaged-devices=interface-name:eth9;interface-name:cali*;interface-name:flannel*'
      const other = `${openEuler.before}; printf '[keyfile]\\n${line}\\n' >/etc/NetworkManager/conf.d/99-mine.conf`
      expect(await offline(prepare, { before: other, after: `ls ${keyfile} 2>/dev/null` })).toMatchObject({ status: 0, after: '' })
    })

    test('gets tar by dnf', async () => {
      const dnf = `echo "$*" >>/out/systemctl; /bin/ln -s ${tool('tar').path} /mnt/tools/tar`
      const run = { without: ['tar'], shims: { dnf } }
      const { status, systemctl } = await offline({ ...few, INSTALL_RFO_PREPARE: '1' }, run)
      expect({ status, systemctl }).toEqual({ status: 0, systemctl: ['install -y tar', 'daemon-reload'] })
      const failing = { without: ['tar'], shims: { dnf: 'exit 1' }, after: left }
      refused(await offline({ ...few, INSTALL_RFO_PREPARE: '1' }, failing), 'tar could not be installed')
    })
  })
})
