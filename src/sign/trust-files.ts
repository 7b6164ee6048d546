/** Trust metadata as it lies: a folder that any TUF client reads, or one file to carry. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { canonicalJson } from '../oci/json.ts'
import { isTrustFile, type Trust, type TrustFiles } from './trust.ts'
import { holdsUnder } from './trust-edit.ts'
import { maxMetadataBytes, strictJson, untrusted } from './tuf.ts'

/** bytes; a hundred roots and a thousand keys stay below */
const maxExportBytes = 16 * 1024 * 1024
const maxFileBytes = maxMetadataBytes * 4
const maxFiles = 20_000

const Export = z.strictObject({ schema: z.literal('rfo-build.trust/1'), files: z.record(z.string(), z.string().max(maxFileBytes)) })

/** One file: TUF's files by name, byte for byte, for signatures and digests are over bytes. */
export function exportText({ files }: Pick<Trust, 'files'>): string {
  return canonicalJson({ schema: 'rfo-build.trust/1', files: Object.fromEntries(files) })
}

export function isExport(text: string): boolean {
  return text.startsWith('{"files":')
}

/** Throws RFO_SIGN_TRUST: in one spelling, and names that a TUF repository has. */
export function readExport(text: string, where: string): TrustFiles {
  if (text.length > maxExportBytes) throw untrusted(`longer than ${maxExportBytes} characters`, where)
  const parsed = Export.safeParse(strictJson(text, where))
  if (!parsed.success) throw untrusted(`no export of it: ${parsed.error.issues[0]?.message ?? ''}`.slice(0, 300), where)
  if (canonicalJson(parsed.data) !== text) throw untrusted('not in its canonical bytes', where)
  const names = Object.keys(parsed.data.files)
  const unknown = names.find((name) => !isTrustFile(name))
  if (unknown !== undefined) throw untrusted(`it holds ${JSON.stringify(unknown.slice(0, 80))}`, where)
  return new Map(Object.entries(parsed.data.files))
}

/** A folder, or an exported file; undefined = neither a file nor a folder with a root in it. Throws RFO_SIGN_TRUST. */
export async function readTrustFiles(path: string): Promise<TrustFiles | undefined> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined
    throw cause
  })
  if (found === undefined) return undefined
  if (!found.isDirectory()) return readExport(await readText(path, maxExportBytes), path)
  const names = await namesIn(path)
  if (!names.some((name) => name.endsWith('.root.json'))) return undefined
  const files = new Map<string, string>()
  for (const name of names) files.set(name, await readText(join(path, name), maxFileBytes))
  return files
}

async function namesIn(folder: string): Promise<string[]> {
  const below = await readdir(join(folder, 'targets')).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return []
    throw cause
  })
  const names = [...(await readdir(folder)), ...below.map((name) => `targets/${name}`)].filter(isTrustFile).sort()
  if (names.length > maxFiles) throw untrusted(`more than ${maxFiles} files`, folder)
  return names
}

async function readText(path: string, maxBytes: number): Promise<string> {
  const handle = await open(path, 'r')
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw untrusted('not a regular file', path)
    if (found.size > maxBytes) throw untrusted(`${found.size} bytes, more than such a file may have`, path)
    const bytes = await handle.readFile()
    const text = bytes.toString('utf8')
    if (!Buffer.from(text).equals(bytes)) throw untrusted('not UTF-8', path)
    return text
  } finally {
    await handle.close()
  }
}

/**
 * Files get their names one by one, and a killed run leaves a folder that reads as before or as after: all but the timestamp
 * have names of their own version, and it comes last. A root that takes its keys away comes last where the keys of before
 * have signed the new timestamp too; where they could not, a folder of a killed run is refused until that root is taken out of it.
 */
export async function writeTrust(folder: string, files: TrustFiles, before?: Trust): Promise<void> {
  await mkdir(join(folder, 'targets'), { recursive: true })
  for (const [name, text] of inWritingOrder(files, before)) await writeWhole(join(folder, name), text)
}

/** What is new or other than before, each file when all that it needs is there. */
export function inWritingOrder(files: TrustFiles, before?: Trust): (readonly [string, string])[] {
  const rank = (name: string): number => {
    if (name === 'timestamp.json') return 1
    return name.endsWith('.root.json') ? (before !== undefined && holdsUnder(before, files) ? 2 : 0) : -1
  }
  const changed = [...files].filter(([name, text]) => before?.files.get(name) !== text)
  return changed.sort(([a], [b]) => rank(a) - rank(b))
}

/** Temporary name, flush, rename, flush of the folder. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomUUID()}`)
  try {
    const handle = await open(temporary, 'wx', 0o644)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw new RfoError('RFO_SIGN_WRITE', `can't write: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}`, {
      exit: 'machine',
      where: path,
      cause,
      next: 'free some room or fix the permission, then run the same command again',
    })
  }
  const parent = await open(dirname(path), 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}
