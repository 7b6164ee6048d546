/** Small content as bytes and JSON, and pushing it. Layers stream; see `fetch` and `push` of a store. */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { parseJson } from '../oci/json.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import { bytesBody, gather, verified } from './body.ts'
import type { ContentReader, ContentStore } from './store.ts'

export { verified } from './body.ts'

/** All bytes, verified. More than `maxBytes` (4 MiB unless told) is refused before anything is read. */
export async function readBytes(
  from: ContentReader,
  target: Descriptor,
  maxBytes = maxManifestBytes,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (target.size > maxBytes) {
    throw new RfoError('RFO_CONTENT_SIZE', `${target.digest} has ${target.size} bytes; at most ${maxBytes} are read at once`, {
      exit: 'untrusted',
    })
  }
  return await gather(verified(target, from.fetch(target, signal)))
}

export async function readJson(
  from: ContentReader,
  target: Descriptor,
  maxBytes = maxManifestBytes,
  signal?: AbortSignal,
): Promise<unknown> {
  const bytes = await readBytes(from, target, maxBytes, signal)
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw new RfoError('RFO_CONTENT_JSON', `${target.digest} (${target.mediaType}) is not JSON in UTF-8`, { exit: 'untrusted', cause })
  }
}

/** Pushes bytes; `extra` adds platform, annotations or artifactType to the descriptor that is given back. */
export async function pushBytes(
  to: ContentStore,
  mediaType: string,
  bytes: Uint8Array | string,
  extra: Partial<Descriptor> = {},
): Promise<Descriptor> {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes
  const target: Descriptor = { ...extra, mediaType, digest: digestOf(content), size: content.length }
  await to.push(target, bytesBody(content))
  return target
}
