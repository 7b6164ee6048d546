#!/usr/bin/env node
/**
 * A client for the suite of sigstore-conformance, as thin as it gets: the checks are those of src/sign.
 * https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md ; `npm run evidence -- sigstore-conformance` runs it.
 * The root of Sigstore's public instance, which the suite takes for granted, is the file that RFO_SIGSTORE_ROOT names.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { p256 } from '@noble/curves/nist.js'
import { type Bundle, bundleFromJSON } from '@sigstore/bundle'
import { type SignedEntity, toSignedEntity, Verifier } from '@sigstore/verify'
import type { Digest } from '../../src/oci/digest.ts'
import { parseJson } from '../../src/oci/json.ts'
import { checkCertified, trustedIdentity } from '../../src/sign/identity.ts'
import { readTrustedRoot, type TrustRoot } from '../../src/sign/trusted-root.ts'
import { readStatement } from '../../src/sign/verify.ts'

/** Throws what is wrong with the bundle. `argv` is the suite's, the command included. */
export function verifyAsSuite(argv: readonly string[]): void {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      bundle: { type: 'string', default: '' },
      'certificate-identity': { type: 'string', default: '' },
      'certificate-oidc-issuer': { type: 'string', default: '' },
      key: { type: 'string' },
      'trusted-root': { type: 'string' },
      staging: { type: 'boolean' },
    },
  })
  const [command, file = ''] = positionals
  if (command !== 'verify-bundle' || values.staging === true) throw new Error('only verify-bundle, and not against staging')
  const text = readFileSync(values.bundle, 'utf8')
  const bundle = bundleFromJSON(parseJson(text))
  const root = readTrustedRoot(readFileSync(values['trusted-root'] ?? process.env.RFO_SIGSTORE_ROOT ?? '', 'utf8'))
  const entity = entityOf(bundle, file)
  if (values.key !== undefined) {
    checkKey(entity, createPublicKey(readFileSync(values.key)), root)
    return
  }
  const { 'certificate-identity': identity, 'certificate-oidc-issuer': issuer } = values
  // the suite has bundles of before there were time stamps
  checkCertified(bundle, entity, trustedIdentity(identity, issuer, root), { log: 1, stamps: 0, certificateLog: 1 })
}

/** A key whose bundles a log has seen: the product's own keys sign without one. */
function checkKey(entity: SignedEntity, publicKey: KeyObject, { material }: TrustRoot): void {
  new Verifier({ ...material, publicKey: () => ({ publicKey, validFor: () => true }) }).verify(entity)
}

/** What the bundle must be about, which the library does not compare. A digest alone can be verified too. */
function entityOf(bundle: Bundle, file: string): SignedEntity {
  const byDigest = /^sha256:[0-9a-f]{64}$/.test(file) && !existsSync(file)
  const artifact = byDigest ? undefined : readFileSync(file)
  const digest = artifact === undefined ? Buffer.from(file.slice('sha256:'.length), 'hex') : createHash('sha256').update(artifact).digest()
  const { content } = bundle
  const entity = toSignedEntity(bundle, artifact)
  if (content.$case === 'dsseEnvelope') {
    readStatement(content.dsseEnvelope.payload, { subject: { digest: `sha256:${digest.toString('hex')}` as Digest } })
    return entity
  }
  const { signature, messageDigest } = content.messageSignature
  if (!digest.equals(messageDigest.digest)) throw new Error('the bundle is about other bytes')
  if (artifact !== undefined) return entity
  const same = (wanted: Buffer) => (found: Buffer) => wanted.equals(found)
  return {
    ...entity,
    signature: {
      signature,
      compareSignature: same(signature),
      compareDigest: same(digest),
      compareSignedDigest: same(digest),
      verifySignature: (key) => holdsOverDigest(key, digest, signature),
    },
  }
}

/** Node hashes whatever it verifies: there a digest alone can't be verified. */
function holdsOverDigest(key: KeyObject, digest: Buffer, signature: Buffer): boolean {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('only signatures on P-256 can be verified over a digest')
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  return p256.verify(signature, digest, point, { prehash: false, lowS: false, format: 'der' })
}

if (process.argv[1] === import.meta.filename) {
  try {
    verifyAsSuite(process.argv.slice(2))
    process.stdout.write('verified\n')
  } catch (thrown) {
    const { code = '', message } = thrown as { code?: string; message: string }
    process.stderr.write(`${code} ${message}\n`)
    process.exitCode = 1
  }
}
