/**
 * Bodies: byte streams as stores give and take them. A body of ours can be read again from its beginning, which is what
 * lets an upload be retried, and knows whether somebody has already checked it, so that no byte is hashed twice on its way.
 */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester } from '../oci/digest.ts'

export type Body = AsyncIterable<Uint8Array>

const restartable = new WeakSet<Body>()
const checked = new WeakMap<Body, string>()
const continued = new WeakMap<Body, (from: number) => Body>()

/** A body that calls `make` each time it is read. */
export function bodyOf(make: () => AsyncGenerator<Uint8Array, void, void>): Body {
  const body: Body = { [Symbol.asyncIterator]: make }
  restartable.add(body)
  return body
}

/** A body that can begin at any of its bytes. */
export function bodyFrom(make: (from: number) => AsyncGenerator<Uint8Array, void, void>): Body {
  const body = bodyOf(() => make(0))
  continued.set(body, (from) => bodyOf(() => make(from)))
  return body
}

/** The bytes of `body` from that one on, unchecked; undefined where it can begin at its beginning alone. */
export function startingAt(body: Body, from: number): Body | undefined {
  return continued.get(body)?.(from)
}

export function bytesBody(bytes: Uint8Array): Body {
  return bodyOf(async function* () {
    if (bytes.length > 0) yield bytes
  })
}

/** Whether reading it a second time gives all bytes again. */
export function canRestart(body: Body): boolean {
  return restartable.has(body)
}

/** `body` seen through `pass`, which must give exactly the bytes that it is given. */
export function passing(body: Body, pass: (body: Body) => AsyncGenerator<Uint8Array, void, void>): Body {
  const through: Body = { [Symbol.asyncIterator]: () => pass(body) }
  if (restartable.has(body)) restartable.add(through)
  const known = checked.get(body)
  if (known !== undefined) checked.set(through, known)
  const begin = continued.get(body)
  if (begin !== undefined) continued.set(through, (from) => passing(begin(from), pass))
  return through
}

/**
 * The same bytes, checked while they pass: throws RFO_CONTENT_DIGEST as soon as more than `size` bytes come, at the end
 * when there are fewer, and before the last bytes are handed on when the digest differs.
 */
export function verified(target: Descriptor, body: Body): Body {
  const mark = `${target.digest} ${target.size}`
  if (checked.get(body) === mark) return body
  const result = passing(body, async function* (source) {
    const digester = createDigester()
    let received = 0
    if (target.size === 0) check(target, digester.finish())
    for await (const bytes of source) {
      if (bytes.length === 0) continue
      received += bytes.length
      if (received > target.size) throw mismatch(target, `more than ${target.size} bytes`)
      digester.update(bytes)
      if (received === target.size) check(target, digester.finish())
      yield bytes
    }
    if (received < target.size) throw mismatch(target, `${received} bytes instead of ${target.size}`)
  })
  checked.set(result, mark)
  // a part has no digest of its own
  const begin = continued.get(body)
  if (begin !== undefined) continued.set(result, begin)
  return result
}

function check(target: Descriptor, digest: string): void {
  if (digest !== target.digest) throw mismatch(target, `the bytes are ${digest}`)
}

export function mismatch(target: Descriptor, why: string): RfoError {
  return new RfoError('RFO_CONTENT_DIGEST', `not the content of ${target.digest}: ${why}`, { exit: 'untrusted' })
}

export function absent(target: Descriptor, exit: 'untrusted' | 'outside' = 'untrusted'): RfoError {
  return new RfoError('RFO_CONTENT_ABSENT', `no content ${target.digest} (${target.mediaType}, ${target.size} bytes)`, { exit })
}

/** All bytes of a body in memory. The caller has bounded it. */
export async function gather(body: Body): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const bytes of body) chunks.push(bytes)
  return Buffer.concat(chunks)
}
