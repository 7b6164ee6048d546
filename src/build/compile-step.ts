/** One call of a compiler: what it says goes to the log line by line, and what it says last into the error. */
import { RfoError } from '../error.ts'
import { type ExecOptions, exec } from '../exec.ts'

export interface CompileStep extends Pick<ExecOptions, 'env' | 'cwd' | 'signal' | 'line'> {
  /** for the error: `go build ./cmd/x for linux/arm64` */
  readonly what: string
}

/** RFO_BUILD_COMPILE (build) when the compiler refuses, RFO_BUILD_SPACE (machine) when the disk is full. */
export async function compileStep(argv: readonly [string, ...string[]], { what, ...how }: CompileStep): Promise<void> {
  try {
    await exec(argv, { ...how, exit: 'build' })
  } catch (thrown) {
    if (!(thrown instanceof RfoError) || thrown.code !== 'RFO_EXEC_FAILED') throw thrown
    // gcc goes on after its last complaint: "all warnings being treated as errors"
    const last = thrown.details.findLast((text) => /: error: /.test(text)) ?? thrown.details.at(-1) ?? thrown.message
    const full = thrown.details.some((text) => /no space left on device/i.test(text))
    throw new RfoError(full ? 'RFO_BUILD_SPACE' : 'RFO_BUILD_COMPILE', `${what}: ${last}`.slice(0, 500), {
      exit: full ? 'machine' : 'build',
      details: thrown.details,
      cause: thrown,
      next: full ? 'free some space' : 'read the log of the task; what has to change is the source, its patches, or the pipeline',
    })
  }
}
