/** An image that others are built on, looked at once: what lies where, its rpm database, its users. */
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type WalkOptions, walkImage } from './image.ts'
import { type OsRelease, parseOsRelease } from './os-release.ts'
import { rpmFileNames, rpmFolders, rpmHeaders } from './rpmdb/index.ts'
import type { Visitor } from './spool.ts'
import type { Tree } from './tree.ts'

export type BaseImageEntry =
  | { readonly kind: 'directory' | 'special' }
  | { readonly kind: 'file'; readonly sha256: string }
  | { readonly kind: 'symlink'; readonly target: string }

export interface BaseImage {
  /** The path without symlinks, the last component followed too; undefined = nothing there. */
  resolve(path: string): string | undefined
  /** What is at a path whose parents hold no symlinks. */
  entry(path: string): BaseImageEntry | undefined
  readonly databases: readonly { readonly path: string; readonly bytes: Buffer }[]
  /** header blobs of all packages in the databases, keys among them */
  readonly headers: readonly Buffer[]
  readonly passwd: string
  readonly group: string
  readonly os: OsRelease | null
}

/** bytes of everything that is kept, in all layers together */
const mostKept = 256 * 1024 * 1024
const mostText = 1024 * 1024
const databaseNames: ReadonlySet<string> = new Set(rpmFileNames.flatMap((name) => [name, `${name}-wal`]))

/** Throws what walkImage and the database readers throw, and RFO_INSPECT_LIMIT. */
export async function readBaseImage(manifest: Descriptor, from: ContentReader, options: WalkOptions): Promise<BaseImage> {
  const { tree } = await walkImage<Buffer>(manifest, from, keeper(), options)
  const textAt = (path: string): string => foundAt(tree, path)?.toString('utf8') ?? ''
  const databases = new Map<string, { path: string; bytes: Buffer; headers: readonly Buffer[] }>()
  for (const folder of rpmFolders) {
    for (const name of rpmFileNames) {
      const path = tree.resolve(`${folder}/${name}`)
      const bytes = foundAt(tree, `${folder}/${name}`)
      if (path === undefined || bytes === undefined || bytes.length === 0 || databases.has(path)) continue
      databases.set(path, { path, bytes, headers: rpmHeaders(path, bytes, foundAt(tree, `${folder}/${name}-wal`)) })
    }
  }
  const release = ['/etc/os-release', '/usr/lib/os-release'].map(textAt).find((text) => text !== '')
  return {
    resolve: (path) => tree.resolve(path),
    entry: (path) => entryAt(tree, path),
    databases: [...databases.values()],
    headers: [...databases.values()].flatMap(({ headers }) => headers),
    passwd: textAt('/etc/passwd'),
    group: textAt('/etc/group'),
    os: release === undefined ? null : parseOsRelease(release),
  }
}

function keeper(): Visitor<Buffer> {
  let kept = 0
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
  return {
    wants({ path, size }) {
      const name = nameOf(path)
      return databaseNames.has(name) || (size <= mostText && (name === 'passwd' || name === 'group' || name.includes('os-release')))
    },
    async visit(_file, content) {
      kept += content.size
      if (kept > mostKept)
        throw new RfoError('RFO_INSPECT_LIMIT', `the image has more than ${mostKept} bytes of databases`, { exit: 'untrusted' })
      return Buffer.from(await content.read(0, content.size))
    },
  }
}

function foundAt(tree: Tree<Buffer>, path: string): Buffer | undefined {
  const real = tree.resolve(path)
  return real === undefined ? undefined : tree.leaf(real)?.found
}

function entryAt(tree: Tree<Buffer>, path: string): BaseImageEntry | undefined {
  const leaf = tree.leaf(path)
  if (leaf === undefined) return tree.resolve(path) === path ? { kind: 'directory' } : undefined
  if (leaf.kind === 'file') return { kind: 'file', sha256: leaf.sha256 ?? '' }
  return leaf.kind === 'symlink' ? { kind: 'symlink', target: leaf.target ?? '' } : { kind: 'special' }
}
