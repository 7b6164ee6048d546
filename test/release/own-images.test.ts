/** RFO's own images in a release: what they carry is what the release ships, and says where it is from. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import { readBytes } from '../../src/content/read.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { hostTool, onHost } from '../pack/host.ts'
import { readPredicate } from './form.ts'
import { type Project, run, smallProject, version } from './project.ts'

let project: Project
let made: string
let layout: LayoutStore
let predicate: ReleasePredicate
let scratch: string
beforeAll(async () => {
  project = await smallProject()
  expect((await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64,arm64', '--progress', 'none'])).code).toBe(0)
  made = join(project.folder, 'dist', version)
  layout = await openLayout(join(made, 'oci'))
  predicate = await readPredicate(made)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-own-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

const imageOf = (component: string): ReleasePredicate['images'][number] =>
  predicate.images.find((image) => image.component === component) as ReleasePredicate['images'][number]
const shipped = async (path: string): Promise<string> => digestOf(await readFile(join(made, path)))

/** The top layer of an image, unpacked as a container runtime would. */
async function unpacked(component: string, architecture: string): Promise<string> {
  const { digest, size } = imageOf(component)
  const index = parseIndex(await readBytes(layout, { mediaType: 'application/vnd.oci.image.index.v1+json', digest, size }))
  const manifest = index.manifests.find((each) => each.platform?.architecture === architecture)
  if (manifest === undefined) throw new Error(`no ${component} for ${architecture}`)
  const layer = parseManifest(await readBytes(layout, manifest)).layers.at(-1)
  if (layer === undefined) throw new Error('no layer')
  const bytes = Buffer.from(await readBytes(layout, layer))
  const folder = join(scratch, `${component}-${architecture}`)
  await mkdir(folder, { recursive: true })
  const input = layer.mediaType.endsWith('gzip') ? gunzipSync(bytes) : zstdDecompressSync(bytes)
  execFileSync('tar', ['-x', '-C', folder], { input })
  return folder
}

/** What the provenance of an image says, by platform. */
async function provenanceOf(component: string, architecture: string): Promise<Record<string, string>> {
  const platform = imageOf(component).platforms[`linux/${architecture}` as 'linux/amd64']
  if (platform?.status !== 'made') throw new Error('not made')
  const index = JSON.parse(await readFile(join(made, 'oci/index.json'), 'utf8')) as { manifests: { digest: string }[] }
  const found: Record<string, string> = {}
  for (const { digest } of index.manifests) {
    const blob = join(made, 'oci/blobs/sha256', digest.slice('sha256:'.length))
    const { layers = [], subject } = JSON.parse(await readFile(blob, 'utf8')) as {
      layers?: { digest: string }[]
      subject?: { digest: string }
    }
    if (subject?.digest !== platform.digest) continue
    for (const layer of layers) {
      const text = await readFile(join(made, 'oci/blobs/sha256', layer.digest.slice('sha256:'.length)), 'utf8')
      const payload = /"payload":"([A-Za-z0-9+/=]+)"/.exec(text)?.[1]
      if (payload === undefined) continue
      const statement = JSON.parse(Buffer.from(payload, 'base64').toString('utf8')) as {
        predicate: {
          buildDefinition?: { buildType: string; resolvedDependencies: { name?: string; uri: string; digest: { sha256?: string } }[] }
        }
      }
      const { buildDefinition } = statement.predicate
      if (buildDefinition === undefined) continue
      found.buildType = buildDefinition.buildType
      for (const { name, uri, digest: sums } of buildDefinition.resolvedDependencies)
        found[/file_name=(.+)$/.exec(uri)?.[1] ?? name ?? uri] = `sha256:${sums.sha256}`
    }
  }
  return found
}

test('each is signed and listed as its pipeline says: in a group of its own, or in no archive', async () => {
  expect(
    ['kube-explorer', 'rfo-upgrade', 'system-agent-installer-rfo'].map((name) => [imageOf(name).reference, ...imageOf(name).groups]),
  ).toEqual([
    [expect.stringMatching(/^docker\.io\/rfolabs\/kube-explorer:v0\.4\.2-build\d{8}$/), 'kube-explorer'],
    ['docker.io/rfolabs/rfo-upgrade:v1.24.8-rfor1'],
    ['docker.io/rfolabs/system-agent-installer-rfo:v1.24.8-rfor1'],
  ])
  expect(await readFile(join(made, 'rfo-images-kube-explorer.linux-amd64.txt'), 'utf8')).toBe(`${imageOf('kube-explorer').reference}\n`)
  const all = await readFile(join(made, 'rfo-images-all.linux-amd64.txt'), 'utf8')
  expect([all.includes('kube-explorer'), all.includes('rfo-upgrade')]).toEqual([true, false])
  const verified = await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
  expect(verified.code).toBe(0)
  const audit = await readFile(join(made, 'audit.html'), 'utf8')
  expect(audit).toContain('in no list: an image of RFO’s own')
  expect(audit).toMatch(/id="image-rfo-upgrade".*\n(.*\n)*?.*<code>rfo\.linux-amd64<\/code>, <code>rfo\.linux-arm64<\/code>/)
})

