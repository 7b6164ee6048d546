import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { openRegistry } from '../../src/content/registry.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { reach } from '../../src/plan/addresses.ts'
import { upstreamOf } from '../../src/plan/release-plan.ts'
import { type Sandbox, standInKinds, startSandbox } from '../../src/sandbox/start.ts'
import { tool } from '../tools.ts'
import { images, plan, realLock } from './plan.ts'

const run = promisify(execFile)
const environment = { ...process.env, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1', GIT_TERMINAL_PROMPT: '0' }
let folder: string
let sandbox: Sandbox
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rfo-start-'))
  sandbox = await startSandbox({ plan, kinds: new Set(), everything: true, lock: realLock, stateDir: folder })
})
afterAll(async () => {
  await sandbox.close()
  await rm(folder, { recursive: true, force: true })
})

const release = () => {
  const found = sandbox.lock.releases[plan.version]
  if (found === undefined) throw new Error('no release')
  return found
}
const openPin = (reference: string) => {
  const [, registry = '', repository = ''] = /^([^/]+)\/(.+):[^:]+$/.exec(reference) ?? []
  return openRegistry({ registry, repository }, { addresses: sandbox.addresses })
}

describe('what the lock pins comes out of the sockets', () => {
  test('images: every manifest with all that it reaches, and the tag', async () => {
    const store = memoryStore()
    const bases = Object.values(release().bases).flatMap((base) =>
      base?.kind === 'image' ? [{ reference: base.reference, manifests: [base.manifest] }] : [],
    )
    const mirrors = Object.values(release().components).flatMap(({ pin }) =>
      pin.kind === 'image' ? [{ reference: pin.reference, manifests: [pin.index, ...Object.values(pin.platforms)] }] : [],
    )
    expect(bases.length).toBe(3)
    expect(mirrors.length).toBe(2)
    for (const { reference, manifests } of [...bases, ...mirrors]) {
      await copyGraph(manifests, openPin(reference), store, { concurrency: 4 })
      for (const manifest of manifests) expect(await store.exists(manifest)).toBe(true)
    }
    for (const { reference, manifests } of mirrors) {
      expect(await openPin(reference).resolve(reference.slice(reference.lastIndexOf(':') + 1))).toMatchObject({
        digest: manifests[0]?.digest,
      })
    }
  })

  test('archives and charts', async () => {
    const pinned = [
      ...Object.values(release().components).flatMap(({ pin }) =>
        pin.kind === 'archive' ? [pin] : pin.kind === 'git' && pin.archive ? [pin.archive] : [],
      ),
      ...Object.values(release().charts).flatMap((chart) => (chart.kind === 'chart' ? [chart] : [])),
    ]
    expect(pinned.length).toBe(8)
    for (const { url, digest } of pinned) {
      const response = await fetch(reach(sandbox.addresses, url))
      expect(digestOf(Buffer.from(await response.arrayBuffer())), url).toBe(digest)
    }
  })
})

const skopeo = tool('skopeo')
test.skipIf(skopeo.skip)('skopeo copies an image of every platform', async () => {
  for (const [reference, architectures] of [
    ['docker.io/openeuler/openeuler:22.03-lts', ['amd64', 'arm64']],
    ['docker.io/rancher/klipper-lb:v0.3.5', ['amd64', 'arm64', 'riscv64']],
  ] as const) {
    for (const architecture of architectures) {
      const source = reach(sandbox.addresses, reference).replace('http://', 'docker://')
      const into = join(folder, `skopeo-${architecture}`)
      const args = [
        '--override-os',
        'linux',
        '--override-arch',
        architecture,
        'copy',
        '-q',
        '--src-tls-verify=false',
        source,
        `dir:${into}`,
      ]
      await run(skopeo.path, args, { env: environment })
      const manifest = JSON.parse(await readFile(join(into, 'manifest.json'), 'utf8'))
      const config = JSON.parse(await readFile(join(into, manifest.config.digest.slice(7)), 'utf8'))
      expect(config).toMatchObject({ architecture, config: { Labels: { 'io.rfolabs.stand-in': reference } } })
      await rm(into, { recursive: true })
    }
  }
})

