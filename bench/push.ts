/**
 * Pushing a set of 15 multi-arch images from an OCI layout into docker-registry: rfo-build's copyGraph in one process
 * against a loop of `skopeo copy --all`, in pairs in the same run; then the same set out of the registry into an empty layout. Goals: 0.4 of
 * the loop's wall time, 0.5 of the pulling one's.
 *
 *     node bench/push.ts [--pairs 3] [--mb 300]
 *
 * Prints wall and cpu ratios (medians of the pairs), ours to skopeo's. cpu is ours and skopeo's alone, without the registry's.
 */
import { spawn } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openLayout } from '../src/content/layout.ts'
import { pushBytes } from '../src/content/read.ts'
import type { ContentStore } from '../src/content/store.ts'
import type { Descriptor } from '../src/oci/descriptor.ts'
import { canonicalJson, type Json } from '../src/oci/json.ts'
import { mediaTypes } from '../src/oci/mediatype.ts'

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '3' }, mb: { type: 'string', default: '300' } } })
const images = Array.from({ length: 15 }, (_, i) => `image-${String(i + 1).padStart(2, '0')}`)
const architectures = ['amd64', 'arm64']

/** The same bytes each time, not compressible: what layers are once compressed. */
function noise(seed: number, size: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(size))
}

const json = (value: unknown): string => canonicalJson(value as Json)

/** One base per platform that all images share, a tenth of the bytes; each image has layers of its own, some large, most small. */
async function makeImages(dir: string, megabytes: number): Promise<void> {
  const store = await openLayout(dir, { create: true })
  const unit = (megabytes * 1_000_000) / 2 / 100
  let seed = 1
  const layer = async (size: number): Promise<Descriptor> => await pushBytes(store, mediaTypes.layerGzip, noise(seed++, Math.round(size)))
  const bases = await Promise.all(architectures.map(() => layer(10 * unit)))
  for (const [i, name] of images.entries()) {
    const manifests: Descriptor[] = []
    for (const [a, architecture] of architectures.entries()) {
      const layers = [bases[a] as Descriptor, await layer((1 + (i % 5) * 2) * unit), await layer(unit / 2), await layer(unit / 2)]
      const diffIds = layers.map((each) => each.digest)
      const config = json({
        architecture,
        os: 'linux',
        config: { Labels: { name } },
        rootfs: { type: 'layers', diff_ids: diffIds },
      })
      const manifest = json({
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        config: await pushBytes(store, mediaTypes.config, config),
        layers,
      })
      manifests.push(await pushBytes(store, mediaTypes.manifest, manifest, { platform: { os: 'linux', architecture } }))
    }
    await store.tag(await pushIndex(store, manifests), name)
  }
}

async function pushIndex(store: ContentStore, manifests: readonly Descriptor[]): Promise<Descriptor> {
  return await pushBytes(store, mediaTypes.index, json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }))
}

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** A new, empty docker-registry for `use`. */
async function withRegistry<T>(use: (host: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'rfo-bench-registry-'))
  const port = await freePort()
  const config = `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(dir, 'data')}}}\nhttp: {addr: 127.0.0.1:${port}}\n`
  await writeFile(join(dir, 'config.yml'), config)
  const child = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    const answers = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${port}/v2/`).then(
        () => true,
        () => false,
      )
    while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 50))
    return await use(`127.0.0.1:${port}`)
  } finally {
    child.kill('SIGKILL')
    await ended
    await rm(dir, { recursive: true, force: true })
  }
}

interface Cost {
  /** seconds */
  readonly wall: number
  readonly cpu: number
}

/** Wall and cpu of a command and all that it starts. `times` of a shell that has waited for it gives its children's cpu. */
async function measure(script: string): Promise<Cost> {
  const begun = performance.now()
  const out = await new Promise<string>((resolve, reject) => {
    const child = spawn('sh', ['-c', `set -e\n${script}\ntimes`], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    child.once('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`ended with ${code}: ${script.slice(0, 200)}`))))
  })
  const wall = (performance.now() - begun) / 1000
  const last = out.trim().split('\n').at(-1) ?? ''
  const cpu = [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0)
  return { wall, cpu }
}

/** `again`: pushed where all is there already. */
interface Costs {
  readonly push: Cost
  readonly again: Cost
  readonly pull: Cost
}

const told = ({ wall, cpu }: Cost): string => `${two(wall)} s (cpu ${two(cpu)})`

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number
const two = (number: number): string => number.toFixed(2)

const work = await mkdtemp(join(tmpdir(), 'rfo-bench-'))
try {
  const layout = join(work, 'layout')
  await makeImages(layout, Number(values.mb))
  const program = join(import.meta.dirname, 'push-set.ts')
  const ours = (host: string): string => `${process.execPath} ${program} ${layout} ${host}`
  const theirs = (host: string): string =>
    images
      .map(
        (name) => `skopeo copy -q --all --preserve-digests --dest-tls-verify=false oci:${layout}:${name} docker://${host}/bench/${name}:v1`,
      )
      .join('\n')
  const puller = join(import.meta.dirname, 'pull-set.ts')
  let pulled = 0
  const empty = (): string => join(work, `pulled-${++pulled}`)
  const oursBack = (host: string): string => `${process.execPath} ${puller} ${host} ${empty()} ${images.join(' ')}`
  const theirsBack = (host: string): string => {
    const to = empty()
    return images
      .map((name) => `skopeo copy -q --all --preserve-digests --src-tls-verify=false docker://${host}/bench/${name}:v1 oci:${to}:${name}`)
      .join('\n')
  }
  const rows: { readonly ours: Costs; readonly theirs: Costs }[] = []
  for (let pair = 0; pair < Number(values.pairs); pair += 1) {
    const run = (push: (host: string) => string, pull: (host: string) => string): Promise<Costs> =>
      withRegistry(async (host) => ({ push: await measure(push(host)), again: await measure(push(host)), pull: await measure(pull(host)) }))
    const runs = { ours: () => run(ours, oursBack), theirs: () => run(theirs, theirsBack) }
    // first one, then the other goes first: what the disk still has to write of one falls on the other
    const first = pair % 2 === 0 ? ('ours' as const) : ('theirs' as const)
    const one = await runs[first]()
    const other = await runs[first === 'ours' ? 'theirs' : 'ours']()
    const row = first === 'ours' ? { ours: one, theirs: other } : { ours: other, theirs: one }
    rows.push(row)
    console.log(
      `pair ${pair + 1}: ${(['push', 'again', 'pull'] as const).map((what) => `${what} ${told(row.ours[what])} : ${told(row.theirs[what])}`).join('; ')}`,
    )
    for (let n = 1; n <= pulled; n += 1) await rm(join(work, `pulled-${n}`), { recursive: true, force: true })
  }
  const ratio = (of: (row: (typeof rows)[number]) => number): string => two(median(rows.map(of)))
  console.log(`${images.length} images, ${values.mb} MB, ours : skopeo loop (median of ${rows.length})`)
  for (const [what, goal] of [
    ['push', '0.40'],
    ['again', '0.50'],
    ['pull', '0.50'],
  ] as const) {
    const wall = ratio((row) => row.ours[what].wall / row.theirs[what].wall)
    console.log(`${what}: wall ${wall} (goal ${goal}), cpu ${ratio((row) => row.ours[what].cpu / row.theirs[what].cpu)}`)
  }
} finally {
  await rm(work, { recursive: true, force: true })
}
