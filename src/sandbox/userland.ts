/**
 * A userland that runs, for the base of test images: shell, coreutils, curl, dig, nc, in place of openEuler's. It is made of
 * Debian's packages by this machine's own apt, whose trust decides; no script of theirs is run.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import type { Architecture } from '../oci/platform.ts'
import { feedTar } from '../oci/tar-feed.ts'
import type { TarEntry } from './tar.ts'

/** What busybox does not do as tests expect it: its shell drops environment names with a dash, its wget crashes with -T. */
const packages = [
  'bash',
  'bind9-dnsutils',
  'busybox-static',
  'coreutils',
  'curl',
  'diffutils',
  'grep',
  'libc-bin',
  'netcat-openbsd',
  'sed',
  'wget',
] as const

const unneeded = /^usr\/share\/(doc|man|locale|info|lintian|bug|common-licenses|perl5?|bash-completion|menu)\/|^usr\/lib\/[^/]+\/gconv\//

export interface UserlandOptions {
  readonly env: Readonly<Record<string, string>>
  /** packages are kept below it */
  readonly workDir: string
  readonly signal?: AbortSignal
}

/** Sorted by path. Throws RFO_SANDBOX_USERLAND (machine) where there is no apt, or no list of packages. */
export async function debianUserland(architecture: Architecture, options: UserlandOptions): Promise<TarEntry[]> {
  const archives = join(options.workDir, 'debs')
  await mkdir(join(archives, 'partial'), { recursive: true })
  const scratch = await mkdtemp(join(options.workDir, 'apt-'))
  try {
    // as if nothing were installed: the closure is whole
    const status = join(scratch, 'status')
    await writeFile(status, '')
    const settings = {
      'Dir::State::status': status,
      'Dir::Cache::archives': archives,
      'Debug::NoLocking': '1',
      'APT::Architecture': architecture,
      'APT::Install-Recommends': '0',
      'APT::Sandbox::User': 'root',
    }
    const apt = (...args: string[]): Promise<Buffer> =>
      run(['apt-get', '-qq', '-y', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]), ...args], options)
    const planned = (await apt('--simulate', 'install', ...packages)).toString('utf8')
    await apt('--download-only', 'install', ...packages)
    const found = new Map<string, TarEntry>()
    // "Inst bash (5.2.15-2+b13 Debian:12.11/stable [amd64])"
    for (const [, name, version, built] of planned.matchAll(/^Inst (\S+) \((\S+) .*\[(\S+)\]\)/gm)) {
      const file = join(archives, `${name}_${version?.replaceAll(':', '%3a')}_${built}.deb`)
      const tar = await run(['dpkg-deb', '--fsys-tarfile', file], options)
      for await (const entry of entriesOf(tar)) found.set(entry.path, entry)
    }
    await addApplets(found, scratch, options)
    for (const [path, text] of Object.entries(accounts)) found.set(path, { kind: 'file', path, bytes: Buffer.from(text) })
    return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

const accounts: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  'etc/group': 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n',
}

async function run(argv: readonly [string, ...string[]], { env, signal }: UserlandOptions): Promise<Buffer> {
  try {
    const how = { env: { ...env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }, maxBytes: 512 * 1024 * 1024, exit: 'machine' as const }
    return (await exec(argv, signal === undefined ? how : { ...how, signal })).stdout
  } catch (thrown) {
    signal?.throwIfAborted()
    throw new RfoError('RFO_SANDBOX_USERLAND', `${argv[0]} gave no userland for test images`, {
      exit: 'machine',
      next: 'run apt-get update; or use a machine of Debian’s family, or a real base',
      details: thrown instanceof RfoError ? thrown.details : [],
      cause: thrown,
    })
  }
}

async function* entriesOf(tar: Buffer): AsyncGenerator<TarEntry, void, undefined> {
  const parser = extract({})
  const fed = feedTar(Readable.from([tar]), parser)
  fed.catch((cause: Error) => parser.destroy(cause))
  for await (const entry of parser) {
    const { name, type, mode = 0o644, linkname } = entry.header
    const path = merged(name)
    const chunks: Uint8Array[] = []
    for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk)
    if (path === '' || unneeded.test(`${path}/`)) continue
    if (type === 'file') yield { kind: 'file', path, bytes: Buffer.concat(chunks), mode: mode & 0o777 }
    else if (type === 'symlink' && linkname) yield { kind: 'link', path, target: linkname }
    else if (type === 'link' && linkname) yield { kind: 'link', path, target: `/${merged(linkname)}` }
  }
  await fed
}

/** /bin, /lib, /lib64 and /sbin are links into /usr in the base. */
function merged(name: string): string {
  const path = name.replace(/^(\.?\/)+/, '').replace(/\/$/, '')
  return /^(bin|lib|lib64|sbin)\//.test(path) ? `usr/${path}` : path
}

/** What update-alternatives would link. */
const alternatives: Readonly<Record<string, string>> = { nc: 'nc.openbsd' }

/** What nothing else brings, busybox does. */
async function addApplets(found: Map<string, TarEntry>, scratch: string, options: UserlandOptions): Promise<void> {
  const path = 'usr/bin/busybox'
  const busybox = found.get(path)
  if (busybox?.kind !== 'file') throw new RfoError('RFO_SANDBOX_USERLAND', 'busybox-static holds no busybox', { exit: 'machine' })
  const file = join(scratch, 'busybox')
  await writeFile(file, busybox.bytes, { mode: 0o755 })
  for (const [name, target] of Object.entries(alternatives)) {
    if (found.has(`usr/bin/${target}`)) found.set(`usr/bin/${name}`, { kind: 'link', path: `usr/bin/${name}`, target })
  }
  const known = new Set([...found.keys()].map((each) => each.slice(each.lastIndexOf('/') + 1)))
  for (const name of (await run([file, '--list'], options)).toString('utf8').split('\n')) {
    // busybox lists itself; the base brings sh
    if (name === '' || name === 'busybox' || name === 'sh' || known.has(name)) continue
    found.set(`usr/bin/${name}`, { kind: 'link', path: `usr/bin/${name}`, target: 'busybox' })
  }
}
