import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DirectoryStore, openDirectoryStore } from '../../src/content/directory.ts'
import { pushBytes } from '../../src/content/read.ts'
import { RfoError } from '../../src/error.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { renamed } from '../../src/pack/rename.ts'
import { bundleTexts, releaseTarball, tarballName } from '../../src/pack/tarball.ts'
import { type BundleFile, parseBundle } from '../../src/plan/bundle.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'
import { standInTree } from '../../src/sandbox/tree.ts'
import { images } from '../sandbox/plan.ts'
import { tool } from '../tools.ts'

const file = 'pipelines/rfo.yaml'
const text = await readFile(join(import.meta.dirname, '../..', file), 'utf8')
const upstream = parseUpstreamVersion('v1.24.8+rke2r1')
const bundle = parseBundle({ file, text }, upstream)
const epoch = 1668434731
const tar = tool('tar')
const shellcheck = tool('shellcheck')

/** The names of RKE2's bundle at every version that RFO follows, under RFO's names, with RKE2's modes. */
const nine = [
  ['bin/rfo', 0o755],
  ['bin/rfo-killall.sh', 0o755],
  ['bin/rfo-uninstall.sh', 0o755],
  ['lib/systemd/system/rfo-agent.env', 0o644],
  ['lib/systemd/system/rfo-agent.service', 0o644],
  ['lib/systemd/system/rfo-server.env', 0o644],
  ['lib/systemd/system/rfo-server.service', 0o644],
  ['share/rfo/LICENSE.txt', 0o644],
  ['share/rfo/rfo-cis-sysctl.conf', 0o644],
] as const

let folder: string
let source: { dir: string }
let store: DirectoryStore
let program: Descriptor

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rfo-tarball-'))
  source = { dir: join(folder, 'source') }
  const [image] = images
  if (image === undefined) throw new Error('no images')
  for (const each of standInTree('https://github.com/rancher/rke2@v1.24.8+rke2r1', [image])) {
    await mkdir(dirname(join(source.dir, each.path)), { recursive: true })
    await writeFile(join(source.dir, each.path), each.bytes)
  }
  store = await openDirectoryStore(join(folder, 'store'))
  program = await pushBytes(store, mediaTypes.octets, await readFile(join(source.dir, 'bin/riscv64/bin/rfo')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const make = (into: DirectoryStore = store) => releaseTarball({ platform: 'linux/riscv64', program, source, bundle, epoch }, into)

async function refusal(promise: Promise<unknown>): Promise<RfoError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof RfoError)) throw new Error(`not refused: ${thrown}`)
  return thrown
}

