/**
 * Large blobs that are kept where they broke off, for this run or another: `.<hex>.<random>.part`, in a folder that holds nothing but
 * what is not finished. What stands in one is believed by no name: the digest of the whole decides.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, hex } from '../oci/digest.ts'
import { diskError, flushFolder, writeAll } from './atomic.ts'
import { type Body, startingAt, verified } from './body.ts'

/** bytes; below, to begin anew costs less than to look */
const worthKeeping = 1024 * 1024
const writeAtOnce = 1024 * 1024
const piecesAtOnce = 512

export function isWorthKeeping({ size }: Descriptor, body: Body): boolean {
  return size > worthKeeping && startingAt(body, 0) !== undefined
}

interface Part {
  readonly path: string
  /** bytes */
  readonly size: number
}

/** Writes a blob to `place`, from where an earlier try of anybody's broke off. Throws RFO_CONTENT_DIGEST, and what the body throws. */
export async function writeFromPart(folder: string, expected: Descriptor, body: Body, place: string): Promise<void> {
  const part = await longestPart(folder, expected)
  const rest = part === undefined ? undefined : startingAt(body, part.size)
  const whole = part !== undefined && rest !== undefined && (await write(folder, expected, continuing(part, expected, rest), place, part))
  // kept were other bytes, or the rest is: nobody is to blame before all has come anew
  if (!whole && part !== undefined) await rm(part.path, { force: true })
  if (!whole) await write(folder, expected, beginning(verified(expected, body)), place)
  // whoever else is writing the same finds it in its place
  for (const path of await partsOf(folder, expected)) await rm(path, { force: true })
}

async function partsOf(folder: string, { digest }: Descriptor): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(`.${hex(digest)}.`) && name.endsWith('.part'))
  return names.map((name) => join(folder, name))
}

/** Of several the one that saves most. Another process may be writing it: it is copied, never written. */
async function longestPart(folder: string, expected: Descriptor): Promise<Part | undefined> {
  let longest: Part | undefined
  for (const path of await partsOf(folder, expected)) {
    const size = await sizeOf(path)
    if (size !== undefined && size > (longest?.size ?? 0) && size < expected.size) longest = { path, size }
  }
  return longest
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isFile() === true ? found.size : undefined
}

/** Puts bytes into a file; false = they are not those of the blob. */
type Fill = (put: (bytes: Uint8Array) => Promise<void>, opened: () => Promise<void>) => Promise<boolean>

function beginning(source: Body): Fill {
  return async (put, opened) => {
    for await (const bytes of source) {
      await opened()
      await put(bytes)
    }
    return true
  }
}

/** The kept bytes, then the others: those are asked for first, since a body may wait for its turn. */
function continuing(part: Part, expected: Descriptor, rest: Body): Fill {
  return async (put, opened) => {
    const digester = createDigester()
    let total = 0
    const add = async (bytes: Uint8Array): Promise<void> => {
      digester.update(bytes)
      total += bytes.length
      await put(bytes)
    }
    let begun = false
    for await (const bytes of rest) {
      if (!begun) {
        await opened()
        for await (const kept of keptBytes(part)) await add(kept)
        // finished by another meanwhile
        if (total !== part.size) return false
        begun = true
      }
      if (total + bytes.length > expected.size) return false
      await add(bytes)
    }
    return total === expected.size && digester.finish() === expected.digest
  }
}

async function* keptBytes({ path, size }: Part): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return
  try {
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, writeAtOnce))
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return
      left -= bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** What breaks off stays when it is more than `part`, unless it is other bytes or the disk is full. */
async function write(folder: string, expected: Descriptor, fill: Fill, place: string, part?: Part): Promise<boolean> {
  const temporary = join(folder, `.${hex(expected.digest)}.${randomUUID()}.part`)
  let file: FileHandle | undefined
  let [pieces, waiting, written]: [Uint8Array[], number, number] = [[], 0, 0]
  const flush = async (): Promise<void> => {
    const [now, total] = [pieces, waiting]
    ;[pieces, waiting] = [[], 0]
    if (file !== undefined && total > 0) await writeAll(file, now, total)
    written += total
  }
  const put = async (bytes: Uint8Array): Promise<void> => {
    pieces.push(bytes)
    waiting += bytes.length
    if (waiting >= writeAtOnce || pieces.length >= piecesAtOnce) await flush()
  }
  const opened = async (): Promise<void> => {
    file ??= await open(temporary, 'wx', 0o644).catch((cause) => Promise.reject(diskError(cause, folder)))
  }
  let keep = false
  try {
    const whole = await fill(put, opened)
    await flush()
    if (!whole || file === undefined) return false
    await file.sync().catch((cause) => Promise.reject(diskError(cause, folder)))
    keep = true
  } catch (thrown) {
    const code = thrown instanceof RfoError ? thrown.code : ''
    if (code !== 'RFO_CONTENT_DIGEST' && code !== 'RFO_CONTENT_DISK') {
      await flush().catch(() => {})
      keep = written > (part?.size ?? 0)
      // one that has grown since is somebody's
      if (keep && part !== undefined && (await sizeOf(part.path)) === part.size) await rm(part.path, { force: true })
    }
    throw thrown
  } finally {
    await file?.close()
    if (!keep) await rm(temporary, { force: true })
  }
  await rename(temporary, place).catch(async (cause) => {
    // whoever finished the same blob first may have cleaned up behind us
    if ((await sizeOf(place)) !== expected.size) throw diskError(cause, place)
  })
  await flushFolder(dirname(place))
  return true
}
