import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { predicateTypes, type Statement, statement, subjectOf } from '../../src/attest/statement.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import { RfoError } from '../../src/error.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { attest, signImage } from '../../src/sign/attach.ts'
import { verifyAttached } from '../../src/sign/attached.ts'
import { bundleReferrer, legacyAttestationManifest, legacySignatureManifest } from '../../src/sign/carriers.ts'
import { type Found, findAttached } from '../../src/sign/find.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { tinyImage } from './images.ts'

const key = readSigningKey(generateKey().privatePem)
const other = readSigningKey(generateKey().privatePem)
const epoch = 1_668_000_000
const reference = 'docker.io/rfolabs/x:v1'
const options = { keys: [key.publicKey], epoch }
let store: ContentStore
let subject: Descriptor
let statements: Statement[]

beforeAll(async () => {
  await signImage((await tinyImage(memoryStore(), 'warm')).index, reference, key, memoryStore(), epoch)
})
beforeEach(async () => {
  store = memoryStore()
  subject = (await tinyImage(store, 'x')).index
  statements = [
    statement([subjectOf(subject.digest)], predicateTypes.slsaProvenance, { a: 1 }),
    statement([subjectOf(subject.digest)], predicateTypes.cyclonedx, { b: 2 }),
  ]
})