describe('the tarball', () => {
  test('holds the nine files with RKE2’s modes, sorted, and says what they are', async () => {
    const { tarball, files } = await make()
    expect(files.map(({ path, mode }) => [path, mode])).toEqual(nine)
    expect(files[0]).toMatchObject({ digest: program.digest, size: program.size })
    expect(tarball.annotations).toEqual({ 'org.opencontainers.image.title': 'rfo.linux-riscv64.tar.gz' })
    expect(tarballName('linux/riscv64')).toEqual({ program: 'rfo.linux-riscv64', tarball: 'rfo.linux-riscv64.tar.gz' })
  })

  test.skipIf(tar.skip)('is read by tar: owner 0:0, the epoch as time, no folders', async () => {
    const { tarball, files } = await make()
    const listing = execFileSync(tar.path, ['-tvz', '--numeric-owner', '--utc', '-f', store.blobPath(tarball.digest)], { encoding: 'utf8' })
    const lines = listing.trimEnd().split('\n')
    expect(lines.map((line) => line.split(/\s+/).at(-1))).toEqual(nine.map(([path]) => path))
    for (const [at, line] of lines.entries()) {
      expect(line).toMatch(new RegExp(`^${nine[at]?.[1] === 0o755 ? '-rwxr-xr-x' : '-rw-r--r--'} 0/0 +${files[at]?.size} 2022-11-14 14:05`))
    }
    const into = join(folder, 'out')
    await mkdir(into)
    execFileSync(tar.path, ['-xzf', store.blobPath(tarball.digest), '-C', into])
    for (const { path, digest } of files) expect(digestOf(await readFile(join(into, path)))).toBe(digest)
    expect((await readdir(into)).sort()).toEqual(['bin', 'lib', 'share'])
  })

  test('is the same out of another store that hands out other pieces', async () => {
    const other = await openDirectoryStore(join(folder, 'other'))
    const pieces: DirectoryStore = {
      ...other,
      async *fetch(target) {
        for await (const chunk of store.fetch(target)) for (let at = 0; at < chunk.length; at += 777) yield chunk.subarray(at, at + 777)
      },
    }
    expect((await make(pieces)).tarball).toEqual((await make()).tarball)
  })

  test.skipIf(tool('tar').skip)('a large program passes through in pieces and unchanged', async () => {
    const large = Buffer.alloc(5 * 1024 * 1024 + 17, 'program ')
    const pushed = await pushBytes(store, mediaTypes.octets, large)
    const { tarball } = await releaseTarball({ platform: 'linux/amd64', program: pushed, source, bundle, epoch }, store)
    const out = execFileSync('tar', ['-xzOf', store.blobPath(tarball.digest), 'bin/rfo'], { maxBuffer: 1 << 24 })
    expect(out.equals(large)).toBe(true)
  })

  test('a program that the store lacks ends it, and nothing is left', async () => {
    const missing = { mediaType: mediaTypes.octets, digest: digestOf('never'), size: 5 }
    const request = { platform: 'linux/amd64' as const, program: missing, source, bundle, epoch }
    expect(await refusal(releaseTarball(request, store))).toMatchObject({ code: 'RFO_CONTENT_ABSENT' })
    expect(await readdir(join(folder, 'store', 'tmp'))).toEqual([])
  })
})

describe('the stand-in bundle', () => {
  test('obeys the rules, says RFO’s names, and its scripts are sound', async () => {
    const texts = new Map((await bundleTexts(bundle, source)).map((each) => [each.path, each.bytes.toString('utf8')]))
    expect(texts.get('lib/systemd/system/rfo-agent.service')).toContain('ExecStart=/usr/local/bin/rfo agent\n')
    expect(texts.get('lib/systemd/system/rfo-agent.service')).toContain('Conflicts=rfo-server.service\n')
    expect(texts.get('bin/rfo-killall.sh')).toContain('/var/lib/rancher/rfo/bin')
    expect(texts.get('bin/rfo-uninstall.sh')).toContain('rfo-server rfo-agent rfo-common\n')
    texts.delete('share/rfo/LICENSE.txt')
    for (const [path, body] of texts) expect(body, path).not.toMatch(/rke2/i)
  })

  test.skipIf(shellcheck.skip)('shellcheck has nothing to say', async () => {
    for (const { path, bytes } of await bundleTexts(bundle, source)) {
      if (path.endsWith('.sh')) execFileSync(shellcheck.path, ['-S', 'warning', '-'], { input: bytes })
    }
  })

  test('a source other than RKE2’s has no bundle', () => {
    const [image] = images
    if (image === undefined) throw new Error('no images')
    const paths = standInTree('https://github.com/rancher/rke2-charts@v1', [image]).map((each) => each.path)
    expect(paths.filter((path) => path.startsWith('bundle/'))).toEqual([])
  })
})

const rule: BundleFile = {
  path: 'bin/rfo-x.sh',
  from: 'bundle/bin/rke2-x.sh',
  mode: '0755',
  replace: [
    { text: 'rke2-server', with: 'rfo-server', count: 2 },
    { text: '80-rke2', with: '80-rfo', count: [0, 1] },
  ],
  keep: ['https://docs.rke2.io'],
}
const name = { from: 'rke2', to: 'rfo' }

