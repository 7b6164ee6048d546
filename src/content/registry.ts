/** A repository of an OCI registry as a store: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { isTag } from '../oci/reference.ts'
import type { Addresses } from '../plan/addresses.ts'
import { absent, bodyOf, gather, verified } from './body.ts'
import type { CredentialSource } from './credentials.ts'
import { endpointOf } from './endpoint.ts'
import { drain, type Retry, readResponse, retrying } from './exchange.ts'
import { isGraphNode, parseNode } from './referrer.ts'
import { streamBlob } from './registry-fetch.ts'
import { attach, listReferrers } from './registry-referrers.ts'
import { upload } from './registry-upload.ts'
import { type Ask, type Caller, call, createRegistrySession, describeAsk, type RegistrySession } from './session.ts'
import type { ContentStore } from './store.ts'

export type { CredentialSource } from './credentials.ts'
export { createRegistrySession, type RegistrySession } from './session.ts'

export interface RegistryOptions {
  readonly addresses: Addresses
  readonly credentials?: CredentialSource
  readonly signal?: AbortSignal
  readonly retry?: Retry
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY; none unless given. */
  readonly proxy?: Readonly<Record<string, string | undefined>>
  /** Shared between repositories: connections, tokens, and blobs mounted instead of sent. Its own credentials and proxy hold then. */
  readonly session?: RegistrySession
}

const accept = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerManifestList, mediaTypes.dockerManifest].join(', ')

