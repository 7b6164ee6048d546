/**
 * The no-op: a release that is already there, made from the same inputs, with every file present in size and time, is
 * not made again. `verify` re-hashes; this only looks.
 */

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { writeFlushed } from './lay-out.ts'

const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))
const Stamp = z.strictObject({
  schema: z.literal('rfo-build.stamp/1'),
  inputs: DigestText,
  root: DigestText,
  key: z.string(),
  /** path → [bytes, mtime in whole microseconds] */
  files: z.record(z.string(), z.tuple([z.int(), z.int()])),
})
export type Stamp = z.infer<typeof Stamp>

/** The stamp of a release folder that needs nothing; undefined when anything differs or no stamp is there. */
export async function unchanged(stampFile: string, folder: string, inputs: Digest): Promise<Stamp | undefined> {
  const stamp = await readStamp(stampFile)
  if (stamp === undefined || stamp.inputs !== inputs) return undefined
  const now = await filesOf(folder)
  return canonicalJson(now as Json) === canonicalJson(stamp.files as Json) ? stamp : undefined
}

/** Paths of the release folder that no longer are what the stamp saw: candidates for a look at the blobs that they are linked to. */
export async function touched(stampFile: string, folder: string): Promise<string[]> {
  const stamp = await readStamp(stampFile)
  if (stamp === undefined) return []
  const now = await filesOf(folder)
  return Object.keys(stamp.files).filter((path) => {
    const [size, mtime] = stamp.files[path] ?? []
    const [sizeNow, mtimeNow] = now[path] ?? []
    return sizeNow !== undefined && (size !== sizeNow || mtime !== mtimeNow)
  })
}

export async function writeStamp(
  stampFile: string,
  folder: string,
  made: { readonly inputs: Digest; readonly root: Digest; readonly key: string },
): Promise<void> {
  const stamp: Stamp = { schema: 'rfo-build.stamp/1', ...made, files: await filesOf(folder) }
  await mkdir(dirname(stampFile), { recursive: true })
  const temporary = `${stampFile}.${randomUUID()}`
  await writeFlushed(temporary, canonicalJson(stamp as unknown as Json))
  await rename(temporary, stampFile)
}

async function readStamp(stampFile: string): Promise<Stamp | undefined> {
  try {
    const parsed = Stamp.safeParse(JSON.parse(await readFile(stampFile, 'utf8')))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined // absent or torn: then the release is made, from cache
  }
}

async function filesOf(folder: string): Promise<Record<string, [number, number]>> {
  const files: Record<string, [number, number]> = {}
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => [])
    await Promise.all(
      entries.map(async (entry) => {
        const path = below === '' ? entry.name : `${below}/${entry.name}`
        if (entry.isDirectory()) return await walk(path)
        const found = await stat(join(folder, path)).catch((cause: NodeJS.ErrnoException) => {
          if (cause.code === 'ENOENT') return undefined // another process lays the release out at this moment: then this stamp holds for nothing
          throw cause
        })
        if (found !== undefined) files[path] = [found.size, Math.floor(found.mtimeMs * 1000)]
      }),
    )
  }
  await walk('')
  return files
}