describe('renaming', () => {
  test('replaces in order, keeps what may stay, and takes any of several counts', () => {
    const out = (from: string): string => renamed(rule, name, Buffer.from(from)).toString()
    expect(out('rke2-server rke2-server https://docs.rke2.io é\n')).toBe('rfo-server rfo-server https://docs.rke2.io é\n')
    expect(out('80-rke2.rke2-server$&rke2-server')).toBe('80-rfo.rfo-server$&rfo-server')
  })

  test.each([
    ['one too few', 'rke2-server\n', 'rule 1 expects "rke2-server" 2 times and finds it 1 times'],
    ['one too many', 'rke2-server rke2-server rke2-server', 'rule 1 expects "rke2-server" 2 times and finds it 3 times'],
    ['neither of two counts', 'rke2-server rke2-server 80-rke2 80-rke2', 'rule 2 expects "80-rke2" 0 or 1 times and finds it 2 times'],
    ['something new', 'rke2-server rke2-server\n  new /etc/RKE2 here', 'rke2 remains in "new /etc/RKE2 here"'],
    ['no text', Buffer.from([0x72, 0xff]), 'it is not text in UTF-8'],
  ])('%s: an error that names file and rule', (_what, from, message) => {
    let thrown: unknown
    try {
      renamed(rule, name, Buffer.from(from as string))
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'RFO_PACK_RENAME', exit: 'build', message, where: 'bundle/bin/rke2-x.sh → bin/rfo-x.sh' })
  })

  test('a source whose file is missing, a folder, a link or enormous', async () => {
    const dir = join(folder, 'odd')
    await mkdir(join(dir, 'bundle/bin'), { recursive: true })
    const one = { ...bundle, files: [{ ...rule, replace: [], from: 'bundle/bin/x' }] }
    const say = async (): Promise<string> => {
      const { code, message } = await refusal(bundleTexts(one, { dir }))
      await rm(join(dir, 'bundle/bin/x'), { recursive: true, force: true })
      return `${code} ${message}`
    }
    expect(await say()).toBe("RFO_PACK_SOURCE the source's bundle/bin/x is not there")
    await mkdir(join(dir, 'bundle/bin/x'))
    expect(await say()).toBe("RFO_PACK_SOURCE the source's bundle/bin/x is no plain file")
    await symlink('/etc/passwd', join(dir, 'bundle/bin/x'))
    expect(await say()).toBe("RFO_PACK_SOURCE the source's bundle/bin/x is not there")
    await writeFile(join(dir, 'bundle/bin/x'), Buffer.alloc(2 << 20))
    expect(await say()).toMatch(/has 2097152 bytes; at most/)
  })
})

test.each([
  ['two files at one path', text.replace('path: bin/rfo-killall.sh', 'path: bin/rfo'), 'RFO_PLAN_BUNDLE'],
  ['a path that leaves', text.replace('from: LICENSE', 'from: a/../../etc/passwd'), 'RFO_PLAN_YAML'],
  ['an absolute path', text.replace('from: LICENSE', 'from: /etc/passwd'), 'RFO_PLAN_YAML'],
  ['a mode that runs as its owner', text.replace("mode: '0755'", "mode: '4755'"), 'RFO_PLAN_YAML'],
])('pipelines/rfo.yaml with %s is refused', (_what, changed, code) => {
  expect(changed).not.toBe(text)
  expect(() => parseBundle({ file, text: changed }, upstream)).toThrow(expect.objectContaining({ code, exit: 'usage' }))
})

/** A folder with RKE2's real trees, one below it for each version: `git archive v1.24.8+rke2r1 bundle LICENSE`. Nothing of them is kept here. */
const trees = process.env.RFO_TEST_RKE2_TREES
if (trees === undefined) process.stderr.write('the rules are not tried on RKE2’s real files: RFO_TEST_RKE2_TREES names no folder of them\n')

test.skipIf(trees === undefined)('the rules hold for RKE2’s real files', async () => {
  const versions = await readdir(trees ?? '')
  expect(versions.length).toBeGreaterThan(0)
  for (const version of versions) {
    const { files } = await releaseTarball(
      { platform: 'linux/amd64', program, source: { dir: join(trees ?? '', version) }, bundle, epoch },
      store,
    )
    expect(
      files.map(({ path, mode }) => [path, mode]),
      version,
    ).toEqual(nine)
  }
})
