/** What runs the e2e suite in a cluster and brings its results: hydrophone or sonobuoy, told the same and giving the same. */
import { RfoError } from '../error.ts'
import type { ExecOptions, ExecResult } from '../exec.ts'
import type { SpecProgress } from './progress.ts'
import type { SuiteRun } from './suite.ts'

export interface DriverPorts {
  /** Runs a program where the cluster's API can be reached. */
  exec(
    argv: readonly [string, ...string[]],
    options: Pick<ExecOptions, 'line' | 'maxBytes' | 'stdin'> & { readonly signal: AbortSignal },
  ): Promise<ExecResult>
  /** a file */
  readonly kubeconfig: string
  /** a folder of this run alone */
  readonly workDir: string
  readonly signal: AbortSignal
  readonly progress: (progress: SpecProgress) => void
}

export interface DriverRequest {
  readonly run: SuiteRun
  /** as the nodes know them */
  readonly images: { readonly conformance: string; readonly busybox?: string; readonly sonobuoy?: string }
  /** after which the run is given up */
  readonly seconds: number
}

/** Files; the caller removes them with `workDir`. */
export interface DriverResult {
  /** e2e.log */
  readonly log: string
  readonly junit: readonly string[]
}

export interface Driver {
  readonly name: DriverName
  run(request: DriverRequest, ports: DriverPorts): Promise<DriverResult>
}

export const driverNames = ['hydrophone', 'sonobuoy'] as const
export type DriverName = (typeof driverNames)[number]

/** Throws RFO_CONFORMANCE_TIME (build) when it takes longer, RFO_CONFORMANCE_DRIVER (build) when the driver gives no results. */
export async function inTime<T>(
  request: Pick<DriverRequest, 'seconds'> & { readonly run: Pick<SuiteRun, 'name'> },
  ports: Pick<DriverPorts, 'signal'>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = AbortSignal.timeout(request.seconds * 1000)
  try {
    return await work(AbortSignal.any([ports.signal, late]))
  } catch (thrown) {
    ports.signal.throwIfAborted()
    if (!late.aborted) throw thrown
    throw new RfoError(
      'RFO_CONFORMANCE_TIME',
      `the run ${request.run.name} did not end within ${Math.round(request.seconds / 60)} minutes`,
      {
        exit: 'build',
        next: 'look at the diagnostics; give it longer with --timeout',
      },
    )
  }
}

export function driverFailed(name: DriverName | 'kube-bench', why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_CONFORMANCE_DRIVER', `${name} gave no results: ${why}`, {
    exit: 'build',
    next: 'look at the diagnostics, and run it again',
    details: cause instanceof RfoError ? cause.details : [],
    ...(cause === undefined ? {} : { cause }),
  })
}
