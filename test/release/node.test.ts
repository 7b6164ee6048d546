/** A node of a release: its programs are those of the release, whatever the machine has, and never what stands in for one. */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { releaseNode } from '../../src/release/node.ts'
import { readPredicate } from './form.ts'
import { type Project, run, smallProject, version } from './project.ts'

const platform = 'linux/amd64'
let project: Project
let made: string
let scratch: string
/** of a release in which everything is a stand-in */
let sandbox: ReleasePredicate
/** as it is where only bases are */
let compiled: ReleasePredicate
beforeAll(async () => {
  project = await smallProject(['rancher/hardened-etcd'])
  expect((await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64,arm64', '--progress', 'none'])).code).toBe(0)
  made = join(project.folder, 'dist', version)
  sandbox = await readPredicate(made)
  const ofBases = [...new Set(sandbox.platforms.map((each) => sandbox.bases[each]?.standIn))].join('; ')
  compiled = {
    ...sandbox,
    images: sandbox.images.map(({ standIn, ...image }) =>
      standIn?.endsWith(`; ${ofBases}`)
        ? { ...image, standIn: ofBases }
        : image.component === 'rke2-runtime'
          ? { ...image, standIn: 'a' }
          : image,
    ),
  }
  scratch = await mkdtemp(join(tmpdir(), 'rfo-node-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** The release with one more stand-in said of a component. */
const standingIn = (component: string, standIn: string): ReleasePredicate => ({
  ...compiled,
  images: compiled.images.map((image) => (image.component === component ? { ...image, standIn } : image)),
})

test('runc is that of the release’s runtime image, as is every other program; stand-ins for bases are in the way of none', async () => {
  expect(compiled.images.find((image) => image.component === 'hardened-runc')?.standIn).toContain('openeuler')
  const node = await releaseNode(made, compiled, platform)
  const into = { programs: join(scratch, 'bin'), cniPlugins: join(scratch, 'cni') }
  await mkdir(into.programs)
  await mkdir(into.cniPlugins)
  await node.put(into)
  // a stand-in's bytes hold what it says: component and version
  expect((await readFile(join(into.programs, 'runc'))).toString('latin1')).toContain('runc version 1.1.4')
  expect((await readdir(into.programs)).sort()).toEqual([
    'containerd',
    'containerd-shim-runc-v2',
    'ctr',
    'etcd',
    'etcdctl',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-proxy',
    'kube-scheduler',
    'kubectl',
    'kubelet',
    'pause',
    'runc',
  ])
  expect((await readdir(into.cniPlugins)).sort()).toEqual(['host-local', 'loopback', 'portmap', 'ptp'])
  const runtime = compiled.images.find((image) => image.component === 'rke2-runtime')?.platforms[platform]
  expect(node.programs['rke2-runtime']).toBe(runtime?.status === 'made' ? runtime.digest : '')
})

test.each([
  'hardened-kubernetes',
  'hardened-etcd',
  'hardened-containerd',
  'hardened-runc',
  'hardened-cni-plugins',
  'hardened-coredns',
  'pause',
])('a stand-in for %s is no node: said before anything is made', async (component) => {
  await expect(releaseNode(made, standingIn(component, 'x@v1; y'), platform)).rejects.toMatchObject({
    code: 'RFO_TEST_NODE',
    exit: 'condition',
    message: `no node can be made: the release only stands in for ${component}`,
  })
})

test('neither is a release in which everything stands in, nor one without a runc', async () => {
  await expect(releaseNode(made, sandbox, platform)).rejects.toMatchObject({ code: 'RFO_TEST_NODE' })
  const without = { ...compiled, images: compiled.images.filter((image) => image.component !== 'hardened-runc') }
  await expect(releaseNode(made, without, platform)).rejects.toMatchObject({
    message: 'no node can be made: the release has no hardened-runc',
  })
})
