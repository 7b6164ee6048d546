/** What goes wrong with a cluster: a stable code, and what was seen last. */
import { RfoError } from '../error.ts'

export type ClusterWord = 'READY' | 'DIED' | 'SPACE' | 'ROOT' | 'PLACE' | 'TOOL' | 'LIMIT'

export function clusterError(
  word: ClusterWord,
  what: string,
  options: { readonly where?: string; readonly next?: string; readonly details?: readonly string[]; readonly cause?: unknown } = {},
): RfoError {
  const ours: Readonly<Record<ClusterWord, 'build' | 'machine'>> = {
    // the release's own programs did not do their work
    READY: 'build',
    DIED: 'build',
    LIMIT: 'build',
    SPACE: 'machine',
    ROOT: 'machine',
    PLACE: 'machine',
    TOOL: 'machine',
  }
  return new RfoError(`RFO_CLUSTER_${word}`, what, { exit: ours[word], ...options })
}

/** A full disk shows up as somebody's failure; what it is, is in their last words. */
export function isFullDisk(lines: readonly string[]): boolean {
  return lines.some((line) => /no space left on device|disk quota exceeded|ENOSPC/i.test(line))
}
