/**
 * Signing without a key that anybody keeps: a key that lives as long as this run, a certificate that says whose it is
 * (Fulcio), an entry in a log (Rekor) and a time stamp (RFC 3161), as the signing config names them. One certificate serves
 * many signatures for as long as it is valid, and is asked for when the first signature is wanted: who has them all needs no token.
 */
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import type { BundleWithDsseEnvelope } from '@sigstore/bundle'
import { HashAlgorithm } from '@sigstore/protobuf-specs'
import type { Signature, Signer, Witness } from '@sigstore/sign'
import { parseStatement } from '../attest/statement.ts'
import { RfoError } from '../error.ts'
import { digestOf, hex } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { canonicalSignature } from './ecdsa.ts'
import { type TrustedIdentity, verifyIdentityBundle } from './identity.ts'
import { type KeylessParts, keylessBundleText, type LogEntry, ownCheckpoint } from './keyless-bundle.ts'
import type { SigningServices } from './signing-config.ts'

export interface KeylessSigner {
  /** who it must turn out to be */
  readonly trusted: TrustedIdentity
  /** of identity, issuer, services and trusted root: whoever signs alike has the same */
  readonly fingerprint: string
  /** Gives the text of a bundle that has been verified. Throws RFO_SIGN_TOKEN, RFO_SIGN_SERVICE (exit outside), RFO_SIGN_*. */
  sign(statement: Uint8Array): Promise<string>
}

export interface KeylessOptions {
  readonly trusted: TrustedIdentity
  readonly services: SigningServices
  readonly token: () => Promise<string>
  /** milliseconds: a certificate that is about to end is not used */
  readonly now: () => number
}

/** milliseconds for one request; Rekor 2 answers when its tree has grown */
const patience = 30_000
const retries = 2
/** milliseconds that a certificate must still be valid for, so that log and stamp come in time */
const reserve = 60_000

export function keylessSigner({ trusted, services, token, now }: KeylessOptions): KeylessSigner {
  const { identity, issuer, root } = trusted
  let signer: Promise<Signer> | undefined
  return {
    trusted,
    fingerprint: digestOf(canonicalJson({ identity, issuer, root: root.digest, services: services.digest })),
    async sign(statement) {
      parseStatement(statement)
      const { DSSEBundleBuilder } = await import('@sigstore/sign')
      signer ??= certified(services.authority, token, now)
      const builder = new DSSEBundleBuilder({ signer: await signer, witnesses: await witnesses(services), certificateChain: false })
      const made = await builder.create({ data: Buffer.from(statement), type: mediaTypes.inToto }).catch(async (thrown) => {
        throw thrown instanceof RfoError ? thrown : failed(thrown)
      })
      const text = keylessBundleText(partsOf(made))
      verifyIdentityBundle(text, trusted)
      return text
    },
  }
}

/** A key of this run alone, certified when it is first used and again when the certificate ends. */
async function certified(authority: string, token: () => Promise<string>, now: () => number): Promise<Signer> {
  const { FulcioSigner } = await import('@sigstore/sign')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
  const signed = (data: Buffer): Buffer => {
    const signature = canonicalSignature(sign('sha256', data, privateKey))
    if (signature === undefined) throw new Error('the signature is not DER')
    return signature
  }
  let certificate: Promise<string> | undefined
  let until = 0
  const certify = async (): Promise<string> => {
    const identityToken = await token()
    const fulcio = new FulcioSigner({
      fulcioBaseURL: authority,
      identityProvider: { getToken: () => Promise.resolve(identityToken) },
      keyHolder: { sign: (data) => Promise.resolve({ signature: signed(data), key: { $case: 'publicKey', publicKey: pem } }) },
      timeout: patience,
      retry: retries,
    })
    const { key } = await fulcio.sign(Buffer.alloc(0)).catch((thrown) => {
      throw failed(thrown, identityToken)
    })
    const text = key.$case === 'x509Certificate' ? key.certificate : ''
    until = new X509Certificate(text).validToDate.getTime() - reserve
    return text
  }
  return {
    async sign(data): Promise<Signature> {
      if (certificate === undefined || now() > until) {
        until = Number.POSITIVE_INFINITY // others wait for this one
        certificate = certify()
        certificate.catch(() => {
          certificate = undefined
        })
      }
      return { key: { $case: 'x509Certificate', certificate: await certificate }, signature: signed(data) }
    },
  }
}

async function witnesses({ log, stamps }: SigningServices): Promise<Witness[]> {
  const { RekorWitness, TSAWitness } = await import('@sigstore/sign')
  const found: Witness[] = []
  if (log !== undefined) {
    const { url, version } = log
    const rekor = new RekorWitness({ rekorBaseURL: url, majorApiVersion: version, entryType: 'dsse', timeout: patience, retry: retries })
    found.push(version === 2 ? overEncoding(rekor) : rekor)
  }
  if (stamps !== undefined) found.push(readableStamps(new TSAWitness({ tsaBaseURL: stamps, timeout: patience, retry: retries })))
  return found
}

