/** What the registry on loopback answers, and how an answer goes wrong on its way. */
import type http from 'node:http'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseDescriptor } from '../oci/manifest.ts'
import { isIndexType, isManifestType } from '../oci/mediatype.ts'

/** How a request goes wrong. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The connection is cut, with nothing answered. */
  | { readonly kind: 'reset' }
  /** The connection is cut after this many bytes of the body. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** The first byte of the body is another. */
  | { readonly kind: 'corrupt' }
  /** Answered so many milliseconds later. */
  | { readonly kind: 'late'; readonly milliseconds: number }

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | number>>
  /** For blobs that lie elsewhere, their bytes as they come. */
  readonly body?: Buffer | string | AsyncIterable<Uint8Array>
}

/** Sends a body, cut or changed where a fault asks for it. */
export async function deliver(
  body: Buffer | string | AsyncIterable<Uint8Array>,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  let left = fault?.kind === 'cut' ? fault.bytes : Number.POSITIVE_INFINITY
  let corrupt = fault?.kind === 'corrupt'
  for await (const piece of typeof body === 'string' || Buffer.isBuffer(body) ? [Buffer.from(body)] : body) {
    const bytes = corrupt ? Buffer.from(piece) : piece.subarray(0, left)
    if (corrupt) bytes[0] = (bytes[0] ?? 0) ^ 1
    corrupt = false
    left -= bytes.length
    if (!response.write(bytes)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
    if (left > 0) continue
    // what has been written must leave before the connection is cut
    await new Promise((resolve) => setTimeout(resolve, 20))
    request.socket.destroy()
    return
  }
  response.end()
}

export function isNode(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType)
}

interface Members {
  readonly artifactType?: string
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
  readonly manifests?: readonly Descriptor[]
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

export function parse(bytes: Buffer): Members | undefined {
  try {
    const members: Members = JSON.parse(bytes.toString('utf8'))
    for (const each of [members.config, members.subject]) if (each !== undefined) parseDescriptor(each)
    for (const each of [...(members.layers ?? []), ...(members.manifests ?? [])]) parseDescriptor(each)
    return members
  } catch {
    return undefined
  }
}

export async function readAll(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function* dropFirst(body: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, void> {
  let left = count
  for await (const bytes of body) {
    if (left < bytes.length) yield left === 0 ? bytes : bytes.subarray(left)
    left = Math.max(0, left - bytes.length)
  }
}

export function manifestAnswer(mediaType: string, digest: Digest, size: number, body: Buffer | AsyncIterable<Uint8Array>): Answer {
  return { status: 200, headers: { 'content-type': mediaType, 'docker-content-digest': digest, 'content-length': size }, body }
}

export function created(location: string, digest: Digest): Answer {
  return { status: 201, headers: { location, 'docker-content-digest': digest } }
}

export function problem(status: number, code: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }),
  }
}
