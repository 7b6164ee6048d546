/**
 * Sigstore's services on loopback, in plain HTTP: an OIDC issuer that signs its tokens, Fulcio and the time stamp authority
 * of @sigstore/mock (certificates with SCTs, RFC 3161 responses), and a Rekor with a tree of its own, by both interfaces.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { canonicalJson, type Json } from '../../src/oci/json.ts'

// its types name packages that it does not bring
const mock = createRequire(import.meta.url)('@sigstore/mock') as {
  initializeCTLog(pair: Pair, clock?: Date): Promise<{ log(certificate: ArrayBuffer, issuer: ArrayBuffer): Promise<ArrayBuffer> }>
  initializeCA(pair: Pair, log?: unknown, clock?: Date): Promise<{ rootCertificate: Uint8Array }>
  initializeTSA(pair: Pair): Promise<{ rootCertificate: Uint8Array; intCertificate: Uint8Array; getCurrentTime: () => Date }>
  fulcioHandler(authority: unknown, options: { subjectClaim: string }): Handler
  tsaHandler(authority: unknown): Handler
}
interface Handler {
  fn(body: string): Promise<{ statusCode: number; response: string | Uint8Array; contentType?: string }>
}
interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export interface Sigstore {
  readonly url: string
  /** TrustedRoot in JSON */
  readonly root: Root
  /** SigningConfig v0.2 in JSON, of a Rekor with that interface; `stamps`: with the time stamp authority */
  config(log?: 1 | 2, stamps?: boolean): string
  /** a signed token of the issuer */
  token(email?: string, claims?: Record<string, unknown>): string
  /** the token service of a job: URL and what to show there */
  readonly tokenUrl: string
  readonly bearer: string
  readonly issuer: string
  /** the requests so far: method and path */
  readonly asked: string[]
  close(): Promise<void>
}
export interface Root {
  [key: string]: unknown
  tlogs: RootLog[]
  ctlogs: RootLog[]
  timestampAuthorities: { validFor: { start?: string; end?: string } }[]
}
interface RootLog {
  publicKey: { validFor: { start?: string; end?: string } }
}

export const builder = 'builder@rfo.test'

export interface SigstoreOptions {
  /** when certificates are made, when the log and the time stamp authority say that it is */
  readonly certifies?: Date
  readonly logs?: () => Date
  readonly stamps?: () => Date
}

