/** Files that are no image's: of a folder, a tarball, a package. The same tree and the same inventory are made of them. */

import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { architectures } from '../oci/platform.ts'
import { type Found, lookInside } from './findings.ts'
import { type Inventory, inventoryTree } from './inventory.ts'
import { spool } from './spool.ts'
import { splitPath, type TarEntry } from './tar.ts'
import { createTree, type Tree } from './tree.ts'

/** As a tar has it; the path below the root. */
export type LooseEntry = TarEntry

export interface LooseOptions {
  /** Where files over 1 MiB lie while they are looked at. */
  readonly tempDir: string
  /** of the file that they came out of; absent = the digest of the list of them */
  readonly digest?: Digest
  readonly signal?: AbortSignal
}

/** Throws RFO_INSPECT_PATH, _LIMIT and what the database readers throw. */
export async function inventoryLoose(entries: AsyncIterable<LooseEntry> | Iterable<LooseEntry>, options: LooseOptions): Promise<Inventory> {
  const visitor = lookInside()
  const tree = createTree<Found>()
  for await (const { path, kind, size, mode, target, body } of entries) {
    options.signal?.throwIfAborted()
    if (kind === 'file') {
      const { sha256, found } = await spool({ path: `/${path.join('/')}`, size, mode }, body, visitor, options.tempDir)
      tree.addLeaf(path, { kind, size, mode, sha256, ...(found === undefined ? {} : { found }) }, 0)
    } else if (kind === 'directory') tree.addFolder(path, 0)
    else if (kind === 'hardlink') tree.addLink(path, splitPath(target), 0)
    else tree.addLeaf(path, { kind, size: 0, mode, ...(kind === 'symlink' ? { target } : {}) }, 0)
  }
  return inventoryTree(tree, options.digest ?? digestOfTree(tree), platformOfTree(tree))
}

/** Of names, kinds, modes and contents: what a folder is, as far as anyone can tell two apart. */
function digestOfTree(tree: Tree<Found>): Digest {
  const lines = tree.leaves().map(([path, { kind, mode, sha256, target }]) => [path, kind, mode & 0o7777, sha256 ?? target ?? ''])
  return digestOf(canonicalJson(lines))
}

/** Of its programs, when all are for one. */
function platformOfTree(tree: Tree<Found>): PlatformName | 'any' {
  const machines = new Set(tree.leaves().flatMap(([, { found }]) => (found?.kind === 'elf' ? [found.machine] : [])))
  const [machine] = machines
  const architecture = (Object.keys(architectures) as (keyof typeof architectures)[]).find(
    (name) => architectures[name].elfMachine === machine,
  )
  return machines.size === 1 && architecture !== undefined ? `linux/${architecture}` : 'any'
}
