/**
 * sonobuoy's command line: run, status until it is complete, retrieve. https://sonobuoy.io/docs/v0.57.1/ Its verdict is not
 * asked: a focus that matches nothing is `passed` to it.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { type Driver, type DriverPorts, type DriverRequest, type DriverResult, driverFailed, inTime } from './driver.ts'
import { resultsFolder } from './sonobuoy.ts'
import { eachFile } from './tarball.ts'

/** `sonobuoy status --json`: https://github.com/vmware-tanzu/sonobuoy/blob/v0.57.1/pkg/plugin/aggregation/status.go */
const Status = z.object({
  status: z.string(),
  plugins: z.array(
    z.object({
      plugin: z.string(),
      status: z.string(),
      'result-status': z.string().optional(),
      progress: z
        .object({
          total: z.int().nonnegative().optional(),
          completed: z.int().nonnegative().optional(),
          failures: z.array(z.string()).nullish(),
        })
        .nullish(),
    }),
  ),
  'tar-info': z.object({ sha256: z.string() }).optional(),
})

export interface SonobuoyStatus {
  readonly state: 'running' | 'ready' | 'failed'
  readonly total: number | undefined
  readonly done: number
  readonly failed: number
}

/** undefined = nothing that can be read yet: the aggregator answers with an error until it runs. */
export function readStatus(json: string): SonobuoyStatus | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  const parsed = Status.safeParse(value)
  if (!parsed.success) return undefined
  const { status, plugins, 'tar-info': tar } = parsed.data
  const e2e = plugins.find((plugin) => plugin.plugin === 'e2e')
  // `complete` is the suite's; the tarball has its sum when the aggregator has written it whole
  const ready = status === 'complete' && (tar?.sha256 ?? '') !== ''
  return {
    state: status === 'failed' ? 'failed' : ready ? 'ready' : 'running',
    // 0 as long as the suite has not said, and in some versions for ever
    total: e2e?.progress?.total || undefined,
    done: e2e?.progress?.completed ?? 0,
    failed: e2e?.progress?.failures?.length ?? 0,
  }
}

/** `pause` in milliseconds, between two questions to the aggregator. */
export function sonobuoyAsking(pause: number): Driver {
  return { name: 'sonobuoy', run: (request, ports) => runSonobuoy(request, ports, pause) }
}

export const sonobuoy = sonobuoyAsking(5000)

async function runSonobuoy(request: DriverRequest, ports: DriverPorts, pause: number): Promise<DriverResult> {
  const folder = join(ports.workDir, 'sonobuoy')
  await mkdir(folder, { recursive: true })
  return await inTime(request, ports, async (signal) => {
    const call = (argv: readonly string[]) =>
      ports.exec(['sonobuoy', ...argv, `--kubeconfig=${ports.kubeconfig}`], { signal, maxBytes: 64 * 1024 * 1024 })
    await call(runArgv(request))
    await waitFor(call, ports, signal, pause)
    await call(['retrieve', folder])
    const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tar.gz'))
    if (tarball === undefined) throw driverFailed('sonobuoy', 'nothing was retrieved')
    const result = await takeApart(join(folder, tarball), folder, signal)
    await call(['delete', '--wait=5'])
    return result
  })
}

export function runArgv({ run, images, seconds }: DriverRequest): readonly string[] {
  return [
    'run',
    '--plugin=e2e',
    `--e2e-focus=${run.focus}`,
    `--e2e-skip=${run.skip}`,
    `--kube-conformance-image=${images.conformance}`,
    ...(images.sonobuoy === undefined ? [] : [`--sonobuoy-image=${images.sonobuoy}`]),
    // what is on the nodes is not asked for
    '--image-pull-policy=IfNotPresent',
    '--plugin-env=e2e.E2E_USE_GO_RUNNER=true',
    ...(run.procs > 1 ? [`--plugin-env=e2e.E2E_EXTRA_GINKGO_ARGS=--procs=${run.procs}`] : []),
    `--timeout=${seconds}`,
  ]
}

/** answers in a row that are none */
const mostSilent = 60

async function waitFor(
  call: (argv: readonly string[]) => Promise<{ stdout: Buffer }>,
  ports: DriverPorts,
  signal: AbortSignal,
  pause: number,
): Promise<void> {
  let silent = 0
  for (;;) {
    await sleep(pause, undefined, { signal })
    const answer = await call(['status', '--json']).then(
      ({ stdout }) => readStatus(stdout.toString('utf8')),
      (cause: unknown) => {
        signal.throwIfAborted()
        if (cause instanceof RfoError && cause.code === 'RFO_EXEC_FAILED') return undefined
        throw cause
      },
    )
    if (answer === undefined) {
      silent += 1
      if (silent > mostSilent) throw driverFailed('sonobuoy', `its aggregator did not answer for ${(mostSilent * pause) / 1000} seconds`)
      continue
    }
    silent = 0
    if (answer.state === 'failed') throw driverFailed('sonobuoy', 'its aggregator failed')
    ports.progress({ total: answer.total, done: answer.done, failed: answer.failed, last: '' })
    if (answer.state === 'ready') return
  }
}

/** The suite's own files of what was retrieved. */
async function takeApart(tarball: string, folder: string, signal: AbortSignal): Promise<{ log: string; junit: string[] }> {
  let log: string | undefined
  const junit: string[] = []
  await eachFile(
    createReadStream(tarball),
    async (path, body) => {
      const name = basename(path)
      if (!path.startsWith(resultsFolder) || path !== `${resultsFolder}${name}` || !/^(e2e\.log|junit[A-Za-z0-9_.-]*\.xml)$/.test(name))
        return
      const file = join(folder, name)
      await pipeline(body, createWriteStream(file))
      if (name === 'e2e.log') log = file
      else junit.push(file)
    },
    signal,
  )
  if (log === undefined || junit.length === 0) throw driverFailed('sonobuoy', 'what was retrieved holds no e2e.log or no JUnit')
  return { log, junit }
}
