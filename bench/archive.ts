/**
 * Group archives of rebuilt images (zstd layers, stored) against what RKE2 does with the same layers uncompressed in one
 * tar: `pigz` and `zstd -T0 -16 --long=25`. Two images hold Go's own tools, several siblings a layer as kubernetes, etcd and
 * cni-plugins have them; the same programs in an image each are reported beside. Needs go, tar, pigz and zstd.
 *
 *     node bench/archive.ts
 *
 * Prints bytes and CPU, ours to theirs; ours is layers and archive, without writing the tars that both start from. Goals: 0.80 of
 * pigz's bytes, 0.1 of zstd's CPU, 1.2 of the wall time of `zstd -T2 -9 --long=25`. Archives of mirrored images (gzip layers as they came) are reported beside.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { assembleImage } from '../src/build/assemble.ts'
import { compressLayer } from '../src/build/compress.ts'
import { writeLayerTar } from '../src/build/layer.ts'
import { openDirectoryStore } from '../src/content/directory.ts'
import type { Descriptor } from '../src/oci/descriptor.ts'
import { writeGroupArchive } from '../src/pack/archive.ts'
import type { GroupImage } from '../src/pack/contents.ts'

const platform = 'linux/amd64'
const epoch = 1_668_470_400

/** Go's own tools, by name: siblings, as the programs of one component are. */
function programs(): string[] {
  const folder = execFileSync('go', ['env', 'GOTOOLDIR'], { encoding: 'utf8' }).trim()
  return readdirSync(folder).map((name) => join(folder, name))
}

interface Cost {
  readonly bytes: number
  /** seconds of CPU */
  readonly cpu: number
  /** seconds */
  readonly wall: number
}

/** CPU seconds of all children that have ended: cutime + cstime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, in ticks of 10 ms. */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function theirs(out: string, ...argv: readonly [string, ...string[]]): Cost {
  const [before, begun] = [childSeconds(), performance.now()]
  const { status } = spawnSync(argv[0], argv.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}`)
  return { bytes: statSync(out).size, cpu: childSeconds() - before, wall: (performance.now() - begun) / 1000 }
}

const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
try {
  const store = await openDirectoryStore(join(work, 'store'))
  const files = programs()
  const tarsOf = async (sets: readonly (readonly string[])[]): Promise<Descriptor[]> => {
    const tars: Descriptor[] = []
    for (const set of sets) {
      const entries = set.map((file) => ({ path: `/usr/bin/${basename(file)}`, file, mode: 0o755 }))
      tars.push(await writeLayerTar(entries, store, epoch))
    }
    return tars
  }
  const imagesOf = async (tars: readonly Descriptor[], encoding: 'zstd' | 'gzip'): Promise<GroupImage[]> => {
    const images: GroupImage[] = []
    for (const tar of tars) {
      const layer = await compressLayer(tar, encoding, store, { workDir: work })
      const request = { layers: [{ ...layer, createdBy: 'bench' }], platform, config: {}, labels: {}, epoch } as const
      images.push({ reference: `bench/image-${images.length}:v1`, manifest: await assembleImage(request, store) })
    }
    return images
  }
  const pack = (images: readonly GroupImage[]): Promise<Descriptor> => writeGroupArchive({ platform, images, epoch }, store, store)
  const measured = async <T>(run: () => Promise<T>): Promise<{ readonly result: T } & Omit<Cost, 'bytes'>> => {
    const [before, begun] = [process.cpuUsage(), performance.now()]
    const result = await run()
    const { user, system } = process.cpuUsage(before)
    return { result, cpu: (user + system) / 1e6, wall: (performance.now() - begun) / 1000 }
  }

  const tars = await tarsOf([files.slice(0, 3), files.slice(3)])
  const rebuilt = await measured(() => imagesOf(tars, 'zstd'))
  const packed = await measured(() => pack(rebuilt.result))
  const mirrored = await imagesOf(tars, 'gzip')
  const passed = await measured(() => pack(mirrored))
  const alone = await pack(await imagesOf(await tarsOf(files.map((file) => [file])), 'zstd'))

  const classic = join(work, 'classic.tar')
  execFileSync('tar', ['-cf', classic, ...tars.map((tar) => store.blobPath(tar.digest))], { stdio: 'ignore' })
  const pigz = theirs(`${classic}.gz`, 'pigz', '-k', classic)
  const zstd = theirs(`${classic}.zst`, 'zstd', '-q', '-T0', '-16', '--long=25', classic)
  const fast = theirs(`${classic}.9.zst`, 'zstd', '-q', '-T2', '-9', '--long=25', '-o', `${classic}.9.zst`, classic)

  const total = tars.reduce((sum, { size }) => sum + size, 0)
  const two = (number: number): string => number.toFixed(2)
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)
  const cpu = rebuilt.cpu + packed.cpu
  const { size } = packed.result
  console.log(`${files.length} programs, ${mb(total)} MB of tars; pigz ${mb(pigz.bytes)} MB, ${two(pigz.cpu)} s of CPU;`)
  console.log(
    `zstd -16 --long=25 ${mb(zstd.bytes)} MB, ${two(zstd.cpu)} s; ours ${mb(size)} MB, ${two(cpu)} s (archive alone ${two(packed.cpu)} s)`,
  )
  console.log(`bytes, ours : pigz ${two(size / pigz.bytes)} (goal 0.80)`)
  console.log(`bytes, ours with one program an image : pigz ${two(alone.size / pigz.bytes)}`)
  console.log(`bytes, ours : zstd -16 ${two(size / zstd.bytes)}`)
  console.log(`CPU, ours : zstd -16 ${(cpu / zstd.cpu).toFixed(3)} (goal 0.100)`)
  const wall = rebuilt.wall + packed.wall
  console.log(
    `wall, ours : zstd -T2 -9 --long=25 ${two(wall / fast.wall)} (goal 1.20; ${two(wall)} : ${two(fast.wall)} s, ${mb(fast.bytes)} MB)`,
  )
  console.log(`CPU, ours : pigz ${two(cpu / pigz.cpu)}`)
  console.log(
    `mirrored (gzip layers as they came): bytes, ours : pigz ${two(passed.result.size / pigz.bytes)}; archive alone ${two(passed.cpu)} s of CPU`,
  )
} finally {
  rmSync(work, { recursive: true, force: true })
}