export function openRegistry(target: { readonly registry: string; readonly repository: string }, options: RegistryOptions): ContentStore {
  const at = endpointOf(target, options.addresses)
  const session =
    options.session ??
    createRegistrySession({
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
      ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    })
  const site = session.site(at)
  const caller: Caller = { at, site, agents: session.agents, retry: options.retry ?? {}, signal: options.signal }
  const pull = [`repository:${at.repository}:pull`]
  const push = [`repository:${at.repository}:pull,push`]
  /** Asked a moment ago and not there: `push` need not ask again. */
  const missing = new Set<Digest>()

  const url = (path: string): URL => new URL(`/v2/${at.repository}/${path}`, at.base)
  const again = <T>(ask: Ask, use: (response: Awaited<ReturnType<typeof call>>) => Promise<T>): Promise<T> =>
    retrying(caller.retry, describeAsk(ask), caller.signal, async () => await use(await call(caller, ask)))

  const manifestUrl = (reference: string): URL => url(`manifests/${reference}`)
  const seen = (digest: Digest): void => {
    const places = site.places.get(digest) ?? new Set()
    site.places.set(digest, places.add(at.repository))
  }

  const getManifest = async (
    reference: string,
    type: string,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; mediaType: string } | undefined> =>
    await again(
      { method: 'GET', url: manifestUrl(reference), headers: { accept: type }, scopes: pull, allow: [404], signal },
      async (response) => {
        if (response.statusCode === 404) {
          drain(response)
          return undefined
        }
        const bytes = await readResponse(response, maxManifestBytes)
        return { bytes, mediaType: contentType(response.headers['content-type']) }
      },
    )

  const putManifest = async (reference: string, mediaType: string, bytes: Uint8Array): Promise<{ readonly subject: boolean }> =>
    await again(
      {
        method: 'PUT',
        url: manifestUrl(reference),
        headers: { 'content-type': mediaType, 'content-length': String(bytes.length) },
        body: bytes,
        scopes: push,
      },
      async (response) => {
        drain(response)
        // https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
        return { subject: response.headers['oci-subject'] !== undefined }
      },
    )

  const exists = async (wanted: Descriptor, scopes: readonly string[]): Promise<boolean> => {
    const node = isGraphNode(wanted.mediaType)
    const ask: Ask = {
      method: 'HEAD',
      url: node ? manifestUrl(wanted.digest) : url(`blobs/${wanted.digest}`),
      ...(node ? { headers: { accept: wanted.mediaType } } : {}),
      scopes,
      allow: [404],
    }
    return await again(ask, async (response) => {
      drain(response)
      if (response.statusCode === 404) return false
      const length = response.headers['content-length']
      if (length !== undefined && Number(length) !== wanted.size) return false
      if (!node) seen(wanted.digest)
      return true
    })
  }

  /** The last few, since what is pushed is often tagged next. */
  const pushed = new Map<Digest, { readonly bytes: Uint8Array }>()
  const remember = (digest: Digest, bytes: Uint8Array): void => {
    pushed.set(digest, { bytes })
    if (pushed.size > 8) pushed.delete(pushed.keys().next().value as Digest)
  }

  const referrerPlace = { caller, url, pull, getManifest: (tag: string) => getManifest(tag, mediaTypes.index), putManifest }

  const store: ContentStore = {
    fetch(wanted, signal) {
      const stop = signal ?? caller.signal
      if (!isGraphNode(wanted.mediaType)) return streamBlob(caller, wanted, url(`blobs/${wanted.digest}`), pull, stop)
      return verified(
        wanted,
        bodyOf(async function* () {
          const found = await getManifest(wanted.digest, wanted.mediaType, stop)
          if (found === undefined) throw absent(wanted, 'outside').at(`${at.login}/${at.repository}`)
          yield found.bytes
        }),
      )
    },
    async exists(wanted) {
      const there = await exists(wanted, pull)
      if (!there) missing.add(wanted.digest)
      return there
    },
    async resolve(reference) {
      if (!isDigest(reference)) checkTag(reference)
      return await again(
        { method: 'HEAD', url: manifestUrl(reference), headers: { accept }, scopes: pull, allow: [404] },
        async (response) => {
          drain(response)
          if (response.statusCode === 404) return undefined
          const mediaType = contentType(response.headers['content-type'])
          const digest = response.headers['docker-content-digest']
          const size = Number(response.headers['content-length'] ?? Number.NaN)
          if (isGraphNode(mediaType) && typeof digest === 'string' && isDigest(digest) && Number.isSafeInteger(size)) {
            return { mediaType, digest, size }
          }
          // a registry that says less on HEAD: the bytes say it all
          const found = await getManifest(reference, accept)
          return found && { mediaType: found.mediaType, digest: digestOf(found.bytes), size: found.bytes.length }
        },
      )
    },
    async referrers(subject, artifactType) {
      return await listReferrers(referrerPlace, subject, artifactType)
    },
    async push(expected, body) {
      const known = missing.delete(expected.digest)
      if (!isGraphNode(expected.mediaType)) {
        if (!known && (await exists(expected, push))) return
        return await upload(caller, expected, body, seen)
      }
      const bytes = await gather(verified(expected, body))
      const { subject, listed } = parseNode(expected, bytes)
      if (known || !(await exists(expected, push))) {
        const put = await putManifest(expected.digest, expected.mediaType, bytes)
        if (put.subject) site.listsReferrers = true
        remember(expected.digest, bytes)
      }
      if (subject !== undefined && site.listsReferrers !== true) await attach(referrerPlace, subject, listed)
    },
    async tag(wanted, reference) {
      checkTag(reference)
      if (!isGraphNode(wanted.mediaType)) {
        throw new RfoError('RFO_CONTENT_TAG', `a registry tags manifests, not ${wanted.mediaType}`, { exit: 'usage', where: reference })
      }
      if ((await store.resolve(reference))?.digest === wanted.digest) return
      const found = pushed.get(wanted.digest) ?? (await getManifest(wanted.digest, wanted.mediaType))
      if (found === undefined || digestOf(found.bytes) !== wanted.digest) throw absent(wanted, 'outside').at(`${at.login}/${at.repository}`)
      await putManifest(reference, wanted.mediaType, found.bytes)
    },
  }
  return store
}

/** A path segment comes of it: nothing but a tag may. */
function checkTag(reference: string): void {
  if (!isTag(reference)) {
    throw new RfoError('RFO_CONTENT_TAG', `not a tag: ${JSON.stringify(reference.slice(0, 200))}`, { exit: 'usage' })
  }
}

function contentType(header: string | undefined): string {
  return (header ?? '').split(';')[0]?.trim() ?? ''
}
