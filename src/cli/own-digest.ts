/** A digest of this program's own code: a release made by another rfo-build is not the same work, whatever its version says. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, parseDigest } from '../oci/digest.ts'

/** Reads src/ and package-lock.json, about a megabyte. */
export function ownDigest(): Digest {
  const root = join(import.meta.dirname, '..', '..')
  const hash = createHash('sha256')
  const walk = (below: string): void => {
    const entries = readdirSync(join(root, below), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      const path = `${below}/${entry.name}`
      if (entry.isDirectory()) walk(path)
      else hash.update(`${path}\n`).update(readFileSync(join(root, path)))
    }
  }
  walk('src')
  walk('install')
  hash.update(readFileSync(join(root, 'package-lock.json')))
  return parseDigest(`sha256:${hash.digest('hex')}`)
}