/**
 * Rekor 2 has one kind of entry, a signature over a digest; of an envelope it is the digest of what was signed, its encoding.
 * The library asks for an entry of a kind of its own, which cosign 3 does not know.
 * https://github.com/secure-systems-lab/dsse/blob/master/protocol.md (PAE)
 */
function overEncoding(rekor: Witness): Witness {
  return {
    async testify(content, publicKey) {
      if (content.$case !== 'dsseEnvelope') return await rekor.testify(content, publicKey)
      const { payload, payloadType, signatures } = content.dsseEnvelope
      const encoded = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload])
      const messageDigest = { algorithm: HashAlgorithm.SHA2_256, digest: Buffer.from(hex(digestOf(encoded)), 'hex') }
      const signature = signatures[0]?.sig ?? Buffer.alloc(0)
      return await rekor.testify({ $case: 'messageSignature', messageSignature: { messageDigest, signature } }, publicKey)
    },
  }
}

/**
 * Asks again for a stamp that can't be read. DER drops the zeros at the end of a fraction
 * (https://www.rfc-editor.org/rfc/rfc3161#section-2.4.2), and the library reads fractions of three digits alone: of an
 * authority that counts milliseconds, it can't read every tenth.
 */
function readableStamps(witness: Witness): Witness {
  return {
    async testify(signature, publicKey) {
      for (let left = 10; ; left -= 1) {
        const material = await witness.testify(signature, publicKey)
        if (left === 0 || (await isReadable(signature, material.rfc3161Timestamps ?? []))) return material
        await new Promise((resolve) => setTimeout(resolve, 7))
      }
    },
  }
}

async function isReadable(
  content: BundleWithDsseEnvelope['content'] | Parameters<Witness['testify']>[0],
  rfc3161Timestamps: { signedTimestamp: Buffer }[],
): Promise<boolean> {
  const { toSignedEntity } = await import('@sigstore/verify')
  const verificationMaterial = {
    content: { $case: 'publicKey' as const, publicKey: { hint: '' } },
    tlogEntries: [],
    timestampVerificationData: { rfc3161Timestamps },
  }
  try {
    const { timestamps } = toSignedEntity({ mediaType: mediaTypes.sigstoreBundle, content, verificationMaterial } as BundleWithDsseEnvelope)
    for (const each of timestamps) if (each.$case === 'timestamp-authority') each.timestamp.signingTime.getTime()
    return true
  } catch {
    return false
  }
}

function partsOf({ content, verificationMaterial: material }: BundleWithDsseEnvelope): KeylessParts {
  const signature = content.dsseEnvelope.signatures[0]?.sig
  if (material.content.$case !== 'certificate' || signature === undefined) throw failed(new Error('no signature by a certificate'))
  return {
    payload: content.dsseEnvelope.payload,
    signature,
    certificate: material.content.certificate.rawBytes,
    log: material.tlogEntries.map(logEntry),
    stamps: material.timestampVerificationData?.rfc3161Timestamps.map((each) => each.signedTimestamp) ?? [],
  }
}

function logEntry(entry: BundleWithDsseEnvelope['verificationMaterial']['tlogEntries'][number]): LogEntry {
  const { inclusionPromise: promise, inclusionProof: proof } = entry
  if (proof?.checkpoint === undefined) throw failed(new Error('the log gave no proof of inclusion'))
  return {
    logIndex: entry.logIndex,
    logId: { keyId: entry.logId.keyId.toString('base64') },
    kindVersion: { kind: entry.kindVersion.kind, version: entry.kindVersion.version },
    integratedTime: promise === undefined ? '0' : entry.integratedTime,
    ...(promise === undefined ? {} : { inclusionPromise: { signedEntryTimestamp: promise.signedEntryTimestamp.toString('base64') } }),
    inclusionProof: {
      logIndex: proof.logIndex,
      rootHash: proof.rootHash.toString('base64'),
      treeSize: proof.treeSize,
      hashes: proof.hashes.map((hash) => hash.toString('base64')),
      checkpoint: { envelope: ownCheckpoint(proof.checkpoint.envelope, entry.logId.keyId) },
    },
    canonicalizedBody: entry.canonicalizedBody.toString('base64'),
  }
}

/** A service may quote what it was sent; its words are told without the token, and its error is not passed on. */
function failed(thrown: unknown, token?: string): RfoError {
  const { message, cause } = thrown as { message?: string; cause?: { message?: string } }
  const said = [message, cause?.message].filter((text) => text !== undefined && text !== '').join(': ')
  const safe = (token === undefined ? said : said.replaceAll(token, '***')).replace(/eyJ[\w-]{8,}(\.[\w-]+)*/g, '***')
  return new RfoError('RFO_SIGN_SERVICE', `no keyless signature: ${safe.slice(0, 300).replace(/[^\x20-\x7e]/g, '?')}`, {
    exit: 'outside',
    next: 'look at the services of the signing config; a rerun keeps the signatures that are there',
  })
}
