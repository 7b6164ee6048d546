/** Folders and files on disk, as sources need them. */
import { randomUUID } from 'node:crypto'
import { chmod, constants, copyFile, link, mkdir, open, readdir, readlink, rename, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { linkTarget } from './path.ts'

/** What is written in place while a source is opened: https://go.dev/ref/mod#go-mod-file */
const writtenInPlace = new Set(['go.mod', 'go.sum'])

/**
 * A module's folder again, out of links: Kubernetes' 65 MB are there in 0.4 s and take no room. Regular files and folders alone
 * (a module's zip holds nothing else). A file in it is changed by putting another in its place, never by writing into it:
 * that would be the module cache's own. Where links are refused, and for what `go` writes into, it is a copy.
 */
export async function linkTree(from: string, to: string, written: ReadonlySet<string> = writtenInPlace): Promise<void> {
  await mkdir(to, { recursive: true })
  const below = new Set<string>()
  await Promise.all(
    (await readdir(from, { withFileTypes: true })).map(async (entry) => {
      const [source, target] = [join(from, entry.name), join(to, entry.name)]
      if (entry.isDirectory()) await linkTree(source, target, below)
      else if (entry.isFile()) await linkFile(source, target, written.has(entry.name))
    }),
  )
}

/** Another file system, a file of somebody else, too many links to it. */
const refusedLinks = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP']

async function linkFile(source: string, target: string, writable: boolean): Promise<void> {
  if (!writable) {
    try {
      return await link(source, target)
    } catch (thrown) {
      if (!refusedLinks.includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown
    }
  }
  await copyFile(source, target, constants.COPYFILE_FICLONE)
  await chmod(target, 0o644)
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
