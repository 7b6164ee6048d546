/** A folder that is carried to nodes, looked at as RKE2 would: top level only, every byte read once. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import { formatReference, parseReference } from '../../oci/reference.ts'
import { type ArchiveFacts, archiveFacts, isArchive } from './archive.ts'
import { type FolderReader, formatOf } from './reader.ts'
import { type FolderFacts, type FolderFinding, folderFindings } from './rules.ts'

const mostFiles = 10_000
const mostListBytes = 4 << 20

/** Throws RFO_LINT_FOLDER (usage) when there is no such folder. */
export async function lintFolder(folder: string, reader: FolderReader, signal?: AbortSignal): Promise<FolderFinding[]> {
  return folderFindings(await folderFacts(folder, signal), reader)
}

async function folderFacts(folder: string, signal: AbortSignal | undefined): Promise<FolderFacts> {
  const entries = await readdir(folder).catch((cause: unknown) => {
    throw new RfoError('RFO_LINT_FOLDER', 'no folder that can be read', { exit: 'usage', where: folder, cause })
  })
  if (entries.length > mostFiles) throw new RfoError('RFO_LINT_FOLDER', `more than ${mostFiles} entries`, { exit: 'usage', where: folder })
  const files: { name: string; digest?: string }[] = []
  const archives: ArchiveFacts[] = []
  const unread: string[] = []
  const lists = new Map<string, readonly string[]>()
  const sums = new Map<string, ReadonlyMap<string, string>>()
  const names = entries.sort()
  const summed = names.some((name) => isSums(name))
  for (const name of names) {
    signal?.throwIfAborted()
    const path = join(folder, name)
    const { size } = await stat(path).then((one) => (one.isFile() ? one : { size: -1 }))
    if (size < 0) continue
    const format = formatOf(name)
    if (isSums(name)) sums.set(name, readSums(await small(path, size)))
    // the tarball of programs is a tar.gz, too, and no archive of images
    if (format !== undefined && isArchive(format) && !/^(?:rke2|rfo)\.linux-/.test(name)) {
      archives.push(await archiveFacts(path, name, format, signal))
      files.push({ name })
      continue
    }
    if (format === 'list' && !isSums(name)) {
      const references = readList(await small(path, size))
      if (references !== undefined) lists.set(name, references)
    }
    if (format === 'bzip2' || format === 'lz4') unread.push(name)
    files.push({ name, ...(summed ? { digest: await digestOfFile(path) } : {}) })
  }
  return { files, archives, unread, lists, sums }
}

function isSums(name: string): boolean {
  return /^sha256sum-[a-z0-9]+\.txt$/.test(name)
}

async function small(path: string, size: number): Promise<string> {
  return size > mostListBytes ? '' : await readFile(path, 'utf8')
}

/** As sha256sum writes it: two spaces, or a space and a star. */
function readSums(text: string): Map<string, string> {
  const found = text.split('\n').map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line))
  return new Map(found.flatMap((line) => (line === null ? [] : [[line[2] as string, line[1] as string]])))
}

/** One reference a line, `#` for comments; undefined = something else. */
function readList(text: string): string[] | undefined {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  try {
    return lines.map((line) => formatReference(parseReference(line)))
  } catch {
    return undefined
  }
}
