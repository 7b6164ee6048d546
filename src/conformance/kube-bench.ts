/** Aqua's kube-bench, which looks at a node as the CIS Kubernetes Benchmark says: https://github.com/aquasecurity/kube-bench/blob/v0.12.0/docs/running.md */
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import { type CisPlan, kubeBenchConfig, type NodeFolder } from '../plan/cis-profile.ts'
import { type DriverPorts, driverFailed, inTime } from './driver.ts'

export interface KubeBench {
  /** its program, by its whole path */
  readonly program: string
  /** its cfg/, which holds the benchmarks */
  readonly benchmarks: string
}

export interface KubeBenchRequest extends KubeBench {
  readonly plan: CisPlan
  /** of the node that it runs on */
  readonly folders: Readonly<Record<NodeFolder, string>>
  /** after which the run is given up */
  readonly seconds: number
}

/** bytes; 130 checks have 120 KB */
export const largestReport = 16 * 1024 * 1024

/** What it prints with --json, as it comes. Throws RFO_CONFORMANCE_TIME and RFO_CONFORMANCE_DRIVER (build). */
export async function runKubeBench(request: KubeBenchRequest, ports: Pick<DriverPorts, 'exec' | 'workDir' | 'signal'>): Promise<Buffer> {
  const config = join(ports.workDir, 'kube-bench.json')
  await writeFile(config, kubeBenchConfig(request.plan, request.folders))
  return await inTime({ run: { name: request.plan.benchmark }, seconds: request.seconds }, ports, async (signal) => {
    try {
      return (await ports.exec(kubeBenchArgv(request, config), { signal, maxBytes: largestReport })).stdout
    } catch (thrown) {
      signal.throwIfAborted()
      // checks that fail do not end it with a number: --exit-code is not asked for
      if (!(thrown instanceof RfoError) || !thrown.code.startsWith('RFO_EXEC_')) throw thrown
      throw driverFailed('kube-bench', thrown.message, thrown)
    }
  })
}

export function kubeBenchArgv({ program, benchmarks, plan }: KubeBenchRequest, config: string): readonly [string, ...string[]] {
  return [
    program,
    'run',
    `--config=${config}`,
    `--config-dir=${benchmarks}`,
    `--benchmark=${plan.benchmark}`,
    `--targets=${plan.targets.join(',')}`,
    ...(plan.skip.size === 0 ? [] : [`--skip=${[...plan.skip.keys()].join(',')}`]),
    '--json',
  ]
}

/**
 * Which program judged, and by which text: it is not the release's, and says no version of itself when Go compiled it as a module.
 * Throws RFO_TEST_DRIVER (machine) where the folder lacks the benchmark.
 */
export async function kubeBenchFacts({ program, benchmarks }: KubeBench, benchmark: string): Promise<Json> {
  const folder = join(benchmarks, benchmark)
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.yaml')).sort()
  if (names.length === 0)
    throw new RfoError('RFO_TEST_DRIVER', `kube-bench has no benchmark ${benchmark} here`, {
      exit: 'machine',
      where: benchmarks,
      next: 'name the folder cfg of a newer kube-bench with --benchmarks',
    })
  const digest = async (file: string): Promise<string> =>
    `sha256:${createHash('sha256')
      .update(await readFile(file))
      .digest('hex')}`
  return {
    program: await digest(program),
    benchmark,
    files: Object.fromEntries(await Promise.all(names.map(async (name) => [name, await digest(join(folder, name))] as const))),
  }
}
