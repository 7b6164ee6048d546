/** Build logs in files: `<dir>/<task id, / as __>.log`. A task that says nothing leaves no file. */
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { redact } from './redact.ts'

export interface FileLog {
  line(text: string): void
  readonly path: string
  /** Throws RFO_REPORT_LOG when a line could not be written. */
  close(): Promise<void>
}

/** A file name may have 255 bytes on the file systems that we meet; `.log` and some room for a hash are kept. */
const longestName = 200

/**
 * Logs for the engine. Written line by line as they come, so that after a crash the last line is there, and memory stays
 * constant however much a compiler says. The file of an earlier run is replaced by the first line.
 */
export function fileLogs(dir: string, secrets: readonly string[] = []): { open(taskId: string): FileLog } {
  return { open: (taskId) => fileLog(dir, join(dir, `${fileName(taskId)}.log`), secrets) }
}

function fileLog(dir: string, path: string, secrets: readonly string[]): FileLog {
  let file: number | undefined
  let closed = false
  let failure: RfoError | undefined
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch (cause) {
      failure ??= new RfoError('RFO_REPORT_LOG', `can't write the log ${path}: ${cause instanceof Error ? cause.message : cause}`, {
        exit: 'machine',
        cause,
        next: 'free space there, or check its permissions',
      })
    }
  }
  return {
    path,
    line(text) {
      if (closed || failure !== undefined) return
      attempt(() => {
        if (file === undefined) {
          mkdirSync(dir, { recursive: true })
          file = openSync(path, 'w')
        }
        writeSync(file, `${redact(text, secrets)}\n`)
      })
    },
    close() {
      const open = file
      if (!closed && open !== undefined) attempt(() => closeSync(open))
      closed = true
      return failure === undefined ? Promise.resolve() : Promise.reject(failure)
    },
  }
}

/** One path segment for any task id; ids that needed changing get a hash, so that no two share a file. */
function fileName(taskId: string): string {
  const name = taskId.replaceAll('/', '__').replace(/[^A-Za-z0-9._+@=-]/g, '-')
  if (name.length <= longestName && name.replaceAll('__', '/') === taskId) return name
  return `${name.slice(0, longestName)}-${createHash('sha256').update(taskId).digest('hex').slice(0, 12)}`
}