const crane = tool('crane')
test.skipIf(crane.skip)('crane validates them', async () => {
  for (const image of images.filter((each) => each.action === 'mirror')) {
    const { component } = image
    const reference = reach(sandbox.addresses, upstreamOf(image)).replace('http://', '')
    const { stdout, stderr } = await run(crane.path, ['validate', '--insecure', '--remote', reference], { env: environment })
    expect(`${stdout}${stderr}`, component).toMatch(/PASS/)
  }
})

const tar = tool('tar')
test.skipIf(crane.skip || tar.skip)('a base image unpacks to something that says that it is openEuler, and a stand-in', async () => {
  const reference = reach(sandbox.addresses, 'docker.io/openeuler/openeuler:22.03-lts').replace('http://', '')
  const root = join(folder, 'root')
  const file = join(folder, 'root.tar')
  await mkdir(root)
  await run(crane.path, ['export', '--insecure', '--platform', 'linux/amd64', reference, file], { env: environment })
  await run(tar.path, ['-xf', file, '-C', root, '--no-same-owner'])
  expect(await readFile(join(root, 'etc/os-release'), 'utf8')).toContain('PRETTY_NAME="openEuler 22.03 LTS"')
  expect(await readFile(join(root, 'usr/share/rfo/STAND-IN'), 'utf8')).toContain(
    "Stand-in of RFO's sandbox for docker.io/openeuler/openeuler:22.03-lts",
  )
  expect((await readFile(join(root, 'var/lib/rpm/Packages.db'))).toString('latin1', 0, 4)).toBe('RpmP')
  await run('chmod', ['-R', 'u+w', root])
})

const git = tool('git')
test.skipIf(git.skip)('git reaches a source at its public address', async () => {
  const url = reach(sandbox.addresses, 'https://github.com/kubernetes/kubernetes')
  const { stdout } = await run(git.path, ['ls-remote', url, 'refs/tags/v1.24.8^{}'], { env: environment })
  const pin = release().components['hardened-kubernetes']?.pin
  expect(stdout.split('\t')[0]).toBe(pin?.kind === 'git' ? pin.commit : '')
})

test('only what is replaced has another address', async () => {
  const prefixes = async (...kinds: (typeof standInKinds)[number][]): Promise<string[]> => {
    const started = await startSandbox({ plan, kinds: new Set(kinds), everything: false, lock: realLock, stateDir: folder })
    await started.close()
    return Object.keys(started.addresses).sort()
  }
  expect(await prefixes('bases')).toEqual(['docker.io/openeuler/'])
  expect(await prefixes('mirrors')).toEqual(['docker.io/rancher/klipper-lb', 'docker.io/rancher/mirrored-cilium-cilium'])
  expect(await prefixes('charts')).toEqual(['https://rke2-charts.rancher.io/'])
  expect((await prefixes('git')).filter((prefix) => !prefix.includes('/archive/'))).toEqual([
    'https://github.com/kubernetes/kubernetes',
    'https://github.com/projectcalico/calico',
  ])
  expect(await prefixes()).toEqual([])
})

test('with everything replaced, nothing of these hosts is left outside', () => {
  for (const url of [
    'docker.io/library/anything',
    'https://github.com/nobody/nothing',
    'https://rke2-charts.rancher.io/x',
    'https://example.org/y',
  ]) {
    expect(reach(sandbox.addresses, url)).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//)
  }
})

test('a second start gives the same lock and key at other ports, and a closed one is gone', async () => {
  const second = await startSandbox({ plan, kinds: new Set(standInKinds), everything: true, lock: realLock, stateDir: folder })
  expect(second.lock).toEqual(sandbox.lock)
  expect(second.key).toEqual(sandbox.key)
  expect(second.addresses['docker.io']).not.toBe(sandbox.addresses['docker.io'])
  await second.close()
  await expect(fetch(`${second.addresses['docker.io']}/v2/`)).rejects.toThrow()
})
