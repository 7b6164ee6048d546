/** What an attacker does to signatures and to what carries them: each attempt is refused, with the code that says why. */
import { beforeAll, describe, expect, test } from 'vitest'
import { predicateTypes, type Statement, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { attest, signImage } from '../../src/sign/attach.ts'
import { verifyAttached } from '../../src/sign/attached.ts'
import { bundleText, envelopeText, signStatement } from '../../src/sign/bundle.ts'
import { bundleReferrer, simpleSigningPayload } from '../../src/sign/carriers.ts'
import { findAttached } from '../../src/sign/find.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { verifyTrustMetadata } from '../../src/sign/trust-metadata.ts'
import { verifyBundle, verifyEnvelope, verifySimpleSigning } from '../../src/sign/verify.ts'
import { tinyImage } from './images.ts'

const key = readSigningKey(generateKey().privatePem)
const other = readSigningKey(generateKey().privatePem)
const keys = [key.publicKey]
const epoch = 1_668_000_000
const digest = digestOf('image')
const said: Statement = statement([subjectOf(digest)], predicateTypes.cyclonedx, { bomFormat: 'CycloneDX' })
let bundle: string

beforeAll(async () => {
  bundle = await signStatement(statementBytes(said), key)
})

/** The same key signs bytes that we would never make. */
async function parts(payload: string): Promise<{ payload: Buffer; signature: Buffer; hint: string }> {
  const bytes = Buffer.from(payload)
  const pre = Buffer.concat([Buffer.from(`DSSEv1 ${mediaTypes.inToto.length} ${mediaTypes.inToto} ${bytes.length} `), bytes])
  return { payload: bytes, signature: (await key.sign(pre)).signature, hint: key.publicKey.hint }
}
const twice = (text: string): string => text.replace('"_type"', '"_type":"https://in-toto.io/Statement/v1","_type"')

describe('a bundle or an envelope', () => {
  test.each<[string, string, () => unknown]>([
    ['by a key outside the set', 'RFO_SIGN_UNKNOWN', () => verifyBundle(bundle, { keys: [other.publicKey] })],
    ['about another image', 'RFO_SIGN_SUBJECT', () => verifyBundle(bundle, { keys, subject: { digest: digestOf('other') } })],
    ['an attestation as a signature', 'RFO_SIGN_PREDICATE', () => verifyBundle(bundle, { keys, predicateType: predicateTypes.cosignSign })],
    [
      'another predicate than wanted',
      'RFO_SIGN_PREDICATE',
      () => verifyBundle(bundle, { keys, predicateType: predicateTypes.slsaProvenance }),
    ],
    [
      'two payloads: an envelope and a message',
      'RFO_SIGN_FORM',
      () =>
        verifyBundle(bundle.replace('{"dsseEnvelope"', '{"messageSignature":{"signature":"AA=="},"dsseEnvelope"'), {
          keys,
          spelling: 'any',
        }),
    ],
    [
      'two payloads by one name',
      'RFO_OCI_JSON',
      () => verifyBundle(bundle.replace('"payload":"', '"payload":"AAAA","payload":"'), { keys, spelling: 'any' }),
    ],
    [
      'a name twice, spelt in two ways',
      'RFO_OCI_JSON',
      () => verifyBundle(bundle.replace('"payloadType"', '"payload\\u0054ype":"x","payloadType"'), { keys, spelling: 'any' }),
    ],
    ['100 MB', 'RFO_SIGN_FORM', () => verifyBundle(bundle.replace('"payload":"', `"payload":"${'A'.repeat(100 << 20)}`), { keys })],
    ['nested without end', 'RFO_OCI_JSON', () => verifyBundle(`${'['.repeat(1e5)}${']'.repeat(1e5)}`, { keys })],
    ['base64 with spare bits', 'RFO_SIGN_BYTES', () => verifyBundle(spared(bundle), { keys, spelling: 'any' })],
    ['white space where none is ours', 'RFO_SIGN_BYTES', () => verifyBundle(bundle.replace(',', ', '), { keys })],
  ])('%s: %s', (_, code, attack) => {
    expect(attack).toThrow(expect.objectContaining({ code, exit: 'untrusted' }))
  })

  test('a statement that two tools read in two ways is refused, even signed', async () => {
    const made = await parts(twice(statementBytes(said).toString()))
    expect(() => verifyBundle(bundleText(made), { keys })).toThrow(expect.objectContaining({ code: 'RFO_OCI_JSON' }))
    expect(() => verifyEnvelope(envelopeText(made), { keys })).toThrow(expect.objectContaining({ code: 'RFO_OCI_JSON' }))
  })

  test('so is a payload of cosign 2 that names two digests', async () => {
    const payload = simpleSigningPayload('docker.io/rfolabs/x', digest)
    const both = Buffer.from(
      payload.replace('"docker-manifest-digest":', `"docker-manifest-digest":"${digestOf('other')}","docker-manifest-digest":`),
    )
    const signature = (await key.sign(both)).signature.toString('base64')
    expect(() => verifySimpleSigning(both, signature, digest, keys)).toThrow(expect.objectContaining({ code: 'RFO_OCI_JSON' }))
  })

  test('trust metadata that names two thresholds is refused', () => {
    const text = '{"signatures":[],"signed":{"_type":"root","version":1,"version":2}}'
    expect(() => verifyTrustMetadata(text, key.publicKey)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_TRUST', exit: 'untrusted' }))
  })
})

/** The last character before the padding holds bits that decode to nothing. */
function spared(text: string): string {
  return text.replace(/"payload":"([^"]*?)([A-Za-z0-9+/])(=*)"/, (_, before: string, last: string, padding: string) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    return padding === '' ? `"payload":"${before}${last}="` : `"payload":"${before}${alphabet[alphabet.indexOf(last) + 1]}${padding}"`
  })
}

