/**
 * A cluster of a real release: ready and gone; and what happens when it can't be ready, a program dies, the disk is full, or
 * rfo-build is killed. RFO_REAL_RELEASE names the release's folder, RFO_CLUSTER=1 asks for it: it takes root and some minutes.
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ReleasePredicate } from '../../src/attest/release.ts'
import { removeLeftovers } from '../../src/cluster/leftover.ts'
import { type Cluster, type ClusterRequest, startCluster } from '../../src/cluster/start.ts'
import { exec } from '../../src/exec.ts'
import { type ReleaseNode, releaseNode } from '../../src/release/node.ts'
import { cgroupsNamed } from '../cluster/cgroups.ts'

const folder = process.env.RFO_REAL_RELEASE
const skip = folder === undefined || process.env.RFO_CLUSTER !== '1' || process.getuid?.() !== 0
if (skip) process.stderr.write('tests of a real cluster are skipped: RFO_CLUSTER=1 and RFO_REAL_RELEASE ask for them, as root\n')
const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
const platform = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64'

describe.skipIf(skip)('a cluster of a release', { timeout: 300_000 }, () => {
  let scratch: string
  let node: ReleaseNode
  /** of this test's clusters: others may run on this machine */
  const ids = new Set<string>()
  let programs = ''
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'rfo-cluster-'))
    const { predicate } = JSON.parse(await readFile(join(folder ?? '', 'evidence', 'release.json'), 'utf8')) as { predicate: unknown }
    node = await releaseNode(folder ?? '', ReleasePredicate.parse(predicate), platform)
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  const put: ClusterRequest['putPrograms'] = async (into) => {
    ids.add(basename(dirname(into.programs)))
    programs = into.programs
    await node.put(into)
  }
  const request = (change: Partial<ClusterRequest> = {}): ClusterRequest => ({
    clusters: join(scratch, 'clusters'),
    putPrograms: put,
    platform,
    images: node.images,
    pause: node.pause,
    dns: node.dns,
    env,
    signal: new AbortController().signal,
    diagnostics: join(scratch, 'diagnostics'),
    say: () => {},
    ...change,
  })
  /** A node whose program of that name does nothing but wait. */
  const without = (name: string): Partial<ClusterRequest> => ({
    async putPrograms(into) {
      await put(into)
      await copyFile(join(into.programs, 'pause'), join(into.programs, name))
    },
    seconds: 25,
  })
  const nothingLeft = async (): Promise<void> => {
    expect(await readdir(join(scratch, 'clusters'))).toEqual([])
    expect((await cgroupsNamed(/^rfo-/)).filter((each) => ids.has(basename(each).slice('rfo-'.length)))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(scratch)
  }

  test('serves, with the release’s own CoreDNS and pause; stopped, it leaves nothing', async () => {
    const cluster: Cluster = await startCluster(request())
    try {
      const said = async (...argv: string[]): Promise<string> => (await cluster.exec(['kubectl', ...argv])).stdout.toString('utf8')
      expect(await said('get', 'nodes', '-o=jsonpath={.items[*].status.nodeInfo.kubeletVersion}')).toMatch(/\+rfor/)
      expect(await said('-n', 'kube-system', 'get', 'pods', '-o=jsonpath={.items[*].spec.containers[*].image}')).toBe(node.dns)
      // the machine may have a runc, too: containers are those of the node's, which the shims look for where this does
      expect(String((await cluster.exec(['sh', '-c', 'command -v runc'])).stdout).trim()).toBe(join(programs, 'runc'))
      const running = (await cluster.exec(['runc', '--root', '/run/containerd/runc/k8s.io', 'list', '--quiet'])).stdout
      expect(String(running).trim().split('\n').length).toBeGreaterThanOrEqual(2)
      await cluster.diagnose()
      expect(await readdir(join(scratch, 'diagnostics'))).toEqual(
        expect.arrayContaining(['kubelet.log', 'kube-apiserver.log', 'events.txt', 'pods.txt']),
      )
    } finally {
      await cluster.stop()
    }
    await nothingLeft()
  })

  test('a node that never becomes ready: said in time, with logs and events kept', async () => {
    await expect(startCluster(request(without('kubelet')))).rejects.toMatchObject({
      code: 'RFO_CLUSTER_READY',
      message: 'the node was not ready within 25 seconds',
    })
    expect(await readdir(join(scratch, 'diagnostics'))).toEqual(expect.arrayContaining(['kube-scheduler.log', 'nodes.txt']))
    await nothingLeft()
  })

  test('a program that dies: which one, and its last words', async () => {
    const broken = request({
      async putPrograms(into) {
        await put(into)
        await copyFile(join(into.programs, 'kubectl'), join(into.programs, 'etcd'))
      },
    })
    await expect(startCluster(broken)).rejects.toMatchObject({ code: 'RFO_CLUSTER_DIED', message: 'etcd ended' })
    await nothingLeft()
  })

  test('a disk without room is refused before anything runs', async () => {
    const small = join(scratch, 'small')
    await mkdir(small)
    await exec(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small], { env })
    try {
      await expect(startCluster(request({ clusters: join(small, 'clusters') }))).rejects.toMatchObject({
        code: 'RFO_CLUSTER_SPACE',
        exit: 'machine',
      })
    } finally {
      await exec(['umount', small], { env })
    }
  })

  test('kill -9 while it starts: no process of it goes on, and the next start takes the rest away', async () => {
    const file = join(scratch, 'owner.ts')
    const at = (path: string): string => JSON.stringify(join(import.meta.dirname, '../../src', path))
    await writeFile(
      file,
      `import { readFile } from 'node:fs/promises'
import { startCluster } from ${at('cluster/start.ts')}
import { releaseNode } from ${at('release/node.ts')}
const { predicate } = JSON.parse(await readFile(${JSON.stringify(join(folder ?? '', 'evidence', 'release.json'))}, 'utf8'))
const node = await releaseNode(${JSON.stringify(folder)}, predicate, ${JSON.stringify(platform)})
await startCluster({ clusters: ${JSON.stringify(join(scratch, 'clusters'))}, putPrograms: node.put, platform: ${JSON.stringify(platform)},
  images: node.images, pause: node.pause, dns: node.dns, env: process.env, signal: new AbortController().signal,
  diagnostics: '/nowhere', say: (what) => console.log(what) })
console.log('ready')
setInterval(() => {}, 1000)`,
    )
    for (const moment of ['etcd, containerd, API server', 'ready']) {
      const owner = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'], env })
      await new Promise<void>((resolve) => owner.stdout.on('data', (chunk: Buffer) => String(chunk).includes(moment) && resolve()))
      owner.kill('SIGKILL')
      for (let tries = 0; tries < 100 && (await running(scratch)).length > 0; tries += 1) await wait(100)
      expect(await running(scratch)).toEqual([])
      const removed = await removeLeftovers(join(scratch, 'clusters'))
      expect(removed).toHaveLength(1)
      for (const id of removed) ids.add(id)
      await nothingLeft()
    }
  })
})

/** Programs that run out of a folder, those of containers too: their shims do. */
async function running(below: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (argv.startsWith(`${below}/clusters`)) found.push(argv)
  }
  return found
}
