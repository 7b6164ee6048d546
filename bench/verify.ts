/**
 * What verify's parts cost, each against the tool that does the same: digests against `sha256sum`, an archive opened against
 * `zstd -t`, signatures against a cosign process each. Every pair is two processes of the same run, start-up included.
 *
 *     node bench/verify.ts [MiB of files] [cosign]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { predicateTypes } from '../src/attest/statement.ts'
import { assembleImage } from '../src/build/assemble.ts'
import { compressLayer } from '../src/build/compress.ts'
import { writeLayerTar } from '../src/build/layer.ts'
import { openDirectoryStore } from '../src/content/directory.ts'
import { writeGroupArchive } from '../src/pack/archive.ts'
import { signatures } from './signatures.ts'

const epoch = 1_668_470_400
const platform = 'linux/amd64'

interface Cost {
  /** seconds */
  readonly wall: number
  readonly cpu: number
}

/** cutime + cstime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, in ticks of 10 ms. */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function take(...argv: readonly [string, ...string[]]): Cost {
  const [cpu, wall] = [childSeconds(), performance.now()]
  const { status, stderr } = spawnSync(argv[0], argv.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, COSIGN_PASSWORD: 'bench' },
  })
  if (status !== 0) throw new Error(`${argv.join(' ').slice(0, 300)} ended with ${status}: ${stderr}`)
  return { wall: (performance.now() - wall) / 1000, cpu: childSeconds() - cpu }
}

/** The second of two: the product keeps its sources compiled, and so does the side. */
const own = (mode: string, folder: string): Cost => {
  const once = (): Cost => take(process.execPath, join(import.meta.dirname, 'verify-side.ts'), mode, folder)
  once()
  return once()
}
const ratio = (a: Cost, b: Cost): string => `CPU ${(a.cpu / b.cpu).toFixed(2)}, wall ${(a.wall / b.wall).toFixed(2)}`
const told = (one: Cost): string => `${one.cpu.toFixed(2)} s CPU, ${one.wall.toFixed(2)} s wall`

async function files(work: string, mebibytes: number): Promise<void> {
  const names = Array.from({ length: 8 }, (_, n) => join(work, `${n}.bin`))
  for (const name of names) {
    const part = randomBytes(1 << 20)
    writeFileSync(name, Buffer.concat(Array.from({ length: Math.ceil(mebibytes / 8) }, () => part)))
  }
  take('cat', ...names) // both find them in the page cache
  const [ours, theirs, sm3] = [own('hash', work), take('sha256sum', ...names), own('sm3', work)]
  console.log(`SHA-256 of ${mebibytes} MiB / sha256sum: ${ratio(ours, theirs)} (goal CPU 0.55); ${told(ours)} : ${told(theirs)}`)
  console.log(`SM3 of the same / SHA-256: CPU ${(sm3.cpu / ours.cpu).toFixed(2)}`)
}

async function archive(work: string): Promise<void> {
  const store = await openDirectoryStore(join(work, 'store'))
  const folder = execFileSync('go', ['env', 'GOTOOLDIR'], { encoding: 'utf8' }).trim()
  const tar = await writeLayerTar(
    readdirSync(folder).map((name) => ({ path: `/usr/bin/${name}`, file: join(folder, name), mode: 0o755 })),
    store,
    epoch,
  )
  const layer = await compressLayer(tar, 'zstd', store, { workDir: work })
  const request = { layers: [{ ...layer, createdBy: 'bench' }], platform, config: {}, labels: {}, epoch } as const
  const images = [{ reference: 'bench/image:v1', manifest: await assembleImage(request, store) }]
  const made = await writeGroupArchive({ platform, images, epoch }, store, store)
  const file = join(work, 'a.tar.zst')
  execFileSync('cp', [store.blobPath(made.digest), file])
  const stored = [own('archive', work), take('zstd', '-tq', file)] as const
  // the same bytes packed as others pack them, for the speed of a decoder
  execFileSync('zstd', ['-q', '-3', store.blobPath(tar.digest), '-o', join(work, 'plain.zst')])
  const packed = take('zstd', '-tq', join(work, 'plain.zst'))
  console.log(
    `archive of ${(made.size / 1e6).toFixed(0)} MB opened / zstd -t of it (stored frames: no decoding): ${ratio(stored[0], stored[1])}; ${told(stored[0])}`,
  )
  console.log(`archive opened / zstd -t of its layers unpacked and packed once: ${ratio(stored[0], packed)} (goal wall 1.10)`)
}

async function signed(work: string, cosign: string): Promise<void> {
  execFileSync(cosign, ['generate-key-pair', '--output-key-prefix', join(work, 'k')], {
    env: { ...process.env, COSIGN_PASSWORD: 'bench' },
    stdio: 'ignore',
  })
  const sign = own('sign', work)
  const verify = own('verify', work)
  const sample = 10
  const blob = join(work, 'blob')
  writeFileSync(blob, '0')
  const some = (argv: readonly string[]): Cost => {
    const all = Array.from({ length: sample }, () => take(cosign, ...argv))
    const sum = (of: (one: Cost) => number): number => (all.reduce((total, one) => total + of(one), 0) * signatures) / sample
    return { wall: sum(({ wall }) => wall), cpu: sum(({ cpu }) => cpu) }
  }
  const config = join(work, 'signing.json')
  writeFileSync(config, '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}')
  const verifyEach = some([
    'verify-blob-attestation',
    '--key',
    join(work, 'k.pub'),
    '--insecure-ignore-tlog',
    '--bundle',
    join(work, '0.sigstore.json'),
    '--type',
    predicateTypes.cosignSign,
    blob,
  ])
  const signEach = some([
    'sign-blob',
    '--key',
    join(work, 'k.key'),
    '--signing-config',
    config,
    '--bundle',
    join(work, 'theirs.json'),
    '-y',
    blob,
  ])
  console.log(
    `${signatures} verifications, cosign each (${sample} measured) / ours: wall ${(verifyEach.wall / verify.wall).toFixed(0)} (goal 100), CPU ${(verifyEach.cpu / verify.cpu).toFixed(0)}; ours ${told(verify)}`,
  )
  console.log(
    `${signatures} signatures, cosign each (${sample} measured) / ours: wall ${(signEach.wall / sign.wall).toFixed(1)} (goal 10), CPU ${(signEach.cpu / sign.cpu).toFixed(1)}; ours ${told(sign)}`,
  )
}

const [mebibytes = '1024', cosign = ''] = process.argv.slice(2)
const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
try {
  await files(work, Number(mebibytes))
  await archive(work)
  if (cosign !== '') await signed(work, cosign)
} finally {
  rmSync(work, { recursive: true, force: true })
}
