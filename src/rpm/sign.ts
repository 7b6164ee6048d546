/** An RPM that is there already gets a signature over its main header, or shows the one that it has. */
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester } from '../oci/digest.ts'
import { headerLength, introBytes, leadBytes, mostData, mostSignatureData } from './extent.ts'
import { signatureTags } from './header.ts'
import { readHeader } from './install/read-header.ts'
import { type SignatureSums, signatureHeader } from './signature-header.ts'
import { rpmMediaType } from './write.ts'

/** What stands before an RPM's payload. */
export interface RpmFront {
  readonly lead: Buffer
  readonly sums: SignatureSums
  /** with its magic: what is signed */
  readonly header: Buffer
  /** binary OpenPGP packets over `header`, of every kind that there is */
  readonly signatures: readonly Buffer[]
  /** of the file: where the payload begins */
  readonly end: number
}

/** Reads no further than it must. Throws RFO_RPM_FORMAT, RFO_RPM_HEADER. */
export async function rpmFront(bytes: AsyncIterable<Uint8Array>): Promise<RpmFront> {
  const held: Uint8Array[] = []
  let length = 0
  let wanted = leadBytes + introBytes
  let start: number | undefined
  let end: number | undefined
  for await (const chunk of bytes) {
    held.push(chunk)
    length += chunk.length
    while (length >= wanted && end === undefined) {
      const all = joined(held)
      if (start === undefined) {
        const signatureEnd = leadBytes + headerLength(all.subarray(leadBytes), mostSignatureData)
        start = signatureEnd + ((8 - (signatureEnd % 8)) % 8)
        wanted = start + introBytes
      } else {
        end = start + headerLength(all.subarray(start), mostData)
        wanted = end
      }
    }
    if (end !== undefined && length >= end) break
  }
  if (start === undefined || end === undefined || length < end)
    throw new RfoError('RFO_RPM_FORMAT', "an RPM can't be read: it ends inside a header", { exit: 'untrusted' })
  const all = joined(held)
  const signature = readHeader(all.subarray(leadBytes, start))
  const raw = (tag: number): Buffer[] => {
    const found = signature.raw(tag)
    return found === undefined ? [] : [Buffer.from(found.bytes)]
  }
  return {
    lead: Buffer.from(all.subarray(0, leadBytes)),
    sums: {
      sha1: signature.text(signatureTags.sha1),
      sha256: signature.text(signatureTags.sha256),
      md5: raw(signatureTags.md5)[0] ?? Buffer.alloc(0),
      size: signature.numbers(signatureTags.size)[0] ?? 0,
      payloadSize: signature.numbers(signatureTags.payloadSize)[0] ?? 0,
    },
    header: Buffer.from(all.subarray(start, end)),
    signatures: [...raw(signatureTags.rsa), ...raw(signatureTags.dsa)],
    end,
  }
}

function joined(held: Uint8Array[]): Buffer {
  const [only] = held
  if (held.length === 1 && only !== undefined) return Buffer.from(only.buffer, only.byteOffset, only.length)
  const all = Buffer.concat(held)
  held.splice(0, held.length, all)
  return all
}

/** Pushes it as writeRpm would have written it with `sign`; a signature that it had is gone. `rpm` must be one of ours. */
export async function signRpm(
  rpm: Descriptor,
  store: ContentStore,
  sign: (header: Uint8Array) => Promise<Uint8Array>,
  signal?: AbortSignal,
): Promise<Descriptor> {
  return await refront(() => store.fetch(rpm, signal), store, sign)
}

/** The same header and payload behind a signature header of ours; without `sign` it has no signature. `open` gives the RPM each time anew. */
export async function refront(
  open: () => AsyncIterable<Uint8Array>,
  store: ContentStore,
  sign?: (header: Uint8Array) => Promise<Uint8Array>,
): Promise<Descriptor> {
  const { lead, sums, header, end } = await rpmFront(open())
  const front = Buffer.concat([lead, signatureHeader(sums, await sign?.(header)), header])
  const bytes = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield front
    let passed = 0
    for await (const chunk of open()) {
      if (passed + chunk.length > end) yield chunk.subarray(Math.max(0, end - passed))
      passed += chunk.length
    }
  }
  const digester = createDigester()
  let size = 0
  for await (const chunk of bytes()) {
    digester.update(chunk)
    size += chunk.length
  }
  const made: Descriptor = { mediaType: rpmMediaType, digest: digester.finish(), size }
  await store.push(made, bytes())
  return made
}