describe('what is attached', () => {
  test('is found and verified, and is the same after a second run', async () => {
    const signed = await signImage(subject, reference, key, store, epoch)
    const attested = await attest(subject, statements, key, store, epoch)
    const found = await findAttached(subject, store)
    expect(found.referrers.map(({ descriptor }) => descriptor.digest)).toEqual(
      [...signed.referrers, ...attested.referrers].map(({ digest }) => digest).sort(),
    )
    const verified = verifyAttached(subject, found, options)
    expect(verified.statements.map((one) => one.statement.predicateType).sort()).toEqual(
      [predicateTypes.cosignSign, predicateTypes.cyclonedx, predicateTypes.slsaProvenance].sort(),
    )
    expect(verified.signature?.reference).toBe('docker.io/rfolabs/x')
    expect(verified.attestation).toBe(true)
    expect(await signImage(subject, reference, key, store, epoch)).toEqual(signed)
    expect(await attest(subject, [...statements].reverse(), key, store, epoch)).toEqual({
      ...attested,
      referrers: [...attested.referrers].reverse(),
    })
    expect(await findAttached(subject, store)).toEqual(found)
  })

  test('by another key is not kept', async () => {
    const signed = await signImage(subject, reference, other, store, epoch)
    const again = await signImage(subject, reference, key, store, epoch)
    expect(again.referrers[0]?.digest).not.toBe(signed.referrers[0]?.digest)
    const found = await findAttached(subject, store)
    expect(() => verifyAttached(subject, found, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_UNKNOWN' }))
    expect(verifyAttached(subject, found, { keys: [key.publicKey, other.publicKey], epoch }).statements).toHaveLength(2)
  })

  test('by strangers, readable or not, does not hinder the signer', async () => {
    const config = await pushBytes(store, mediaTypes.empty, '{}')
    const { mediaType, digest, size } = subject
    const named = { schemaVersion: 2, subject: { mediaType, digest, size }, artifactType: mediaTypes.sigstoreBundle }
    await pushBytes(store, mediaTypes.index, canonicalJson({ ...named, mediaType: mediaTypes.index, manifests: [] }))
    await pushBytes(
      store,
      mediaTypes.manifest,
      canonicalJson({ ...named, mediaType: mediaTypes.manifest, config, layers: [] } as unknown as Json),
    )
    await expect(findAttached(subject, store)).rejects.toMatchObject({ exit: 'untrusted' })
    const signed = await signImage(subject, reference, key, store, epoch)
    expect(await signImage(subject, reference, key, store, epoch)).toEqual(signed)
  })

  test('has the members that cosign wants', async () => {
    await signImage(subject, reference, key, store, epoch)
    const found = await findAttached(subject, store)
    expect(JSON.parse(found.referrers[0]?.bytes.toString() ?? '')).toMatchObject({
      schemaVersion: 2,
      artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', size: 2 },
      subject: { digest: subject.digest, mediaType: subject.mediaType, size: subject.size },
      annotations: {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
        'org.opencontainers.image.created': '2022-11-09T13:20:00Z',
      },
    })
  })

  test('a statement about something else is not attached', async () => {
    const wrong = statement([subjectOf(digestOf('y'))], predicateTypes.cyclonedx, {})
    await expect(attest(subject, [wrong], key, store, epoch)).rejects.toMatchObject({ code: 'RFO_SIGN_SUBJECT' })
    expect((await findAttached(subject, store)).referrers).toEqual([])
  })

  test('nothing attached is nothing found', async () => {
    expect(verifyAttached(subject, await findAttached(subject, store), options)).toEqual({
      statements: [],
      keyless: [],
      signature: undefined,
      attestation: false,
    })
  })
})

describe('refused', () => {
  const text = (found: Found): string => found.referrers[0]?.layers[0]?.bytes.toString() ?? ''

  test('a carrier with another time, another predicate type, or white space', async () => {
    await signImage(subject, reference, key, store, epoch)
    const bundle = text(await findAttached(subject, store))
    const good = bundleReferrer(subject, bundle, predicateTypes.cosignSign, epoch)
    const wrong = [
      bundleReferrer(subject, bundle, predicateTypes.cosignSign, epoch + 1).text,
      bundleReferrer(subject, bundle, predicateTypes.cyclonedx, epoch).text,
      `${good.text}\n`,
      JSON.stringify(JSON.parse(good.text), null, 1),
    ]
    for (const manifest of wrong) {
      const place = memoryStore()
      for (const blob of good.blobs) await pushBytes(place, blob.descriptor.mediaType, blob.bytes)
      await pushBytes(place, mediaTypes.manifest, manifest)
      const found = await findAttached(subject, place)
      expect(() => verifyAttached(subject, found, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_BYTES', exit: 'untrusted' }))
    }
  })

  test('an attachment that is no signature', async () => {
    const layer = await pushBytes(store, 'application/octet-stream', 'x')
    const config = await pushBytes(store, mediaTypes.empty, '{}')
    const { mediaType, digest, size } = subject
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: 'text/plain',
      config,
      layers: [layer],
      subject: { mediaType, digest, size },
    }
    await pushBytes(store, mediaTypes.manifest, canonicalJson(manifest as unknown as Json))
    const found = await findAttached(subject, store)
    expect(() => verifyAttached(subject, found, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_EXTRA' }))
  })

  test('a list of referrers that lies', async () => {
    const stranger = (await tinyImage(store, 'y')).index
    await signImage(stranger, reference, key, store, epoch)
    const lying: ContentStore = { ...store, referrers: () => store.referrers(stranger) }
    await expect(findAttached(subject, lying)).rejects.toMatchObject({ code: 'RFO_SIGN_SUBJECT', exit: 'untrusted' })
    // and a bundle about another image under a manifest of this one
    const bundle = text(await findAttached(stranger, store))
    const carrier = bundleReferrer(subject, bundle, predicateTypes.cosignSign, epoch)
    for (const blob of carrier.blobs) await pushBytes(store, blob.descriptor.mediaType, blob.bytes)
    await pushBytes(store, mediaTypes.manifest, carrier.text)
    const found = await findAttached(subject, store)
    expect(() => verifyAttached(subject, found, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_SUBJECT' }))
  })

  test('an `.att` that lacks a statement, a `.sig` of another image or with two layers', async () => {
    await signImage(subject, reference, key, store, epoch)
    await attest(subject, statements, key, store, epoch)
    const good = await findAttached(subject, store)
    const verified = verifyAttached(subject, good, options).statements.filter(
      (one) => one.statement.predicateType !== predicateTypes.cosignSign,
    )
    const [first] = verified.map((one) => ({ payload: one.payload, signature: one.signature, predicateType: one.statement.predicateType }))
    const tagged = async (carrier: ReturnType<typeof legacySignatureManifest>, suffix: string): Promise<Found> => {
      for (const blob of carrier.blobs) await pushBytes(store, blob.descriptor.mediaType, blob.bytes)
      await store.tag(await pushBytes(store, mediaTypes.manifest, carrier.text), `${subject.digest.replace(':', '-')}${suffix}`)
      return findAttached(subject, store)
    }
    const short = await tagged(legacyAttestationManifest(first === undefined ? [] : [first]), '.att')
    expect(() => verifyAttached(subject, short, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_BYTES' }))
    await attest(subject, statements, key, store, epoch)
    const payload = good.signature?.layers[0]?.bytes.toString().replace(subject.digest, digestOf('y')) ?? ''
    const signature = (await key.sign(Buffer.from(payload))).signature.toString('base64')
    const strange = await tagged(legacySignatureManifest(payload, signature), '.sig')
    expect(() => verifyAttached(subject, strange, options)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_SUBJECT' }))
  })

  test('more than signatures need', async () => {
    const huge: ContentStore = {
      ...store,
      referrers: async () => [{ mediaType: mediaTypes.manifest, digest: digestOf('x'), size: 1 << 30 }],
    }
    await expect(findAttached(subject, huge)).rejects.toMatchObject({ code: 'RFO_SIGN_BOUND', exit: 'untrusted' })
    const many: ContentStore = {
      ...store,
      referrers: async () =>
        Array.from({ length: 1001 }, (_, i) => ({ mediaType: mediaTypes.manifest, digest: digestOf(`${i}`), size: 1 })),
    }
    await expect(findAttached(subject, many)).rejects.toThrow(RfoError)
  })
})
