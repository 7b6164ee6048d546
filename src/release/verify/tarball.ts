/** The release tarball, opened: plain files alone, each once, and among them the program that is signed by itself. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { ReleaseFileEntry } from '../../attest/release.ts'
import { RfoError } from '../../error.ts'
import { readTar } from '../../inspect/tar.ts'
import { createDigester } from '../../oci/digest.ts'
import { untrusted } from './finding.ts'

/** bytes that scripts, units and texts beside the program may have */
const mostBeside = 64 * 1024 * 1024
const mostEntries = 10_000

/** `program`: as the statement lists it. Throws RFO_VERIFY_TARBALL, RFO_INSPECT_TAR, _PATH. */
export async function checkTarball(source: AsyncIterable<Uint8Array>, program: ReleaseFileEntry | undefined): Promise<void> {
  const seen = new Set<string>()
  let holds = false
  const read = async (bytes: AsyncIterable<unknown>): Promise<void> => {
    for await (const { path, kind, size, body } of readTar(
      bounded(bytes as AsyncIterable<Uint8Array>, mostBeside + (program?.size ?? 0)),
    )) {
      const name = path.join('/')
      if (kind !== 'file') throw bad(`${name} is a ${kind}`)
      if (seen.has(name) || seen.size >= mostEntries) throw bad(`${name} comes twice, or is one too many`)
      seen.add(name)
      const digester = createDigester()
      for await (const part of body) digester.update(part)
      if (size === program?.size && digester.finish() === program.digest) holds = true
    }
  }
  try {
    await pipeline(Readable.from(source, { objectMode: false }), createGunzip({ chunkSize: 1 << 17 }), read)
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown : bad((thrown as Error).message)
  }
  if (!holds) throw bad(`it does not hold ${program?.path ?? 'a program that is signed'}`)
}

async function* bounded(source: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
  let total = 0
  for await (const chunk of source) {
    total += chunk.length
    if (total > most) throw bad(`it unpacks to more than ${most} bytes`)
    yield chunk
  }
}

function bad(what: string): RfoError {
  return untrusted('RFO_VERIFY_TARBALL', what)
}
