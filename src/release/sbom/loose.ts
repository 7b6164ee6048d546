/** What is in a folder, a tar of files, or one program: the inventory that its document is made of, and that a scan judges. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { digestOfFile } from '../../content/file.ts'
import type { Inventory } from '../../inspect/inventory.ts'
import { inventoryLoose } from '../../inspect/loose.ts'
import { readTar } from '../../inspect/tar.ts'
import type { FileTarget } from './target.ts'
import { folderEntries, tarBytes } from './unpack.ts'

export interface LooseTarget extends FileTarget {
  readonly kind: 'folder' | 'tar' | 'program'
}

export function isLoose(target: FileTarget): target is LooseTarget {
  return target.kind === 'folder' || target.kind === 'tar' || target.kind === 'program'
}

/** `image` of it is the digest of the file, or of the list of what is in the folder. Throws what inventoryLoose throws, and RFO_SBOM_ARCHIVE. */
export async function looseInventory(
  target: LooseTarget,
  { workDir, signal }: { readonly workDir: string; readonly signal: AbortSignal },
): Promise<Inventory> {
  const { path, kind } = target
  const options = { tempDir: workDir, signal }
  if (kind === 'folder') return await inventoryLoose(folderEntries(path), options)
  const { size } = await stat(path)
  const digest = await digestOfFile(path, signal)
  if (kind === 'tar') return await inventoryLoose(readTar(tarBytes(target, size, signal)), { ...options, digest })
  const body = createReadStream(path, { highWaterMark: 1 << 20 })
  return await inventoryLoose([{ path: [basename(path)], kind: 'file', size, mode: 0o755, target: '', body }], { ...options, digest })
}
