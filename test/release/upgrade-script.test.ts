/**
 * The script of rfo-upgrade against a host with a real process: a PID namespace of its own, this machine's system read-only below a
 * layer in memory, and the same once more at /host, as a Plan's pod sees it. What runs as rfo is a copy of bash that has its title.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import { hostTool } from '../pack/host.ts'
import { inputFor } from '../plan/project.ts'
import { tool } from '../tools.ts'

const plan = planRelease(inputFor('v1.24.8+rfor1', emptyLock))
const scripts = plan.images.flatMap(({ component, files = [] }) =>
  files.flatMap((file) =>
    'text' in file && file.text.startsWith('#!/bin/sh\n') ? [{ name: `${component} ${file.path}`, text: file.text }] : [],
  ),
)
const script = scripts.find(({ name }) => name === 'rfo-upgrade /usr/bin/upgrade.sh')?.text ?? ''

const shellcheck = tool('shellcheck')
describe.skipIf(shellcheck.skip)('shellcheck has nothing to say', () => {
  test.each(scripts)('of $name', ({ text }) => {
    execFileSync(shellcheck.path, ['-s', 'sh', '-'], { input: text })
  })
  test('and is asked about more than one', () => expect(scripts.length).toBeGreaterThan(1))
})

/** All that the script may need besides a shell: coreutils. */
const programs = ['cat', 'chcon', 'chmod', 'mktemp', 'mv', 'readlink', 'rm', 'sha256sum', 'sleep', 'sort', 'stat', 'sync', 'tr']

interface Outcome {
  readonly status: number
  readonly said: string
  /** what `after` printed, by line */
  readonly after: string[]
}

interface Node {
  readonly shell?: 'dash' | 'bash'
  readonly arguments?: string
  /** shell commands on the host, before and after; `$RFO` is the PID of what runs there */
  readonly before?: string
  readonly after?: string
  readonly kubectl?: string
}

/** Runs the server with a kubelet, a containerd and a shim as its children. */
const server = `cp /bin/bash /usr/local/bin/rfo; cp /bin/sleep /srv/kubelet; cp /bin/sleep /srv/containerd; cp /bin/sleep /srv/shim
start() { bash -c 'exec -a "/usr/local/bin/rfo $0" /usr/local/bin/rfo -c "/srv/kubelet 99 & /srv/containerd 99 & /srv/shim 99 & wait"' "$1" & }
start server; RFO=$!; sleep 0.3`

