/**
 * An OCI registry on loopback, within the process: manifests, blobs, uploads with mounting, referrers, ranges, and logins.
 * What it holds lies in memory, over a reader that it may be given. Faults can be asked for per request.
 */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import {
  type Answer,
  created,
  deliver,
  dropFirst,
  type Fault,
  isNode,
  manifestAnswer,
  parse,
  problem,
  readAll,
} from './registry-answers.ts'
import { createGate, type RegistryLogin } from './registry-login.ts'

export type { Fault } from './registry-answers.ts'

export interface RegistryRequest {
  readonly method: string
  /** path with query */
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
}

export interface RegistryOptions {
  /** Read when memory has nothing: blobs and manifests by digest in every repository, tags as `repository:tag`. */
  readonly over?: { readonly from: ContentReader; readonly tags: Readonly<Record<string, Descriptor>> }
  readonly faults?: (request: RegistryRequest) => Fault | undefined
  readonly login?: RegistryLogin
  /** The referrers API; default true. Without it clients fall back on tags. */
  readonly referrers?: boolean
  /** Default true. */
  readonly ranges?: boolean
  /** Default true. */
  readonly mount?: boolean
  /** Default true. */
  readonly writable?: boolean
}

export interface RunningRegistry {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** `127.0.0.1:<port>` */
  readonly host: string
  /** All requests so far, in order. */
  readonly requests: readonly RegistryRequest[]
  close(): Promise<void>
}

interface Repository {
  readonly blobs: Set<Digest>
  readonly manifests: Map<Digest, { readonly mediaType: string; readonly bytes: Buffer }>
  readonly tags: Map<string, Digest>
}

