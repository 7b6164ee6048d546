/** Folders and files on disk, as sources need them. */
import { randomUUID } from 'node:crypto'
import { chmod, copyFile, mkdir, open, readdir, readlink, rename, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { linkTarget } from './path.ts'

/** A writable copy: regular files and folders alone (a module's zip holds nothing else). */
export async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) await copyTree(source, target)
    else if (entry.isFile()) {
      await copyFile(source, target)
      await chmod(target, 0o644)
    }
  }
}

/** Whole or not at all, even when the machine stops. */
export async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const temporary = `${file}.${randomUUID()}`
  const handle = await open(temporary, 'wx', 0o644)
  try {
    await handle.writeFile(text)
    await handle.sync()
    await handle.close()
    await rename(temporary, file)
  } catch (thrown) {
    await handle.close().catch(() => {})
    await rm(temporary, { force: true })
    throw thrown
  }
}

/** RFO_SOURCE_PATH when a symbolic link of a checkout leads out of it. */
export async function refuseEscapingLinks(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    linkTarget(relative(root, path), await readlink(path))
  }
}
