import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type FileServer, type Served, serveRepository, startFileServer } from '../../src/sandbox/file-server.ts'
import { standInSources } from '../../src/sandbox/sources.ts'
import { standInTree } from '../../src/sandbox/tree.ts'
import { tool } from '../tools.ts'
import { images, plan } from './plan.ts'

const run = promisify(execFile)
const sources = standInSources(images, new Set(['git', 'go-module', 'archive'] as const), plan.epoch)
const git = tool('git')
const tar = tool('tar')

let folder: string
let server: FileServer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rfo-git-'))
  const files = new Map<string, Served>()
  for (const repository of sources.repositories) serveRepository(files, repository)
  server = await startFileServer(files)
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

/** git without this machine's settings and proxies */
async function gitRun(...args: string[]): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  }
  return (await run(git.path, args, { env })).stdout
}

describe.skipIf(git.skip)('with the real git', () => {
  const calico = () => `${server.url}/github.com/projectcalico/calico`

  test.each(['', '.git'])('ls-remote sees the tag and what it peels to (%s)', async (suffix) => {
    const pin = sources.pins.get('hardened-calico')?.pin
    const rows = (await gitRun('ls-remote', `${calico()}${suffix}`)).trim().split('\n')
    expect(pin?.kind === 'git' && rows).toContain(pin?.kind === 'git' && `${pin.commit}\trefs/tags/v3.24.1^{}`)
    expect(rows.map((row) => row.split('\t')[1])).toEqual(['HEAD', 'refs/heads/main', 'refs/tags/v3.24.1', 'refs/tags/v3.24.1^{}'])
  })

  test('clone gives the tree, whole and with its modes', async () => {
    const into = join(folder, 'clone')
    await gitRun('clone', '-q', '-b', 'v3.24.1', '-c', 'advice.detachedHead=false', `${calico()}.git`, into)
    expect(await gitRun('-C', into, 'fsck', '--strict')).toBe('')
    const pin = sources.pins.get('hardened-calico')?.pin
    expect((await gitRun('-C', into, 'rev-parse', 'HEAD')).trim()).toBe(pin?.kind === 'git' && pin.commit)
    expect((await gitRun('-C', into, 'log', '-1', '--format=%ct')).trim()).toBe(String(plan.epoch))
    expect(await gitRun('-C', into, 'status', '--porcelain')).toBe('')
    const program = join(into, 'bin/riscv64/usr/bin/calico-node')
    expect((await stat(program)).mode & 0o777).toBe(0o755)
    expect((await readFile(program, 'latin1')).slice(0, 4)).toBe('\x7fELF')
    expect(await readFile(join(into, 'README.md'), 'utf8')).toMatch(/Not the real source/)
  })

  test('the archive of a commit is what git itself would pack', async () => {
    const into = join(folder, 'archive')
    await gitRun('clone', '-q', `${calico()}.git`, into)
    const pin = sources.pins.get('hardened-calico')?.pin
    if (pin?.kind !== 'git' || pin.archive === undefined) throw new Error('not a git pin')
    const ours = gunzipSync(sources.archives.get(pin.archive.url) ?? Buffer.alloc(0)).toString('latin1')
    const { stdout } = await run(
      git.path,
      ['-C', into, '-c', 'tar.umask=0022', 'archive', '--format=tar', `--prefix=calico-${pin.commit}/`, pin.commit],
      {
        encoding: 'latin1',
      },
    )
    // git names root:root, and pads to 10 KiB records
    expect(strip(ours)).toEqual(strip(stdout))
  })
})

/** name, mode, size, time, type and body of each entry */
function strip(archive: string): string[] {
  const entries: string[] = []
  for (let at = 0; archive.charCodeAt(at) > 0; ) {
    const size = Number.parseInt(archive.slice(at + 124, at + 135), 8)
    const field = (from: number, length: number): string => archive.slice(at + from, at + from + length).replace(/\0.*$/s, '')
    const path = [field(345, 155), field(0, 100)].filter((part) => part !== '').join('/')
    entries.push([path, field(100, 8), field(136, 12), field(156, 1), digestOf(archive.slice(at + 512, at + 512 + size))].join(' '))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return entries.sort()
}

test.skipIf(tar.skip)('every archive unpacks', async () => {
  for (const [url, bytes] of sources.archives) {
    const listing = new Promise<string>((resolve, reject) => {
      const child = execFile(tar.path, ['-tzf', '-'], (error, stdout) => (error === null ? resolve(stdout) : reject(error)))
      child.stdin?.end(bytes)
    })
    expect((await listing).split('\n').filter((path) => path.includes('/bin/')).length, url).toBeGreaterThan(3)
  }
})

test('components of one source share a repository and a commit', () => {
  const [a, b] = ['hardened-calico', 'hardened-calico-extra'].map((name) => sources.pins.get(name)?.pin)
  expect(a?.kind === 'git' && b?.kind === 'git' && a.commit === b.commit && a.archive?.url === b.archive?.url).toBe(true)
  expect(sources.repositories.map((repository) => repository.url)).toEqual([
    'https://github.com/kubernetes/kubernetes',
    'https://github.com/projectcalico/calico',
  ])
})

test('kinds replace only what they name', () => {
  const named = (...kinds: ('git' | 'go-module' | 'archive')[]): string[] =>
    [...standInSources(images, new Set(kinds), plan.epoch).pins.keys()].sort()
  expect(named('git')).toEqual(['hardened-calico', 'hardened-calico-extra', 'hardened-kubernetes'])
  expect(named('go-module')).toEqual(['hardened-coredns', 'pause'])
  expect(named()).toEqual([])
})

test('files that a pipeline takes out of the source are there', () => {
  const [image] = images
  if (image === undefined) throw new Error('no images')
  const files = [{ path: '/entrypoint.sh', mode: '0755' as const, from: 'images/entrypoint.sh' }]
  const tree = standInTree('https://example.org/x@v1', [{ ...image, files }])
  expect(tree.find((file) => file.path === 'images/entrypoint.sh')).toMatchObject({ executable: true })
})

test('no URL of a pin knows a port', () => {
  expect(JSON.stringify([...sources.pins])).not.toMatch(/127\.0\.0\.1|localhost/)
})

test('the server gives 404 and 405, and survives a broken path', async () => {
  expect((await fetch(`${server.url}/github.com/nobody/nothing/info/refs`)).status).toBe(404)
  expect((await fetch(`${server.url}/%ff%`)).status).toBe(404)
  expect((await fetch(`${server.url}/github.com/../../etc/passwd`)).status).toBe(404)
  expect((await fetch(server.url, { method: 'POST', body: 'x' })).status).toBe(405)
})
