/** Paths that others wrote. */
import { posix } from 'node:path'
import { RfoError } from '../error.ts'

/** A relative path without `.`, `..`, empty segments; '' is the root itself. RFO_SOURCE_PATH for what would escape. */
export function pathIn(name: string): string {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (name.startsWith('/') || name.includes('\0') || name.includes('\\') || segments.includes('..')) {
    throw new RfoError('RFO_SOURCE_PATH', `the path ${JSON.stringify(name.slice(0, 200))} leaves its folder`, { exit: 'untrusted' })
  }
  return segments.join('/')
}

/**
 * A symbolic link's target when it stays inside. `..` may stand only at the start: `x/..` goes up from where x leads, and
 * x may itself be a link, so what it means can't be read off the text.
 */
export function linkTarget(path: string, target: string): string {
  const segments = target.split('/').filter((segment) => segment !== '' && segment !== '.')
  const ups = segments.findIndex((segment) => segment !== '..')
  const rest = ups === -1 ? [] : segments.slice(ups)
  const depth = posix.dirname(path) === '.' ? 0 : posix.dirname(path).split('/').length
  const climbs = ups === -1 ? segments.length : ups
  if (target === '' || target.startsWith('/') || target.includes('\0') || rest.includes('..') || climbs > depth) {
    throw new RfoError(
      'RFO_SOURCE_PATH',
      `the link ${JSON.stringify(path.slice(0, 200))} leads out: ${JSON.stringify(target.slice(0, 200))}`,
      { exit: 'untrusted' },
    )
  }
  return target
}