export async function startRegistry(options: RegistryOptions = {}): Promise<RunningRegistry> {
  const requests: RegistryRequest[] = []
  const blobs = new Map<Digest, Buffer>()
  const repositories = new Map<string, Repository>()
  const uploads = new Map<string, Buffer[]>()
  let url = ''
  let lastUpload = 0

  const repository = (name: string): Repository => {
    const known = repositories.get(name)
    if (known !== undefined) return known
    const made: Repository = { blobs: new Set(), manifests: new Map(), tags: new Map() }
    repositories.set(name, made)
    return made
  }

  const answer = async (request: http.IncomingMessage, path: URL): Promise<Answer> => {
    const method = request.method ?? 'GET'
    if (path.pathname === '/v2/' || path.pathname === '/v2') return { status: 200, body: '{}' }
    const route = /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests|referrers|tags)\/([^/]*)$/.exec(path.pathname)
    const [, name, kind, last] = route ?? []
    if (name === undefined || last === undefined) return problem(404, 'NAME_UNKNOWN')
    const writes = method !== 'GET' && method !== 'HEAD'
    if (writes && options.writable === false) return problem(405, 'UNSUPPORTED')
    switch (kind) {
      case 'blobs/uploads':
        return await answerUpload(request, name, last, path)
      case 'blobs':
        return await answerBlob(request, name, last)
      case 'manifests':
        return method === 'PUT' ? await putManifest(request, name, last) : await answerManifest(name, last)
      case 'referrers':
        return answerReferrers(name, last, path.searchParams.get('artifactType'))
      default:
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ name, tags: [...repository(name).tags.keys()].sort() }),
        }
    }
  }

  const answerUpload = async (request: http.IncomingMessage, name: string, id: string, path: URL): Promise<Answer> => {
    const given = path.searchParams.get('digest')
    if (request.method === 'POST') {
      const [mount, from] = [path.searchParams.get('mount'), path.searchParams.get('from')]
      if (options.mount !== false && mount !== null && from !== null && isDigest(mount) && repository(from).blobs.has(mount)) {
        repository(name).blobs.add(mount)
        return created(`/v2/${name}/blobs/${mount}`, mount)
      }
      const opened = String(++lastUpload)
      uploads.set(opened, [])
      if (given === null) return { status: 202, headers: { location: `/v2/${name}/blobs/uploads/${opened}`, range: '0-0' } }
      return await finish(request, name, opened, given)
    }
    const chunks = uploads.get(id)
    if (chunks === undefined) return problem(404, 'BLOB_UPLOAD_UNKNOWN')
    if (request.method === 'PUT') return await finish(request, name, id, given ?? '')
    if (request.method !== 'PATCH') return problem(405, 'UNSUPPORTED')
    chunks.push(await readAll(request))
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    return { status: 202, headers: { location: `/v2/${name}/blobs/uploads/${id}`, range: `0-${Math.max(0, size - 1)}` } }
  }

  const finish = async (request: http.IncomingMessage, name: string, id: string, digest: string): Promise<Answer> => {
    const bytes = Buffer.concat([...(uploads.get(id) ?? []), await readAll(request)])
    uploads.delete(id)
    if (!isDigest(digest) || digestOf(bytes) !== digest) return problem(400, 'DIGEST_INVALID')
    blobs.set(digest, bytes)
    repository(name).blobs.add(digest)
    return created(`/v2/${name}/blobs/${digest}`, digest)
  }

  const answerBlob = async (request: http.IncomingMessage, name: string, digest: string): Promise<Answer> => {
    if (!isDigest(digest)) return problem(400, 'DIGEST_INVALID')
    const held = repository(name).blobs.has(digest) ? blobs.get(digest) : undefined
    const lying = held === undefined ? await options.over?.from.resolve(digest) : undefined
    const size = held?.length ?? lying?.size
    if (size === undefined) return problem(404, 'BLOB_UNKNOWN')
    const headers = { 'content-type': mediaTypes.octets, 'docker-content-digest': digest }
    const start = options.ranges === false ? undefined : /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
    const from = Number(start ?? 0)
    if (start !== undefined && from >= size) return { status: 416, headers: { 'content-range': `bytes */${size}` } }
    const range = start === undefined ? {} : { 'content-range': `bytes ${from}-${size - 1}/${size}` }
    const body = held?.subarray(from) ?? dropFirst((options.over as { from: ContentReader }).from.fetch(lying as Descriptor), from)
    return { status: start === undefined ? 200 : 206, headers: { ...headers, ...range, 'content-length': size - from }, body }
  }

  const answerManifest = async (name: string, reference: string): Promise<Answer> => {
    const at = repository(name)
    const digest = isDigest(reference) ? reference : (at.tags.get(reference) ?? options.over?.tags[`${name}:${reference}`]?.digest)
    if (digest === undefined) return problem(404, 'MANIFEST_UNKNOWN')
    const held = at.manifests.get(digest)
    if (held !== undefined) return manifestAnswer(held.mediaType, digest, held.bytes.length, held.bytes)
    const lying = await options.over?.from.resolve(digest)
    if (lying === undefined || !isNode(lying.mediaType)) return problem(404, 'MANIFEST_UNKNOWN')
    return manifestAnswer(lying.mediaType, digest, lying.size, (options.over as { from: ContentReader }).from.fetch(lying))
  }

  const putManifest = async (request: http.IncomingMessage, name: string, reference: string): Promise<Answer> => {
    const bytes = await readAll(request)
    const digest = digestOf(bytes)
    if (isDigest(reference) && reference !== digest) return problem(400, 'DIGEST_INVALID')
    const mediaType = request.headers['content-type'] ?? ''
    if (!isNode(mediaType)) return problem(400, 'MANIFEST_INVALID')
    const members = parse(bytes)
    if (members === undefined) return problem(400, 'MANIFEST_INVALID')
    const at = repository(name)
    for (const child of [members.config, ...(members.layers ?? [])]) {
      if (child !== undefined && !at.blobs.has(child.digest) && !(await options.over?.from.exists(child)))
        return problem(404, 'MANIFEST_BLOB_UNKNOWN')
    }
    for (const child of members.manifests ?? []) {
      if (!at.manifests.has(child.digest) && !(await options.over?.from.exists(child))) return problem(404, 'MANIFEST_BLOB_UNKNOWN')
    }
    at.manifests.set(digest, { mediaType, bytes })
    if (!isDigest(reference)) at.tags.set(reference, digest)
    const made = created(`/v2/${name}/manifests/${reference}`, digest)
    if (members.subject === undefined || options.referrers === false) return made
    return { ...made, headers: { ...made.headers, 'oci-subject': members.subject.digest } }
  }

  const answerReferrers = (name: string, subject: string, artifactType: string | null): Answer => {
    if (options.referrers === false) return problem(404, 'UNSUPPORTED')
    if (!isDigest(subject)) return problem(400, 'DIGEST_INVALID')
    const manifests: object[] = []
    for (const [digest, { mediaType, bytes }] of repository(name).manifests) {
      const members = parse(bytes)
      if (members?.subject?.digest !== subject) continue
      const type = members.artifactType ?? members.config?.mediaType
      if (artifactType !== null && type !== artifactType) continue
      manifests.push({ mediaType, digest, size: bytes.length, artifactType: type, annotations: members.annotations })
    }
    return {
      status: 200,
      headers: { 'content-type': mediaTypes.index, ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }) },
      body: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }),
    }
  }

  const gate = createGate(options.login, () => url)
  const server = http.createServer((request, response) => {
    const { method = 'GET', url: path = '/', headers } = request
    const told = { method, path, headers }
    requests.push(told)
    const fault = options.faults?.(told)
    respond(request, response, fault).catch(() => response.destroy())
  })

  const respond = async (request: http.IncomingMessage, response: http.ServerResponse, fault: Fault | undefined): Promise<void> => {
    if (fault?.kind === 'reset') {
      request.socket.destroy()
      return
    }
    if (fault?.kind === 'late') await new Promise((resolve) => setTimeout(resolve, fault.milliseconds))
    if (fault?.kind === 'status') {
      request.resume()
      response.writeHead(fault.status, { ...fault.headers }).end()
      return
    }
    const path = new URL(request.url ?? '/', url)
    const made = gate(request, path) ?? (await answer(request, path))
    request.resume()
    const { body = '' } = made
    const length = typeof body === 'string' || Buffer.isBuffer(body) ? { 'content-length': Buffer.byteLength(body) } : {}
    response.writeHead(made.status, { ...length, ...made.headers })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    await deliver(body, request, response, fault)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  url = `http://${host}`
  return {
    url,
    host,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