test.each(['amd64', 'arm64'])('%s: an installer’s files are the release’s own, and its list has their sums', async (arch) => {
  const folder = await unpacked('system-agent-installer-rfo', arch)
  const names = [`rfo.linux-${arch}.tar.gz`, `rfo-images-core.linux-${arch}.txt`, 'platforms.txt', 'SANDBOX']
  for (const name of names) expect(digestOf(await readFile(join(folder, name))), name).toBe(await shipped(name))
  expect(digestOf(await readFile(join(folder, 'installer.sh')))).toBe(await shipped('install-rfo.sh'))
  const [own, whole] = [folder, made].map(async (where) =>
    (await readFile(join(where, `sha256sum-${arch}.txt`), 'utf8')).trim().split('\n'),
  )
  expect((await own)?.map((line) => line.slice(66)).sort()).toEqual(names.toSorted())
  expect(await whole).toEqual(expect.arrayContaining((await own) ?? []))
  const said = await provenanceOf('system-agent-installer-rfo', arch)
  expect(said.buildType).toMatch(/\/files\/v1$/)
  for (const name of [...names, 'install-rfo.sh']) expect(said[name], name).toBe(await shipped(name))
})

test('the upgrade holds the release’s program and the kubectl of its Kubernetes image, and names both', async () => {
  const folder = await unpacked('rfo-upgrade', 'arm64')
  expect(digestOf(await readFile(join(folder, 'opt/rfo')))).toBe(await shipped('rfo.linux-arm64'))
  const kubernetes = await unpacked('hardened-kubernetes', 'arm64')
  const kubectl = 'usr/local/bin/kubectl'
  expect(await readFile(join(folder, kubectl))).toEqual(await readFile(join(kubernetes, kubectl)))
  const said = await provenanceOf('rfo-upgrade', 'arm64')
  expect(said['rfo.linux-arm64']).toBe(await shipped('rfo.linux-arm64'))
  expect({ status: 'made', digest: said['hardened-kubernetes'] }).toEqual(imageOf('hardened-kubernetes').platforms['linux/arm64'])
})

test('a script that changed is a new image of its own, and of nothing else', async () => {
  const ran = async (): Promise<string[]> => {
    const { code, stderr } = await run(project.folder, ['build', version, '--sandbox', '--platform', 'amd64', '--progress', 'json'])
    expect(code).toBe(0)
    const events = stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { kind: string; task?: string })
    return events.flatMap(({ kind, task }) => (kind === 'task-done' && task !== undefined ? [task] : [])).sort()
  }
  await ran()
  const file = join(project.folder, 'pipelines/rfo-upgrade.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace('NEW=/opt/rfo', 'NEW=/opt/new'))
  expect(await ran()).toEqual(['image/rfo-upgrade/linux/amd64', 'programs/rfo-upgrade/linux/amd64', 'smoke/rfo-upgrade/linux/amd64'])
  await writeFile(file, text)
})

const host = await hostTool()
describe.skipIf(host.skip)('/run.sh, as system-agent calls it on a host', () => {
  const env = {
    ARCH: 'amd64',
    INSTALL_RFO_ALLOW_SANDBOX: version,
    INSTALL_RFO_ALLOW_PARTIAL: 'linux/amd64',
    CATTLE_AGENT_EXECUTION_PWD: '/mnt/release',
  }
  const call = async (more: Readonly<Record<string, string>>, shims: Readonly<Record<string, string>> = {}) =>
    onHost({
      release: await unpacked('system-agent-installer-rfo', 'amd64'),
      env: { ...env, ...more },
      shims: { sh: 'exec /bin/dash "$@"', ...shims },
      command: '"$SHELL" /mnt/release/run.sh',
      after: 'ls /usr/local/bin/rfo /var/lib/rancher/rfo/agent/images 2>&1',
    })

  test('installs the release, the list of core images with it, enables and starts the server', async () => {
    const { status, after, systemctl } = await call({})
    expect(status).toBe(0)
    expect(after.split('\n')).toEqual(['/usr/local/bin/rfo', '', '/var/lib/rancher/rfo/agent/images:', 'rfo-images-core.linux-amd64.txt'])
    expect(systemctl).toEqual(['daemon-reload', 'enable rfo-server', '--no-block restart rfo-server'])
  })

  test.each([
    [{ INSTALL_RFO_TYPE: 'agent' }, ['daemon-reload', 'enable rfo-agent', '--no-block restart rfo-agent']],
    [{ INSTALL_RFO_SKIP_START: 'true' }, ['daemon-reload', 'enable rfo-server']],
    [{ INSTALL_RFO_SKIP_ENABLE: 'true' }, ['daemon-reload']],
  ])('%j', async (more, asked) => {
    const { status, systemctl } = await call(more)
    expect([status, systemctl]).toEqual([0, asked])
  })

  test('an agent that becomes a server is stopped first', async () => {
    const systemctl = `case "$*" in 'is-active --quiet rfo-agent') exit 0;; is-*) exit 1;; esac; echo "$*" >>/out/systemctl`
    expect((await call({}, { systemctl })).systemctl).toEqual([
      'daemon-reload',
      'disable --now rfo-agent',
      'enable rfo-server',
      '--no-block restart rfo-server',
    ])
  })

  test('a file that was changed in the image: nothing is installed, nothing is enabled', async () => {
    const folder = await unpacked('system-agent-installer-rfo', 'amd64')
    await writeFile(join(folder, 'rfo.linux-amd64.tar.gz'), 'x')
    const { status, after, systemctl } = await onHost({
      release: folder,
      env,
      shims: { sh: 'exec /bin/dash "$@"' },
      command: '"$SHELL" /mnt/release/run.sh',
      after: 'ls /usr/local/bin/rfo',
    })
    expect([status, systemctl]).toEqual([1, []])
    expect(after).toContain('No such file')
  })
})
