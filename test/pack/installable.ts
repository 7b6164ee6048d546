/** A release as an installer sees it: tarball, archives of images, lists, checksums and their signature, in a folder. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { pushBytes } from '../../src/content/read.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { type PlatformState, platformsText } from '../../src/pack/installer.ts'
import { releaseTarball } from '../../src/pack/tarball.ts'
import { parseBundle } from '../../src/plan/bundle.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'
import { standInTree } from '../../src/sandbox/tree.ts'
import { signBlob } from '../../src/sign/bundle.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { images } from '../sandbox/plan.ts'

export const version = 'v1.24.8+rfor1'
const keys = generateKey()

const lists: Readonly<Record<string, string>> = {
  '': 'docker.io/rfolabs/a:v1\ndocker.io/rfolabs/b:v1\ndocker.io/rfolabs/c:v1\n',
  '-core': 'docker.io/rfolabs/a:v1\ndocker.io/rfolabs/b:v1\n',
  '-canal': 'docker.io/rfolabs/c:v1\n',
  '-cilium': 'docker.io/rfolabs/d:v1\n',
}

const states: readonly PlatformState[] = [
  { platform: 'linux/amd64', status: 'bootable', missing: [] },
  { platform: 'linux/arm64', status: 'bootable', missing: [] },
  { platform: 'linux/riscv64', status: 'partial', missing: ['mirrored-ingress-nginx-kube-webhook-certgen', 'no $(reboot)\x1b[31m`base`'] },
]

export interface Installable {
  readonly folder: string
  readonly publicPem: string
  /** Another release with files added, changed (signed and summed) or left out. */
  variant(changes: Readonly<Record<string, string | undefined>>): Promise<Installable>
  remove(): Promise<void>
}

/** Files of amd64, arm64 and riscv64. `own`: the program of all of them, instead of the sandbox's. */
export async function installable(own?: Buffer): Promise<Installable> {
  const work = await mkdtemp(join(tmpdir(), 'rfo-installable-'))
  const [image] = images
  if (image === undefined) throw new Error('no images')
  const source = standInTree('https://github.com/rancher/rke2@v1.24.8+rke2r1', [image])
  for (const file of source) await put(join(work, 'source', file.path), file.bytes)
  const file = 'pipelines/rfo.yaml'
  const bundle = parseBundle(
    { file, text: await readFile(join(import.meta.dirname, '../..', file), 'utf8') },
    parseUpstreamVersion('v1.24.8+rke2r1'),
  )
  const store = await openDirectoryStore(join(work, 'store'))
  const files = new Map<string, Buffer>()
  for (const arch of ['amd64', 'arm64', 'riscv64'] as const) {
    const bytes = own ?? source.find((each) => each.path === `bin/${arch}/bin/rfo`)?.bytes ?? Buffer.alloc(0)
    const program = await pushBytes(store, mediaTypes.octets, bytes)
    const request = { platform: `linux/${arch}` as const, program, source: { dir: join(work, 'source') }, bundle, epoch: 1668434731 }
    const { tarball } = await releaseTarball(request, store)
    files.set(`rfo.linux-${arch}`, bytes)
    files.set(`rfo.linux-${arch}.tar.gz`, await readFile(store.blobPath(tarball.digest)))
    for (const [group, list] of Object.entries(lists)) {
      files.set(`rfo-images${group}.linux-${arch}.txt`, Buffer.from(list))
      files.set(`rfo-images${group}.linux-${arch}.tar.zst`, Buffer.from(`archive of ${group} for ${arch}\n`.repeat(5000)))
    }
    files.set(`rfo-images-all.linux-${arch}.txt`, Buffer.from(Object.values(lists).join('')))
  }
  files.set('platforms.txt', Buffer.from(platformsText(version, states)))
  files.set('charts/rke2-canal-v3.24.1-build2022101103.tgz', Buffer.from('chart'))
  files.set('rpm/rfo-common-1.24.8~rfor1-1.noarch.rpm', Buffer.from('rpm'))
  await rm(work, { recursive: true })
  return await releaseOf(files)
}

/** In a folder, with checksums for each architecture and their signatures. */
export async function releaseOf(files: ReadonlyMap<string, Buffer>): Promise<Installable> {
  const folder = await mkdtemp(join(tmpdir(), 'rfo-installable-'))
  for (const [path, bytes] of files) await put(join(folder, path), bytes)
  for (const arch of ['amd64', 'arm64', 'riscv64']) {
    const own = [...files].filter(([path]) => isSummed(path) && (!path.includes('.linux-') || path.includes(`.linux-${arch}`))).sort()
    const sums = Buffer.from(own.map(([path, bytes]) => `${hex(digestOf(bytes))}  ${path}\n`).join(''))
    await put(join(folder, `sha256sum-${arch}.txt`), sums)
    await put(join(folder, `sha256sum-${arch}.txt.sig`), (await signBlob(sums, readSigningKey(keys.privatePem))).signature)
  }
  return {
    folder,
    publicPem: keys.publicPem,
    variant: async (changes) => {
      const all = new Map(files)
      for (const [path, text] of Object.entries(changes)) {
        if (text === undefined) all.delete(path)
        else all.set(path, Buffer.from(text))
      }
      return await releaseOf(all)
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Not the key of who signed, nor signatures. */
function isSummed(path: string): boolean {
  return path !== 'rpm/RPM-GPG-KEY-rfo' && !path.endsWith('.asc')
}

async function put(path: string, bytes: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
}

export interface Web {
  readonly url: string
  /** paths as they were asked for */
  readonly asked: string[]
  close(): Promise<void>
}

/** Serves the folder as `/rfo/releases/<version with %2B>/`; `answer` may take a request over. */
export async function serve(folder: string, answer?: (path: string) => RequestListener | undefined): Promise<Web> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const other = answer?.(path)
    if (other !== undefined) return other(request, response)
    const prefix = '/rfo/releases/v1.24.8%2Brfor1/'
    readFile(join(folder, path.slice(prefix.length))).then(
      (bytes) => (path.startsWith(prefix) ? response.end(bytes) : response.writeHead(404).end()),
      () => response.writeHead(404).end('<html>not here</html>'),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rfo/releases`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
