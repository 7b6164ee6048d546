/** A release on a node: in its folder of images, in its containerd; asked afterwards, killed in between, on a full disk. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { assembleIndex } from '../../src/build/assemble.ts'
import { placeOf } from '../../src/cli/place.ts'
import { openLayout } from '../../src/content/layout.ts'
import type { ContainerdPlace } from '../../src/daemon/place.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { formatReference, parseReference } from '../../src/oci/reference.ts'
import { groupTarBytes } from '../../src/pack/archive.ts'
import { openArchive } from '../../src/release/archive/open.ts'
import { compareFolder } from '../../src/release/compare-node.ts'
import { refuseDowngrade, rememberLoaded } from '../../src/release/highest.ts'
import { type DaemonLoad, loadIntoContainerd } from '../../src/release/load-containerd.ts'
import { loadIntoDocker } from '../../src/release/load-docker.ts'
import { type FolderLoad, loadIntoFolder } from '../../src/release/load-folder.ts'
import { folderFiles, type ReleaseFiles } from '../../src/release/shelf.ts'
import { type Containerd, startContainerd } from '../build/containerd.ts'
import { printingImage } from '../build/image.ts'
import { type Dockerd, startDockerd } from '../daemon/dockerd.ts'
import { mounts } from '../mounts.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, type Ran, run, version } from './project.ts'

const kills = Number(process.env.RFO_KILLS ?? 3)
let state = Number(process.env.RFO_SEED ?? 7)
/** from 0 to 1 */
function random(): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
  return state / 0x80000000
}

const legacy = 'rfo-images.linux-amd64.tar.zst'
const archive = (group: string): string => `rfo-images-${group}.linux-amd64.tar.zst`
let project: Project
let made: string
let scratch: string
let predicate: ReleasePredicate
let files: ReleaseFiles

beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  predicate = await readPredicate(made)
  files = await folderFiles(made)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-node-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

const load = (to: string, more: readonly string[] = [], env = {}): Promise<Ran> =>
  run(project.folder, ['load', version, '--key', '.rfo/sandbox/cosign.pub', '--to', to, '--platform', 'amd64', ...more], env)
const signed = (name: string): string => predicate.files.find(({ path }) => path === name)?.digest ?? ''
const digestIn = async (folder: string, name: string): Promise<string> => digestOf(await readFile(join(folder, name)))