export async function startSigstore(options: SigstoreOptions = {}): Promise<Sigstore> {
  const [oidc, ct, ca, log, tsa] = [pair(), pair(), pair(), pair(), pair()] as const
  const ctLog = await mock.initializeCTLog(ct)
  const authority = await mock.initializeCA(ca, ctLog, options.certifies)
  // whole seconds: src/sign/keyless.ts says why
  const stamper = await mock.initializeTSA(tsa)
  stamper.getCurrentTime = options.stamps ?? (() => new Date(Math.floor(Date.now() / 1000) * 1000))
  const fulcio = mock.fulcioHandler(authority, { subjectClaim: 'email' })
  const stamps = mock.tsaHandler(stamper)
  const asked: string[] = []
  let rekor: Rekor
  const bearer = 'the-job-shows-this'
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? ''
    asked.push(`${request.method} ${path}`)
    answer(request, path).then(
      ({ status = 200, body, type = 'application/json', etag }) => {
        response.writeHead(status, { 'content-type': type, ...(etag === undefined ? {} : { etag, location: `${path}/${etag}` }) })
        response.end(body)
      },
      (thrown: Error) =>
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ code: 3, message: thrown.message })),
    )
  })
  const answer = async (
    request: IncomingMessage,
    path: string,
  ): Promise<{ status?: number; body: string | Uint8Array; type?: string; etag?: string }> => {
    const body = await bodyOf(request)
    if (path === '/token') {
      if (request.headers.authorization !== `Bearer ${bearer}`) return { status: 401, body: '{}' }
      return { body: JSON.stringify({ value: token() }) }
    }
    if (path === '/api/v2/signingCert') {
      const made = await fulcio.fn(certificateRequest(body, request, oidc.publicKey))
      if (made.statusCode !== 201) throw new Error(String(made.response))
      return { body: made.response } // Fulcio says 200
    }
    if (path === '/api/v1/log/entries') {
      const { uuid, entry } = rekor.first(JSON.parse(body))
      return { status: 201, body: JSON.stringify({ [uuid]: entry }), etag: uuid }
    }
    if (path === '/api/v2/log/entries') return { status: 201, body: JSON.stringify(rekor.second(JSON.parse(body))) }
    if (path === '/api/v1/timestamp') {
      const made = await stamps.fn(body)
      return { status: made.statusCode, body: made.response, type: 'application/timestamp-reply' }
    }
    return { status: 404, body: '{"code":404,"message":"no such thing"}' }
  }
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  rekor = new Rekor(new URL(url).host, log, options.logs ?? (() => new Date()))
  const issuer = 'https://oidc.rfo.test'
  const token = (email = builder, claims: Record<string, unknown> = {}): string => {
    const now = Math.floor(Date.now() / 1000)
    const said = { iss: issuer, aud: 'sigstore', sub: email, email, email_verified: true, iat: now, exp: now + 600, ...claims }
    const text = [{ alg: 'ES256', typ: 'JWT' }, said].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${text}.${sign('sha256', Buffer.from(text), { key: oidc.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const start = new Date(Date.now() - 24 * 3_600_000).toISOString()
  const validFor = (): { start: string } => ({ start })
  const logOf = (key: KeyObject) => ({
    baseUrl: url,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: spki(key).toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor: validFor() },
    logId: { keyId: sha256(spki(key)).toString('base64') },
  })
  const authorityOf = (...certificates: Uint8Array[]) => ({
    subject: { organization: 'rfo.test', commonName: 'rfo.test' },
    uri: url,
    certChain: { certificates: certificates.map((each) => ({ rawBytes: Buffer.from(each).toString('base64') })) },
    validFor: validFor(),
  })
  return {
    url,
    root: {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [logOf(log.publicKey)],
      ctlogs: [logOf(ct.publicKey)],
      certificateAuthorities: [authorityOf(authority.rootCertificate)],
      timestampAuthorities: [authorityOf(stamper.intCertificate, stamper.rootCertificate)],
    },
    config(version = 1, stamped = true) {
      const service = (majorApiVersion: number, at = url) => ({ url: at, majorApiVersion, validFor: validFor(), operator: 'rfo.test' })
      return JSON.stringify({
        mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
        caUrls: [service(1)],
        oidcUrls: [],
        rekorTlogUrls: [service(version)],
        rekorTlogConfig: { selector: 'ANY' },
        tsaUrls: stamped ? [service(1, `${url}/api/v1/timestamp`)] : [],
        tsaConfig: { selector: 'ANY' },
      })
    },
    token,
    tokenUrl: `${url}/token?api-version=2`,
    bearer,
    issuer,
    asked,
    close: () => new Promise((done) => server.close(() => done())),
  }
}

/** Fulcio's request as the mock reads it: cosign sends a CSR in base64 and the token in a header. A token of nobody's is refused. */
function certificateRequest(body: string, request: IncomingMessage, issuer: KeyObject): string {
  const asked = JSON.parse(body)
  const token: string = asked.credentials?.oidcIdentityToken ?? (request.headers.authorization ?? '').replace(/^Bearer /i, '')
  const [head, claims, signature = ''] = token.split('.')
  if (!verify('sha256', Buffer.from(`${head}.${claims}`), { key: issuer, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
    throw new Error(`there was an error processing the identity token ${token}`)
  const csr: string | undefined = asked.certificateSigningRequest
  return JSON.stringify({
    ...asked,
    credentials: { oidcIdentityToken: token },
    ...(csr === undefined || csr.startsWith('-----') ? {} : { certificateSigningRequest: Buffer.from(csr, 'base64').toString() }),
  })
}

/** A log with a real tree: https://www.rfc-editor.org/rfc/rfc6962#section-2.1 */
class Rekor {
  readonly #leaves: Buffer[] = ['a', 'b', 'c'].map((other) => leafHash(Buffer.from(other)))
  readonly #host: string
  readonly #pair: Pair
  readonly #now: () => Date

  constructor(host: string, keys: Pair, now: () => Date) {
    this.#host = host
    this.#pair = keys
    this.#now = now
  }

  /** https://github.com/sigstore/rekor/blob/main/openapi.yaml */
  first(proposed: { kind: string; apiVersion: string; spec: Json & { proposedContent?: { envelope: string; verifiers: string[] } } }) {
    const { proposedContent: content } = proposed.spec
    const kept = content === undefined ? proposed : { ...proposed, spec: dsseSpec(content) }
    const body = Buffer.from(canonicalJson(kept as Json))
    const { index, hashes, root, size, logId } = this.#append(body)
    const integratedTime = Math.floor(this.#now().getTime() / 1000)
    const promised = { body: body.toString('base64'), integratedTime, logID: logId.toString('hex'), logIndex: index }
    const signedEntryTimestamp = sign('sha256', Buffer.from(canonicalJson(promised)), this.#pair.privateKey).toString('base64')
    const proof = { logIndex: index, treeSize: size, rootHash: root.toString('hex'), hashes: hashes.map((each) => each.toString('hex')) }
    const verification = {
      inclusionProof: { ...proof, checkpoint: this.#checkpoint(size, root, this.#host, ' - 42') },
      signedEntryTimestamp,
    }
    return { uuid: leafHash(body).toString('hex'), entry: { ...promised, verification } }
  }

  /** https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2 */
  second({ hashedRekordRequestV002: record }: { hashedRekordRequestV002?: { digest: Json; signature: Json } }) {
    if (record === undefined) throw new Error('this log has entries of one kind')
    const kind = 'hashedrekord'
    const spec = { hashedRekordV002: { data: { algorithm: 'SHA2_256', digest: record.digest }, signature: record.signature } }
    const body = Buffer.from(canonicalJson({ apiVersion: '0.0.2', kind, spec }))
    const { index, hashes, root, size, logId } = this.#append(body)
    return {
      logIndex: String(index),
      logId: { keyId: logId.toString('base64') },
      kindVersion: { kind, version: '0.0.2' },
      inclusionProof: {
        logIndex: String(index),
        rootHash: root.toString('base64'),
        treeSize: String(size),
        hashes: hashes.map((each) => each.toString('base64')),
        checkpoint: { envelope: this.#checkpoint(size, root, this.#host.replace(/:.*/, '')) },
      },
      canonicalizedBody: body.toString('base64'),
    }
  }

  #append(body: Buffer) {
    this.#leaves.push(leafHash(body))
    const index = this.#leaves.length - 1
    return {
      index,
      size: this.#leaves.length,
      root: treeHash(this.#leaves),
      hashes: path(index, this.#leaves),
      logId: sha256(spki(this.#pair.publicKey)),
    }
  }

  #checkpoint(size: number, root: Buffer, name: string, tree = ''): string {
    const note = `${name}${tree}\n${size}\n${root.toString('base64')}\n`
    const signature = sign('sha256', Buffer.from(note), this.#pair.privateKey)
    const id = sha256(spki(this.#pair.publicKey)).subarray(0, 4)
    return `${note}\n\u2014 ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`
  }
}

function dsseSpec({ envelope, verifiers }: { envelope: string; verifiers: string[] }): Json {
  const { payload, signatures } = JSON.parse(envelope) as { payload: string; signatures: { sig: string }[] }
  const hash = (bytes: Buffer): Json => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') })
  return {
    envelopeHash: hash(Buffer.from(envelope)),
    payloadHash: hash(Buffer.from(payload, 'base64')),
    signatures: signatures.map(({ sig }, at) => ({ signature: sig, verifier: verifiers[at] ?? '' })),
  }
}

function leafHash(body: Buffer): Buffer {
  return sha256(Buffer.concat([Buffer.from([0]), body]))
}
function treeHash(leaves: readonly Buffer[]): Buffer {
  if (leaves.length <= 1) return leaves[0] ?? sha256(Buffer.alloc(0))
  const half = split(leaves.length)
  return sha256(Buffer.concat([Buffer.from([1]), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half))]))
}
function path(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 1) return []
  const half = split(leaves.length)
  return index < half
    ? [...path(index, leaves.slice(0, half)), treeHash(leaves.slice(half))]
    : [...path(index - half, leaves.slice(half)), treeHash(leaves.slice(0, half))]
}
/** the largest power of two below */
function split(count: number): number {
  return 2 ** Math.ceil(Math.log2(count) - 1)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
function pair(): Pair {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
}
function spki(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' })
}
function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
