/**
 * May a test mount a file system of its own? `unshare -rm` and a tmpfs, which root and most users may, and a container may
 * not. Says once why not; with RFO_REQUIRE_TOOLS=1, as in CI, that is a failure.
 */
import { spawnSync } from 'node:child_process'
import { tool } from './tools.ts'

let known: { readonly unshare: string; readonly skip: boolean } | undefined

export function mounts(): { readonly unshare: string; readonly skip: boolean } {
  if (known !== undefined) return known
  const unshare = tool('unshare')
  const tried = unshare.skip ? undefined : spawnSync(unshare.path, ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { encoding: 'utf8' })
  const skip = tried?.status !== 0
  if (skip && process.env.RFO_REQUIRE_TOOLS === '1')
    throw new Error(`no file system can be mounted here, and RFO_REQUIRE_TOOLS=1: ${tried?.stderr ?? ''}`)
  if (skip && tried !== undefined) process.stderr.write(`tests that mount a file system of their own are skipped: ${tried.stderr.trim()}\n`)
  known = { unshare: unshare.path, skip }
  return known
}
