/** What a person names when a release is meant: a version is `dist/<version>/`, everything else a path. */
import { join, resolve } from 'node:path'
import type { CliContext } from './context.ts'

export function isVersion(text: string): boolean {
  return /^v\d+\.\d+\.\d+(-[^/+]+)?\+rfor\d+$/.test(text)
}

/** Absolute. */
export function releaseFolder(context: Pick<CliContext, 'outDir' | 'cwd'>, target: string): string {
  return isVersion(target) ? join(context.outDir, target) : resolve(context.cwd, target)
}