describe('what is attached to an image', () => {
  const image = async (): Promise<{ store: ContentStore; subject: Descriptor; another: Descriptor }> => {
    const store = memoryStore()
    const [subject, another] = [(await tinyImage(store, 'x')).index, (await tinyImage(store, 'y')).index]
    for (const each of [subject, another]) {
      await signImage(each, 'docker.io/rfolabs/x:v1', key, store, epoch)
      await attest(each, [statement([subjectOf(each.digest)], predicateTypes.slsaProvenance, { a: 1 })], key, store, epoch)
    }
    return { store, subject, another }
  }
  const refused = async (store: ContentStore, subject: Descriptor, code: string): Promise<void> => {
    await expect((async () => verifyAttached(subject, await findAttached(subject, store), { keys, epoch }))()).rejects.toMatchObject({
      code,
      exit: 'untrusted',
    })
  }

  test('another image’s signature, listed as this one’s', async () => {
    const { store, subject, another } = await image()
    await refused({ ...store, referrers: (_, type) => store.referrers(another, type) }, subject, 'RFO_SIGN_SUBJECT')
  })

  test('another image’s .sig under this one’s tag', async () => {
    const { store, subject, another } = await image()
    const theirs = await store.resolve(`${another.digest.replace(':', '-')}.sig`)
    await store.tag(theirs as Descriptor, `${subject.digest.replace(':', '-')}.sig`)
    await refused(store, subject, 'RFO_SIGN_SUBJECT')
  })

  test('another image’s bundle in a manifest that names this one', async () => {
    const { store, subject, another } = await image()
    const about = statementBytes(statement([subjectOf(another.digest)], predicateTypes.cyclonedx, {}))
    const carrier = bundleReferrer(subject, await signStatement(about, key), predicateTypes.cyclonedx, epoch)
    for (const blob of carrier.blobs) await pushBytes(store, blob.descriptor.mediaType, blob.bytes)
    await pushBytes(store, mediaTypes.manifest, carrier.text, { artifactType: mediaTypes.sigstoreBundle })
    await refused(store, subject, 'RFO_SIGN_SUBJECT')
  })

  test('a bundle of 100 MB is not fetched', async () => {
    const { store, subject } = await image()
    const [config] = [await pushBytes(store, mediaTypes.empty, '{}')]
    const layer = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf('huge'), size: 100 << 20 }
    const plain = { mediaType: subject.mediaType, digest: subject.digest, size: subject.size }
    const value = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: mediaTypes.sigstoreBundle,
      config,
      layers: [layer],
      subject: plain,
    }
    const text = canonicalJson(value as unknown as Json)
    const listed = await pushBytes(store, mediaTypes.manifest, text, { artifactType: mediaTypes.sigstoreBundle })
    await refused({ ...store, referrers: async () => [listed] }, subject, 'RFO_SIGN_BOUND')
  })
})

describe('a manifest or an index that two readers see differently', () => {
  const d = (name: string) => `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${digestOf(name)}","size":1}`
  test.each<[string, string, () => unknown]>([
    [
      'layers twice',
      'RFO_OCI_JSON',
      () => parseManifest(Buffer.from(`{"schemaVersion":2,"config":${d('c')},"layers":[],"layers":[${d('l')}]}`)),
    ],
    ['manifests twice', 'RFO_OCI_JSON', () => parseIndex(Buffer.from(`{"schemaVersion":2,"manifests":[],"manifests":[${d('m')}]}`))],
    [
      'a digest twice',
      'RFO_OCI_JSON',
      () => parseIndex(Buffer.from(`{"schemaVersion":2,"manifests":[${d('m').replace('"size"', `"digest":"${digestOf('n')}","size"`)}]}`)),
    ],
    ['both at once', 'RFO_OCI_MANIFEST', () => parseIndex(Buffer.from(`{"schemaVersion":2,"manifests":[],"layers":[]}`))],
  ])('%s: %s', (_, code, attack) => {
    expect(attack).toThrow(expect.objectContaining({ code, exit: 'untrusted' }))
  })
})
