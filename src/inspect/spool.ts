/** The body of one file, hashed in one pass; kept for a visitor that wants it: in memory while small, else in a temporary file. */
import { createHash, type Hash, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'

/** Bytes that can be read anywhere; gives fewer than asked at the end. */
export interface Content {
  /** bytes */
  readonly size: number
  read(offset: number, length: number): Promise<Buffer>
}

export interface SeenFile {
  /** As in the archive, with a leading `/`. */
  readonly path: string
  /** bytes */
  readonly size: number
  readonly mode: number
}

/** Who looks into files. T is what is remembered of one. */
export interface Visitor<T> {
  /** Decides by name, size and the first bytes (at most 64) whether `visit` is to see the file. */
  wants(file: SeenFile, head: Buffer): boolean
  /** The content is gone when this returns. Digests are in hex; SHA-512 is computed of what is visited alone. */
  visit(file: SeenFile, content: Content, digests: { readonly sha256: string; readonly sha512: string }): Promise<T | undefined>
}

/** Files up to this many bytes are looked at in memory; several images are walked at a time. */
export const inMemory = 1024 * 1024
const headBytes = 64

/** Reads the body to its end. `sha256` is 64 hex characters. */
export async function spool<T>(
  file: SeenFile,
  body: AsyncIterable<Uint8Array>,
  visitor: Visitor<T>,
  tempDir: string,
): Promise<{ readonly sha256: string; readonly found: T | undefined }> {
  const hash = createHash('sha256')
  let longer: Hash | undefined
  let head = Buffer.alloc(0)
  let keeper: Keeper | undefined
  let decided = false
  const decide = async (): Promise<void> => {
    decided = true
    if (!visitor.wants(file, head.subarray(0, headBytes))) return
    keeper = file.size > inMemory ? await keepInFile(tempDir) : keepInMemory(file.size)
    longer = createHash('sha512').update(head)
    await keeper.add(head)
  }
  try {
    for await (const chunk of body) {
      hash.update(chunk)
      if (decided) {
        if (keeper === undefined) continue
        longer?.update(chunk)
        await keeper.add(chunk)
        continue
      }
      head = head.length === 0 ? Buffer.from(chunk) : Buffer.concat([head, chunk])
      if (head.length >= headBytes) await decide()
    }
    if (!decided) await decide()
    const sha256 = hash.digest('hex')
    const found =
      keeper === undefined ? undefined : await visitor.visit(file, keeper.content(), { sha256, sha512: longer?.digest('hex') ?? '' })
    return { sha256, found }
  } finally {
    await keeper?.drop()
  }
}

interface Keeper {
  add(bytes: Uint8Array): Promise<void>
  content(): Content
  drop(): Promise<void>
}

function keepInMemory(size: number): Keeper {
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  return {
    async add(chunk) {
      bytes.set(chunk, at)
      at += chunk.length
    },
    content: () => ({ size: at, read: async (offset, length) => bytes.subarray(offset, Math.min(at, offset + length)) }),
    async drop() {},
  }
}

async function keepInFile(tempDir: string): Promise<Keeper> {
  const path = join(tempDir, `spool-${randomUUID()}`)
  const handle: FileHandle = await onDisk(path, async () => {
    await mkdir(tempDir, { recursive: true })
    return await open(path, 'wx+', 0o600)
  })
  let at = 0
  return {
    add: (chunk) =>
      onDisk(path, async () => {
        for (let done = 0; done < chunk.length; ) {
          const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at + done)
          done += bytesWritten
        }
        at += chunk.length
      }),
    content: () => ({
      size: at,
      read: (offset, length) =>
        onDisk(path, async () => {
          const wanted = Math.max(0, Math.min(length, at - offset))
          const bytes = Buffer.allocUnsafe(wanted)
          let done = 0
          while (done < wanted) {
            const { bytesRead } = await handle.read(bytes, done, wanted - done, offset + done)
            if (bytesRead === 0) break
            done += bytesRead
          }
          return bytes.subarray(0, done)
        }),
    }),
    async drop() {
      await handle.close()
      await rm(path, { force: true })
    },
  }
}

/** A full disk or a missing permission is this machine's, and no fault of the image. */
async function onDisk<R>(path: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (cause) {
    throw new RfoError('RFO_INSPECT_SPOOL', `can't keep a file of the image at ${path}: ${(cause as Error).message}`, {
      exit: 'machine',
      cause,
      next: 'make room there, or name another place with --store',
    })
  }
}