describe('the folder of images', () => {
  const into = (folder: string, more: Partial<FolderLoad> = {}) =>
    loadIntoFolder({ files, predicate, selection: { platforms: ['linux/amd64'] }, folder, existing: 'refuse', ...more })

  test('gets what the default CNI needs in one archive; the second time nothing is written', async () => {
    const folder = join(scratch, 'images')
    const first = await load(folder)
    expect([first.code, first.stdout]).toEqual([0, `present ${folder}/${legacy} ${signed(legacy)}\n`])
    // a list would be pulled
    expect(await readdir(folder)).toEqual([legacy])
    expect(await digestIn(folder, legacy)).toBe(signed(legacy))
    // v1.24.8 imports when it starts, and pins nothing
    expect(first.stderr).toMatch(/imports images when it starts[^\n]*\n[^\n]*pins no images/)
    const { mtimeMs } = await stat(join(folder, legacy))
    expect((await into(folder)).files).toMatchObject([{ state: 'present' }])
    expect((await stat(join(folder, legacy))).mtimeMs).toBe(mtimeMs)
  })

  test('groups that are chosen; what lies there besides is told with the command that removes it, and stays', async () => {
    const folder = join(scratch, 'it’s')
    await mkdir(folder)
    for (const name of [archive('cilium'), 'more.txt', '.cache.json', 'own.tar']) await writeFile(join(folder, name), 'somebody’s')
    await copyFile(join(made, archive('multus')), join(folder, archive('multus')))
    const { code, stdout, stderr } = await load(folder, ['--group', 'core', '--json'])
    const told = JSON.parse(stdout)
    expect({ code, files: told.files }).toEqual({
      code: 0,
      files: [{ path: join(folder, archive('core')), digest: signed(archive('core')), state: 'present' }],
    })
    const beside = { '.cache.json': 'cache', 'more.txt': 'list', 'own.tar': 'other', [archive('cilium')]: 'older' }
    expect(told.beside).toEqual(Object.entries(beside).map(([name, kind]) => ({ path: join(folder, name), kind })))
    expect(told.notes).toEqual(['restart', 'collected', 'cacheUnknown'])
    expect(stderr).toContain(`to remove it: rm '${folder}/${archive('cilium')}'\n`)
    for (const name of Object.keys(beside)) expect(await readFile(join(folder, name), 'utf8')).toBe('somebody’s')
    const later = { ...predicate, upstream: { ...predicate.upstream, version: 'v1.34.1+rke2r1' } }
    expect((await into(folder, { predicate: later })).notes).toEqual([])
  })

  test('out of the release archive, which holds no group archive: it is made again, and is the signed one', async () => {
    const folder = join(scratch, 'from-archive')
    const packed = await run(project.folder, ['pack', version, '-o', scratch])
    expect(packed.code, packed.stderr).toBe(0)
    const open = await openArchive(join(scratch, `rfo-${version}.tar`))
    try {
      expect((await into(folder, { files: open })).files).toMatchObject([{ state: 'present' }])
      expect(await digestIn(folder, legacy)).toBe(signed(legacy))
    } finally {
      await open.close()
    }
  })

  test('other bytes under the name are never replaced silently', async () => {
    const folder = join(scratch, 'other')
    await mkdir(folder)
    await copyFile(join(made, archive('cilium')), join(folder, legacy))
    await expect(into(folder)).rejects.toMatchObject({ code: 'RFO_LOAD_EXISTING', exit: 'condition' })
    expect((await into(folder, { existing: 'skip' })).files).toMatchObject([{ state: 'other' }])
    expect(await digestIn(folder, legacy)).toBe(signed(archive('cilium')))
    expect((await into(folder, { existing: 'replace' })).files).toMatchObject([{ state: 'present' }])
    expect(await digestIn(folder, legacy)).toBe(signed(legacy))
    await rm(join(folder, legacy))
    await mkdir(join(folder, legacy))
    await expect(into(folder, { existing: 'replace' })).rejects.toMatchObject({ code: 'RFO_LOAD_EXISTING' })
  })

  test('verify compares it: a changed archive, an absent one, and images that another archive brings under a signed name', async () => {
    const folder = join(scratch, 'compared')
    const question = [predicate, { platforms: ['linux/amd64'] }, new AbortController().signal] as const
    const states = async (): Promise<string[]> =>
      (await compareFolder(folder, ...question)).compared.map(({ name, state }) => `${state} ${name.replace(`${folder}/`, '')}`)
    expect(await states()).toEqual([`missing ${legacy}`])
    await into(folder)
    await copyFile(join(made, archive('cilium')), join(folder, 'again.tar.zst'))
    expect(await states()).toEqual([`present ${legacy}`])
    const layout = await openLayout(join(scratch, 'forged'), { create: true })
    const manifest = await printingImage(layout, 'linux/amd64', 'hello\n')
    const [name = ''] = predicate.images.map(({ reference }) => reference).filter((reference) => reference.includes('coredns'))
    const forged = groupTarBytes({ platform: 'linux/amd64', images: [{ reference: name, manifest }], epoch: 0 }, layout)
    await writeFile(join(folder, 'own.tar'), forged)
    await copyFile(join(made, archive('cilium')), join(folder, legacy))
    expect(await states()).toEqual([`other ${legacy}`, `other own.tar ${formatReference(parseReference(name))}`])
  })

  test('an archive that has changed since it was listed gets no name', async () => {
    const folder = join(scratch, 'changed')
    await mkdir(folder)
    const bytes = await readFile(join(made, legacy))
    const flip = async (): Promise<void> => {
      bytes[9000] = (bytes[9000] ?? 0) ^ 1
      await writeFile(join(made, legacy), bytes)
    }
    await flip()
    await expect(into(folder)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
    expect(await readdir(folder)).toEqual([])
    await flip()
  })

  test('kill -9 in the middle of a copy: no archive has a name before it is whole, and the next run ends', {
    timeout: 60_000 + kills * 10_000,
  }, async () => {
    const release = await madeUp('archives', 4)
    const folder = join(scratch, 'killed')
    const names = release.groups.map(archive)
    for (let killed = 0; killed < kills; ) {
      const [, signal] = await child([release.folder, folder], 1 + Math.floor(random() * 12))
      const named = (await readdir(folder)).filter((name) => !name.startsWith('.'))
      for (const name of named) expect(await digestIn(folder, name)).toBe(release.digests[name])
      if (signal === 'SIGKILL') killed += 1
      else await rm(folder, { recursive: true })
    }
    expect(await child([release.folder, folder])).toEqual([0, null])
    expect((await readdir(folder)).sort()).toEqual(names.sort())
    for (const name of names) expect(await digestIn(folder, name)).toBe(release.digests[name])
  })

  test.skipIf(mounts().skip)('a disk that is too small, that fills, that can’t be written: coded, and nothing is there', async () => {
    const release = await madeUp('disk', 1)
    const folder = join(scratch, 'disk')
    await mkdir(folder)
    const tried = (options: string): string => {
      const script = `mount -t tmpfs -o ${options} tmpfs "$2" && "$3" "$4" "$1" "$2"; ls -A "$2"`
      const args = ['-rm', 'sh', '-c', script, 'sh', release.folder, folder, process.execPath, childFile]
      return spawnSync(mounts().unshare, args, { encoding: 'utf8' }).stdout
    }
    expect(tried('size=1m')).toMatch(/^rfo-build: RFO_ARCHIVE_ROOM: [^\n]*\n$/)
    // room for bytes, and none for a file besides the root and one folder
    expect(tried('size=40m,nr_inodes=2')).toMatch(/^\.?rfo-build: RFO_CONTENT_DISK: can't write: no room left on the disk [^\n]*\n$/)
    expect(tried('ro')).toMatch(/^\.?rfo-build: RFO_CONTENT_DISK: can't write: EROFS [^\n]*\n$/)
  })
})

test('a version lower than one of its minor that was loaded from here is refused, unless it is meant; the highest stays', async () => {
  const env = { XDG_STATE_HOME: join(scratch, 'state') }
  const memory = join(scratch, 'state/rfo-build/loaded.json')
  const folder = join(scratch, 'versions')
  expect((await load(folder, [], env)).code).toBe(0)
  expect(JSON.parse(await readFile(memory, 'utf8'))).toEqual({ schema: 'rfo-build.loaded/1', genuine: {}, standIn: { 'v1.24': version } })
  await rm(folder, { recursive: true })
  // a version of RFO and what stands in for one have nothing to do with each other
  const genuine = { ...predicate, version: 'v1.24.9+rfor1', standIns: [] }
  delete genuine.standInKey
  await rememberLoaded(memory, genuine)
  await refuseDowngrade(memory, predicate)
  await rememberLoaded(memory, { ...predicate, version: 'v1.24.8+rfor10' })
  await rememberLoaded(memory, { ...predicate, version: 'v1.25.4+rfor1' })
  const newest = await readFile(memory, 'utf8')
  const refused = await load(folder, [], env)
  expect([refused.code, refused.stderr]).toEqual([
    4,
    expect.stringContaining(`RFO_LOAD_DOWNGRADE: ${version} is older than v1.24.8+rfor10`),
  ])
  await expect(stat(folder)).rejects.toThrow('ENOENT')
  expect((await load(folder, ['--allow-downgrade'], env)).code).toBe(0)
  expect(await readFile(memory, 'utf8')).toBe(newest)
  await writeFile(memory, '{"v1.24":"v1.24.7"}')
  await expect(refuseDowngrade(memory, predicate)).rejects.toMatchObject({ code: 'RFO_LOAD_STATE', exit: 'undecided' })
})

test('a place is what it says, and nothing else', () => {
  const at = (text: string, env = {}) => placeOf(text, { cwd: '/here', env })
  expect(at('images')).toEqual({ kind: 'folder', folder: '/here/images' })
  expect(at('containerd:')).toEqual({ kind: 'containerd', namespace: 'k8s.io', address: '/run/k3s/containerd/containerd.sock' })
  expect(at('containerd:moby', { CONTAINERD_ADDRESS: '/s' })).toEqual({ kind: 'containerd', namespace: 'moby', address: '/s' })
  expect(at('containerd:@unix:///t', { CONTAINERD_ADDRESS: '/s' })).toMatchObject({ namespace: 'k8s.io', address: '/t' })
  expect(at('docker:')).toEqual({ kind: 'docker' })
  for (const text of ['', 'containerd:a b', 'containerd:--x', 'containerd:@relative', 'docker:x', 'https://registry', 'oci://', 'ftp:x'])
    expect(() => at(text), text).toThrow(expect.objectContaining({ exit: 'usage' }))
})

const [containerd, ctr, runc] = [tool('containerd'), tool('ctr'), tool('runc')]
const isRoot = process.getuid?.() === 0
describe.skipIf(containerd.skip || ctr.skip || runc.skip || !isRoot)('containerd', () => {
  let daemon: Containerd
  let address: string
  beforeAll(async () => {
    const dir = join(scratch, 'containerd')
    address = join(dir, 'containerd.sock')
    daemon = await startContainerd(dir, { containerd, ctr, runc })
  })
  afterAll(() => daemon.stop())
  const env = { PATH: process.env.PATH ?? '' }
  const request = (namespace: string): DaemonLoad & { readonly place: ContainerdPlace } => ({
    ...{ files, predicate, platform: 'linux/amd64', groups: ['core'], existing: 'refuse', env, signal: new AbortController().signal },
    place: { kind: 'containerd', namespace, address },
  })
  const images = (...groups: string[]): { name: string; digest: string }[] =>
    predicate.images.flatMap((image) => {
      const platform = image.platforms['linux/amd64']
      if (platform?.status !== 'made' || !image.groups.some((group) => groups.includes(group))) return []
      return [{ name: formatReference(parseReference(image.reference)), digest: platform.digest }]
    })

  test('holds every image under its name as the digest that was signed, and runs one', async () => {
    const wanted = images('core', 'canal')
    const { code, stdout } = await load(`containerd:@${address}`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: wanted.map(({ name, digest }) => `present ${name} ${digest}\n`).join('') })
    const listed = (await daemon.ctr('--namespace', 'k8s.io', 'images', 'ls')).split('\n').map((line) => line.split(/\s+/))
    for (const { name, digest } of wanted) expect(listed.find((line) => line[0] === name)?.[2]).toBe(digest)
    const coredns = wanted.find(({ name }) => name.includes('coredns'))?.name ?? ''
    const flags = ['--rm', '--snapshotter', 'native', '--runc-binary', runc.path, '--net-host']
    expect(await daemon.ctr('--namespace', 'k8s.io', 'run', ...flags, coredns, 'c')).not.toBe('')
    // verify asks it with the statement alone at hand
    const carried = join(scratch, 'carried')
    await mkdir(join(carried, 'evidence'), { recursive: true })
    for (const name of ['release.json', 'release.sigstore.json'])
      await copyFile(join(made, 'evidence', name), join(carried, 'evidence', name))
    const ask = (...more: string[]): Promise<Ran> =>
      run(project.folder, ['verify', carried, '--key', '.rfo/sandbox/cosign.pub', '--platform', 'amd64', `containerd:@${address}`, ...more])
    expect(await ask()).toMatchObject({ code: 0, stdout: `${stdout}compared ${version} ${predicate.root.digest}\n` })
    const [first, second] = wanted
    await daemon.ctr('--namespace', 'k8s.io', 'images', 'rm', first?.name ?? '')
    expect(await ask()).toMatchObject({
      code: 10,
      stderr: expect.stringContaining(`RFO_VERIFY_UNLOADED: 1 that the node should have are not there (${first?.name})`),
    })
    await daemon.ctr('--namespace', 'k8s.io', 'images', 'tag', second?.name ?? '', first?.name ?? '')
    const other = await ask()
    expect([other.code, other.stdout.split('\n')[0]]).toEqual([3, `other ${first?.name} ${first?.digest}`])
    expect(other.stdout).not.toContain('compared')
    expect(await ask('--expect', 'v1.24.9+rfor1')).toMatchObject({ code: 3, stderr: expect.stringContaining('RFO_VERIFY_VERSION') })
    expect(await ask('--deep')).toMatchObject({ code: 2 })
  })

  test('a name that means something else is never taken silently; one that went is sent again', async () => {
    const [first, second] = images('core')
    const other = request('other')
    await loadIntoContainerd(other)
    const namespace = ['--namespace', 'other', 'images']
    await daemon.ctr(...namespace, 'tag', '--force', second?.name ?? '', first?.name ?? '')
    await daemon.ctr(...namespace, 'rm', second?.name ?? '')
    await expect(loadIntoContainerd(other)).rejects.toMatchObject({ code: 'RFO_LOAD_EXISTING', exit: 'condition' })
    const skipped = await loadIntoContainerd({ ...other, existing: 'skip' })
    expect(skipped.filter(({ state }) => state !== 'present')).toEqual([{ reference: first?.name, digest: first?.digest, state: 'other' }])
    expect((await loadIntoContainerd({ ...other, existing: 'replace' })).every(({ state }) => state === 'present')).toBe(true)
  })

  test('killed in the middle of the stream, nothing has a name, and the next run ends', { timeout: 60_000 + kills * 10_000 }, async () => {
    const release = await madeUp('images', 0, 24 << 20)
    for (let n = 0; n < kills; n += 1) {
      expect(await child([release.folder, 'killed', address], 1 + Math.floor(random() * 18))).toEqual([null, 'SIGKILL'])
      expect((await daemon.ctr('--namespace', 'killed', 'images', 'ls', '-q')).trim()).toBe('')
    }
    expect(await child([release.folder, 'killed', address])).toEqual([0, null])
    expect(await daemon.ctr('--namespace', 'killed', 'images', 'check')).toContain(release.digests.image)
  })

  test('who does not answer, and no ctr, are this machine’s', async () => {
    const place = { kind: 'containerd', namespace: 'x', address: join(scratch, 'nobody.sock') } as const
    const machine = { code: 'RFO_LOAD_CONTAINERD', exit: 'machine' }
    await expect(loadIntoContainerd({ ...request('x'), env: { PATH: '/nowhere' } })).rejects.toMatchObject(machine)
    await expect(loadIntoContainerd({ ...request('x'), place })).rejects.toMatchObject(machine)
  })
})

const [docker, dockerd] = [tool('docker'), tool('dockerd')]
describe.skipIf(docker.skip || dockerd.skip || containerd.skip || runc.skip || !isRoot)('Docker 20.10', () => {
  let daemon: Dockerd
  beforeAll(async () => {
    daemon = await startDockerd(join(scratch, 'd'), { docker, dockerd })
  })
  afterAll(() => daemon.stop())

  test('gets images whose layers are in zstd, which it can’t read: each has the ID that is signed, and one runs', async () => {
    const platform = 'linux/amd64'
    const request = { files, predicate, platform, existing: 'refuse', env: daemon.env, signal: new AbortController().signal } as const
    const loaded = await loadIntoDocker(request)
    expect(loaded.map(({ state }) => state)).toEqual(loaded.map(() => 'present'))
    const layout = await openLayout(join(made, 'oci'))
    let zstd = 0
    for (const { reference, digest } of loaded) {
      const { config, layers } = parseManifest(await readFile(layout.blobPath(digest)))
      expect((await daemon.docker('image', 'inspect', '--format', '{{.Id}}', reference)).trim()).toBe(config.digest)
      zstd += layers.filter(({ mediaType }) => mediaType.endsWith('zstd')).length
    }
    expect(zstd).toBeGreaterThan(0)
    const [coredns, other] = ['coredns', 'pause'].map((name) => loaded.find(({ reference }) => reference.includes(name))?.reference ?? '')
    expect(await daemon.docker('run', '--rm', '--network', 'none', coredns ?? '')).not.toBe('')
    await daemon.docker('tag', coredns ?? '', other ?? '')
    await expect(loadIntoDocker(request)).rejects.toMatchObject({ code: 'RFO_LOAD_EXISTING', exit: 'condition' })
    const skipped = await loadIntoDocker({ ...request, existing: 'skip' })
    const verify = ['verify', made, 'docker:', '--key', join(project.folder, '.rfo/sandbox/cosign.pub'), '--platform', 'amd64']
    const differs = await run(project.folder, verify, daemon.env)
    expect([differs.code, differs.stdout]).toEqual([3, expect.stringContaining(`other ${other} sha256:`)])
    expect(differs.stderr).toContain('RFO_VERIFY_OTHER')
    expect(skipped.filter(({ state }) => state !== 'present')).toMatchObject([{ reference: other, state: 'other' }])
    await daemon.docker('rmi', coredns ?? '')
    const lacks = await run(project.folder, [...verify, '--group', 'core'], daemon.env)
    expect([lacks.code, lacks.stdout]).toEqual([3, expect.stringContaining(`missing ${coredns} sha256:`)])
    expect((await loadIntoDocker({ ...request, existing: 'replace' })).every(({ state }) => state === 'present')).toBe(true)
    const same = await run(project.folder, verify, daemon.env)
    expect([same.code, same.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, `compared ${version} ${predicate.root.digest}`])
    expect(same.stdout).toContain(`present ${coredns} ${loaded.find(({ reference }) => reference === coredns)?.digest}`)
  })

  test('without a client, or without a daemon, it is this machine’s', async () => {
    const request = { files, predicate, platform: 'linux/amd64', existing: 'refuse', signal: new AbortController().signal } as const
    const machine = { code: 'RFO_LOAD_DOCKER', exit: 'machine' }
    await expect(loadIntoDocker({ ...request, env: { PATH: '/nowhere' } })).rejects.toMatchObject(machine)
    const nobody = { ...daemon.env, DOCKER_HOST: `unix://${scratch}/nobody` }
    await expect(loadIntoDocker({ ...request, env: nobody })).rejects.toMatchObject(machine)
  })
})

const childFile = join(import.meta.dirname, 'load-child.ts')

/** `killed`: after so many dots, of which it writes one for each MiB that it has read. */
async function child(argv: readonly string[], killed?: number): Promise<unknown[]> {
  const running = spawn(process.execPath, [childFile, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  let dots = 0
  running.stdout.on('data', (chunk: Buffer) => {
    dots += chunk.toString().split('.').length - 1
    if (killed !== undefined && dots >= killed) running.kill('SIGKILL')
  })
  return await once(running, 'close')
}

/** As much of a release as load needs: three archives of `mib` MiB, or one image with a large layer. */
async function madeUp(name: string, mib: number, ballast = 0) {
  const folder = join(scratch, `release-${name}`)
  await mkdir(folder)
  const groups = ballast > 0 ? ['core'] : ['core', 'canal', 'calico']
  const listed: { path: string; digest: Digest; size: number }[] = []
  for (const [n, path] of (ballast > 0 ? [] : groups.map(archive)).entries()) {
    const bytes = Buffer.alloc(mib << 20, `${n} ${name}`)
    await writeFile(join(folder, path), bytes)
    listed.push({ path, digest: digestOf(bytes), size: bytes.length })
  }
  const images: object[] = []
  let image: Digest | '' = ''
  if (ballast > 0) {
    const layout = await openLayout(join(folder, 'oci'), { create: true })
    const manifest = await printingImage(layout, 'linux/amd64', 'hello\n', 'gzip', ballast)
    const { digest, size } = await assembleIndex([manifest], {}, layout)
    image = manifest.digest
    const platforms = { 'linux/amd64': { status: 'made', digest: image } }
    images.push({ reference: 'docker.io/rfolabs/say:v1', digest, size, groups, platforms })
    for (const name of await readdir(join(folder, 'oci/blobs/sha256'))) {
      const path = `oci/blobs/sha256/${name}`
      listed.push({ path, digest: `sha256:${name}` as Digest, size: (await stat(join(folder, path))).size })
    }
  }
  const said = { version, epoch: 0, upstream: { version: 'v1.24.8+rke2r1' }, platforms: ['linux/amd64'], images, files: listed }
  await writeFile(join(folder, 'made-up.json'), JSON.stringify({ predicate: said, files: listed, groups }))
  const digests: Record<string, string> = { image, ...Object.fromEntries(listed.map(({ path, digest }) => [path, digest])) }
  return { folder, groups, digests }
}