async function onNode(node: Node): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'rfo-node-'))
  try {
    await Promise.all(['memory', 'tools'].map((name) => mkdir(join(folder, name))))
    for (const name of programs) await symlink(tool(name).path, join(folder, 'tools', name))
    if (node.kubectl !== undefined) await writeFile(join(folder, 'tools', 'kubectl'), `#!/bin/bash\n${node.kubectl}\n`, { mode: 0o755 })
    await writeFile(join(folder, 'upgrade.sh'), script)
    const inner = `cp /mnt/upgrade.sh /usr/bin/upgrade.sh
{ cat /bin/bash; echo new; } >/opt/rfo; chmod 755 /opt/rfo
${node.before ?? ''}
env -i PATH=/mnt/tools RFO_UPGRADE_SECONDS=0.1 SYSTEM_UPGRADE_PLAN_LATEST_VERSION=v1.24.8-rfor1 /bin/${node.shell ?? 'dash'} /usr/bin/upgrade.sh ${node.arguments ?? ''} >/mnt/said 2>&1
echo $? >/mnt/status
sleep 0.2
{ ${node.after ?? ':'}
} >/mnt/after 2>&1\n`
    await writeFile(join(folder, 'inner'), inner)
    const outer = `set -e
cd "$1/memory"
mount -t tmpfs tmpfs .
cd "$1/memory"
mkdir u w r
mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w r
mount --bind "$1" r/mnt
mount -t proc proc r/proc
mount --rbind /dev r/dev
mkdir -p r/host r/opt
mount --rbind r r/host
exec chroot r /bin/bash /mnt/inner`
    await new Promise<void>((resolve, reject) =>
      execFile(
        'unshare',
        ['-m', '-p', '-f', '--kill-child', '--propagation', 'private', 'sh', '-c', outer, 'sh', folder],
        { timeout: 30_000 },
        (error, _, stderr) => (error === null ? resolve() : reject(new Error(`the node did not start: ${stderr}`))),
      ),
    )
    const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
    return {
      status: Number(await read('status')),
      said: await read('said'),
      after: (await read('after')).split('\n').filter((line) => line !== ''),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const host = await hostTool()
const state = `for each in rfo:$RFO $(for each in /proc/[0-9]*; do read -r name <$each/comm; case $name in kubelet|containerd|shim) echo $name:\${each##*/};; esac; done | sort); do
  kill -0 \${each#*:} 2>/dev/null && echo "\${each%:*} runs"; done
cmp -s /opt/rfo /usr/local/bin/rfo && echo replaced
ls -A /usr/local/bin | grep -v '^rfo$' | grep rfo; stat -c %a /usr/local/bin/rfo`

describe.skipIf(host.skip)('upgrade', () => {
  test.each(['dash', 'bash'] as const)(
    '%s: the program is replaced, what runs ends with kubelet and containerd; a pod’s shim does not',
    async (shell) => {
      const { status, said, after } = await onNode({ shell, before: server, after: state })
      expect([status, after]).toEqual([0, ['shim runs', 'replaced', '755']])
      expect(said).toMatch(
        /^\[INFO\] {2}\/usr\/local\/bin\/rfo runs with PID (\d+)\n\[INFO\] {2}\/usr\/local\/bin\/rfo is replaced\n\[INFO\] {2}ended \1 and its containerd and kubelet:( \d+){2}\n$/,
      )
    },
  )

  test('an upgrade that broke off between the two: the old program, whose file is gone, is ended', async () => {
    const { status, said, after } = await onNode({
      before: `${server}\ncp /opt/rfo /srv/new; mv /srv/new /usr/local/bin/rfo`,
      after: state,
    })
    expect([status, after]).toEqual([0, ['shim runs', 'replaced', '755']])
    expect(said).toContain('is of this release already\n')
  })

  test('what runs is of this release: nothing is done', async () => {
    const { status, said, after } = await onNode({ before: server.replace('cp /bin/bash', 'cp /opt/rfo'), after: state })
    expect([status, after]).toEqual([0, ['rfo runs', 'containerd runs', 'kubelet runs', 'shim runs', 'replaced', '755']])
    expect(said).toContain('this release runs already\n')
  })

  test.each([
    ['nothing runs', 'RFO=1', 'rfo runs neither as server nor as agent on this node'],
    [
      'another command of it runs',
      server.replace('start server', 'start etcd-snapshot'),
      'rfo runs neither as server nor as agent on this node',
    ],
    ['two run', `${server}; start agent; sleep 0.2`, 'two of rfo run here: '],
    ['the host’s root is not there', `${server}; umount -l /host/proc`, 'this is not the host’s PID namespace'],
  ])('%s: refused, and nothing is touched', async (_what, before, why) => {
    const { status, said, after } = await onNode({
      before,
      after: 'cmp -s /opt/rfo /usr/local/bin/rfo || echo old; kill -0 $RFO && echo runs',
    })
    expect([status, after]).toEqual([1, ['old', 'runs']])
    expect(said.replaceAll("'", '’')).toMatch(new RegExp(`\\[ERROR\\] {2}.*(${why})`))
  })
})

describe.skipIf(host.skip)('prepare', () => {
  const account =
    'mkdir -p /var/run/secrets/kubernetes.io/serviceaccount; echo -n cattle-system >/var/run/secrets/kubernetes.io/serviceaccount/namespace'
  /** Answers of kubectl, one after another; the last one stays. */
  const answers = (plans: readonly string[], nodes: readonly string[]): string => `
next() { n=$(cat /srv/$1 2>/dev/null || echo 0); echo $((n + 1)) >/srv/$1; shift $((n + 1 < $# ? n + 1 : $# - 1)); [ "$1" != fails ] || { echo 'no such plan' >&2; exit 1; }; echo -n "$1"; }
echo "$*" >>/srv/asked
case "$2" in plans*) next plan ${plans.map((each) => `'${each}'`).join(' ')};; nodes) next node ${nodes.map((each) => `'${each}'`).join(' ')};; esac`

  test('waits for the Plan, for its servers, and until each of them runs this version', async () => {
    const kubectl = answers(['fails', 'server-2 server-1', ''], ['v1.23.14+rfor1 v1.24.8+rfor1', '', 'v1.24.8+rfor1 v1.24.8+rfor1'])
    const { status, said, after } = await onNode({ arguments: 'prepare servers', before: account, kubectl, after: 'sort -u /srv/asked' })
    expect(status).toBe(0)
    expect(said.split('\n')).toEqual([
      'no such plan',
      '[INFO]  waiting for the servers of Plan servers',
      '[INFO]  waiting for the servers of Plan servers: server-2 server-1',
      '[INFO]  waiting for servers to run v1.24.8-rfor1: v1.23.14-rfor1',
      'v1.24.8-rfor1',
      '[INFO]  waiting for servers to run v1.24.8-rfor1: ',
      '[INFO]  every server runs v1.24.8-rfor1',
      '',
    ])
    expect(after).toEqual([
      'get nodes -l node-role.kubernetes.io/control-plane -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}',
      'get plans.upgrade.cattle.io servers -n cattle-system -o jsonpath={.status.applying[*]}',
    ])
  })

  test.each([
    ['prepare', 'prepare needs the name of the Plan of the servers'],
    ['reboot', 'upgrade or prepare, not reboot'],
    ['prepare servers', 'this runs in no pod'],
  ])('%s: refused', async (argv, why) => {
    const { status, said } = await onNode({ arguments: argv })
    expect([status, said]).toEqual([1, expect.stringContaining(`[ERROR]  ${why}\n`)])
  })
})
