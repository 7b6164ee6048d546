/** The Kubernetes project's own runner: https://github.com/kubernetes-sigs/hydrophone/blob/v0.7.0/README.md */
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { type Driver, type DriverRequest, driverFailed, inTime } from './driver.ts'
import { readProgress } from './progress.ts'

export const hydrophone: Driver = {
  name: 'hydrophone',
  async run(request, ports) {
    const folder = join(ports.workDir, 'hydrophone')
    await mkdir(folder, { recursive: true })
    const result = { log: join(folder, 'e2e.log'), junit: [join(folder, 'junit_01.xml')] }
    const read = readProgress()
    const line = (text: string): void => {
      const state = read(text)
      if (state !== undefined) ports.progress(state)
    }
    await inTime(request, ports, async (signal) => {
      try {
        await ports.exec(hydrophoneArgv(request, ports.kubeconfig, folder), { line, signal, maxBytes: Number.MAX_SAFE_INTEGER })
      } catch (thrown) {
        signal.throwIfAborted()
        // a spec that failed ends it with a number; what counts is whether the results are there
        if (!(thrown instanceof RfoError) || thrown.code !== 'RFO_EXEC_FAILED') throw thrown
        for (const file of [result.log, ...result.junit]) {
          await access(file).catch(() => {
            throw driverFailed('hydrophone', thrown.message, thrown)
          })
        }
      }
    })
    return result
  },
}

export function hydrophoneArgv(
  { run, images }: Pick<DriverRequest, 'run' | 'images'>,
  kubeconfig: string,
  folder: string,
): readonly [string, ...string[]] {
  return [
    'hydrophone',
    `--kubeconfig=${kubeconfig}`,
    `--focus=${run.focus}`,
    ...(run.skip === '' ? [] : [`--skip=${run.skip}`]),
    `--parallel=${run.procs}`,
    `--conformance-image=${images.conformance}`,
    ...(images.busybox === undefined ? [] : [`--busybox-image=${images.busybox}`]),
    `--output-dir=${folder}`,
    // above 2 a spinner turns among the lines, from 6 on every step is told
    '--verbosity=2',
  ]
}
