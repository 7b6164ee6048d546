/** Keyless signatures against Sigstore's services on loopback: made, kept, verified without a network, and every cheat refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { predicateTypes, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { signImage, signKeyless } from '../../src/sign/attach.ts'
import { verifyAttached } from '../../src/sign/attached.ts'
import { signStatement } from '../../src/sign/bundle.ts'
import { findAttached } from '../../src/sign/find.ts'
import { type IdentityOptions, trustedIdentity, verifyIdentityBundle, verifySigned } from '../../src/sign/identity.ts'
import { identityToken } from '../../src/sign/identity-token.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { type KeylessSigner, keylessSigner } from '../../src/sign/keyless.ts'
import { readKeylessBundle } from '../../src/sign/keyless-bundle.ts'
import { readSigningConfig } from '../../src/sign/signing-config.ts'
import { readTrustedRoot, type TrustRoot } from '../../src/sign/trusted-root.ts'
import { tinyImage } from './images.ts'
import { builder, type Root, type Sigstore, type SigstoreOptions, startSigstore } from './sigstore-services.ts'

const subject = { digest: digestOf('an image') }
const said = statementBytes(statement([subjectOf(subject.digest)], predicateTypes.cosignSign, {}))
const running: Sigstore[] = []
let services: Sigstore
let bundle: string
let root: TrustRoot

async function start(options?: SigstoreOptions): Promise<Sigstore> {
  const made = await startSigstore(options)
  running.push(made)
  return made
}
function signerAt(at: Sigstore, token = at.token(), config = at.config(), who = builder): KeylessSigner {
  return keylessSigner({
    trusted: trustedIdentity(who, at.issuer, readTrustedRoot(JSON.stringify(at.root))),
    services: readSigningConfig(config, Date.now()),
    token: () => Promise.resolve(token),
    now: Date.now,
  })
}
const trusted = (who = builder, issuer = services.issuer, by = root) => trustedIdentity(who, issuer, by)
const check = (text: string, options?: IdentityOptions, by = trusted()) => verifyIdentityBundle(text, by, options)
const withRoot = (change: (root: Root) => void): TrustRoot => {
  const copy = structuredClone(services.root)
  change(copy)
  return readTrustedRoot(JSON.stringify(copy))
}

interface Editable {
  verificationMaterial: {
    certificate: { rawBytes: string }
    tlogEntries: {
      logIndex: string
      integratedTime: string
      canonicalizedBody: string
      inclusionPromise?: { signedEntryTimestamp: string }
      inclusionProof: { hashes: string[]; rootHash: string; treeSize: string; logIndex: string; checkpoint: { envelope: string } }
    }[]
    timestampVerificationData?: { rfc3161Timestamps: { signedTimestamp: string }[] }
  }
  dsseEnvelope: { payload: string; signatures: { sig: string }[] }
}
function edited(change: (bundle: Editable) => void, text = bundle): string {
  const parsed = JSON.parse(text) as Editable
  change(parsed)
  return canonicalJson(parsed as unknown as Json)
}
/** One bit of base64 bytes changed. */
function bent(text: string, at = 10): string {
  const bytes = Buffer.from(text, 'base64')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes.toString('base64')
}
const entryOf = (edit: Editable) => edit.verificationMaterial.tlogEntries[0] as Editable['verificationMaterial']['tlogEntries'][number]
const refusedWith = (code: string, act: () => unknown) => expect(act).toThrow(expect.objectContaining({ code, exit: 'untrusted' }))

beforeAll(async () => {
  services = await start()
  root = readTrustedRoot(JSON.stringify(services.root))
  bundle = await signerAt(services).sign(said)
})
afterAll(async () => {
  for (const each of running) await each.close()
})

describe('a signature', () => {
  test('holds without a network, by identity, issuer and root', () => {
    const found = check(bundle, { subject, predicateType: predicateTypes.cosignSign })
    expect(found.payload.equals(said)).toBe(true)
    expect(found.signer.identity).toBe(builder)
    const parts = readKeylessBundle(bundle)
    expect(parts.stamps).toHaveLength(1)
    expect(parts.log[0]?.inclusionProof.hashes.length).toBeGreaterThan(0)
    expect(verifySigned(bundle, [{ kind: 'identity', ...trusted() }], { subject }).payload.equals(said)).toBe(true)
  })

  test('by Rekor 2, whose entries have no time of their own, needs the time stamp', async () => {
    const text = await signerAt(services, services.token(), services.config(2)).sign(said)
    expect(check(text, { subject }).payload.equals(said)).toBe(true)
    expect(entryOf(JSON.parse(text)).integratedTime).toBeUndefined()
    const none = { log: 1, stamps: 0, certificateLog: 1 }
    refusedWith('RFO_SIGN_TIME', () =>
      check(
        edited((each) => delete each.verificationMaterial.timestampVerificationData, text),
        { thresholds: none },
      ),
    )
    refusedWith('RFO_SIGN_LOG', () => check(edited((each) => (entryOf(each).integratedTime = '1700000000'), text)))
  })

  test('is stamped again when the library can’t read the fraction of the first stamp’s second', async () => {
    const milliseconds = [120, 500]
    const fractions = await start({ stamps: () => new Date(Math.floor(Date.now() / 1000) * 1000 + (milliseconds.shift() ?? 0)) })
    expect(readKeylessBundle(await signerAt(fractions).sign(said)).stamps).toHaveLength(1)
    expect(fractions.asked.filter((each) => each.endsWith('/timestamp')).length).toBeGreaterThan(1)
  })

  test('many take one certificate and one token', async () => {
    const before = services.asked.length
    let tokens = 0
    const signer = keylessSigner({
      trusted: trusted(),
      services: readSigningConfig(services.config(), Date.now()),
      token: () => Promise.resolve(services.token()).finally(() => (tokens += 1)),
      now: Date.now,
    })
    await Promise.all(
      ['a', 'b', 'c'].map((each) => signer.sign(statementBytes(statement([subjectOf(digestOf(each))], predicateTypes.cosignSign, {})))),
    )
    expect(tokens).toBe(1)
    expect(services.asked.slice(before).filter((each) => each.includes('signingCert'))).toHaveLength(1)
  })

  test('of an image lies beside the one by the key, and a rerun keeps it and asks nobody', async () => {
    const store = memoryStore()
    const { index } = await tinyImage(store, 'keyless')
    const key = readSigningKey(generateKey().privatePem)
    await signImage(index, 'registry.rfo.test/x', key, store, 1_668_000_000)
    const first = await signKeyless(index, signerAt(services), store, 1_668_000_000)
    const asked = services.asked.length
    const again = await signKeyless(index, signerAt(services), store, 1_668_000_000)
    expect(again).toEqual(first)
    expect(services.asked).toHaveLength(asked)
    const found = await findAttached(index, store)
    const options = { keys: [key.publicKey], epoch: 1_668_000_000 }
    const attached = verifyAttached(index, found, { ...options, identity: trusted() })
    expect([attached.statements.length, attached.keyless.length]).toEqual([1, 1])
    refusedWith('RFO_SIGN_IDENTITY', () => verifyAttached(index, found, { ...options, identity: trusted('another@rfo.test') }))
    refusedWith('RFO_SIGN_FORM', () => verifyAttached(index, found, options))
  })
})

describe('refused', () => {
  test('another identity, another issuer', () => {
    refusedWith('RFO_SIGN_IDENTITY', () => check(bundle, {}, trusted('another@rfo.test')))
    refusedWith('RFO_SIGN_IDENTITY', () => check(bundle, {}, trusted(builder.slice(0, -1))))
    refusedWith('RFO_SIGN_ISSUER', () => check(bundle, {}, trusted(builder, 'https://oidc.rfo.test/another')))
  })

  test.each(['builder@rfo', '^builder@rfo\\.test$', 'builder@.*', '^.*$', 'builder@rfo.test ', 'https://github.com/*', ''])(
    '%j as an identity',
    (pattern) => {
      const wanted = pattern === 'builder@rfo' ? () => check(bundle, {}, trusted(pattern)) : () => trusted(pattern)
      expect(wanted).toThrow(expect.objectContaining({ code: pattern === 'builder@rfo' ? 'RFO_SIGN_IDENTITY' : 'RFO_SIGN_PATTERN' }))
    },
  )

  test('a certificate of another authority', async () => {
    const other = await start()
    refusedWith('RFO_SIGN_TIME', () =>
      check(bundle, {}, trustedIdentity(builder, services.issuer, readTrustedRoot(JSON.stringify(other.root)))),
    )
    const foreign = withRoot((each) => (each.certificateAuthorities = other.root.certificateAuthorities))
    refusedWith('RFO_SIGN_CERTIFICATE', () => check(bundle, {}, trusted(builder, services.issuer, foreign)))
  })

  test('a certificate that had ended when this was signed', async () => {
    const late = await start({ certifies: new Date(Date.now() - 3_600_000) })
    await expect(signerAt(late).sign(said)).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_EXPIRED', exit: 'untrusted' }))
  })

  test('a time stamp outside the certificate’s time, and one outside the authority’s own', async () => {
    const stamped = await start({ stamps: () => new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000) })
    await expect(signerAt(stamped).sign(said)).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_EXPIRED' }))
    const ended = withRoot((each) => {
      for (const authority of each.timestampAuthorities) authority.validFor.end = new Date(Date.now() - 3_600_000).toISOString()
    })
    refusedWith('RFO_SIGN_TIME', () => check(bundle, {}, trusted(builder, services.issuer, ended)))
  })

  test('a log’s time outside the certificate’s', async () => {
    const late = await start({ logs: () => new Date(Date.now() + 3_600_000) })
    await expect(signerAt(late).sign(said)).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_EXPIRED' }))
  })

  test('a stripped log entry, a stripped time stamp, a stripped promise', () => {
    refusedWith('RFO_SIGN_LOG', () => check(edited((each) => (each.verificationMaterial.tlogEntries = []))))
    refusedWith('RFO_SIGN_TIME', () => check(edited((each) => delete each.verificationMaterial.timestampVerificationData)))
    refusedWith('RFO_SIGN_LOG', () => check(edited((each) => delete entryOf(each).inclusionPromise)))
  })

  test.each<[string, (bundle: Editable) => void]>([
    [
      'promise',
      (each) =>
        (entryOf(each).inclusionPromise = { signedEntryTimestamp: bent(entryOf(each).inclusionPromise?.signedEntryTimestamp ?? '') }),
    ],
    ['time of entry', (each) => (entryOf(each).integratedTime = String(Number(entryOf(each).integratedTime) + 1))],
    ['number of entry', (each) => (entryOf(each).logIndex = '7')],
    ['hash of the proof', (each) => (entryOf(each).inclusionProof.hashes[0] = bent(entryOf(each).inclusionProof.hashes[0] ?? ''))],
    ['place in the proof', (each) => (entryOf(each).inclusionProof.logIndex = '1')],
    ['size of the tree', (each) => (entryOf(each).inclusionProof.treeSize = '4711')],
    ['hash of the tree', (each) => (entryOf(each).inclusionProof.rootHash = bent(entryOf(each).inclusionProof.rootHash))],
    [
      'checkpoint',
      (each) =>
        (entryOf(each).inclusionProof.checkpoint.envelope = entryOf(each).inclusionProof.checkpoint.envelope.replace(' - 42', ' - 43')),
    ],
    ['body', (each) => (entryOf(each).canonicalizedBody = bent(entryOf(each).canonicalizedBody))],
  ])('a changed %s', (_, change) => {
    refusedWith('RFO_SIGN_LOG', () => check(edited(change)))
  })

  test('another payload, another signature, a stamp over another signature', async () => {
    const other = await signerAt(services).sign(
      statementBytes(statement([subjectOf(digestOf('another image'))], predicateTypes.cosignSign, {})),
    )
    const theirs = JSON.parse(other) as Editable
    refusedWith('RFO_SIGN_TIME', () => check(edited((each) => (each.dsseEnvelope = theirs.dsseEnvelope))))
    refusedWith('RFO_SIGN_LOG', () => check(edited((each) => (each.dsseEnvelope.payload = theirs.dsseEnvelope.payload))))
    refusedWith('RFO_SIGN_TIME', () =>
      check(
        edited((each) => {
          each.verificationMaterial.timestampVerificationData = theirs.verificationMaterial.timestampVerificationData as never
        }),
      ),
    )
  })

  test('another image’s signature, an attestation as a signature', async () => {
    refusedWith('RFO_SIGN_SUBJECT', () => check(bundle, { subject: { digest: digestOf('another image') } }))
    const attested = await signerAt(services).sign(
      statementBytes(statement([subjectOf(subject.digest)], predicateTypes.cyclonedx, { bomFormat: 'CycloneDX' })),
    )
    refusedWith('RFO_SIGN_PREDICATE', () => check(attested, { subject, predicateType: predicateTypes.cosignSign }))
  })

  test('a key where an identity is trusted, an identity where a key is', async () => {
    const key = readSigningKey(generateKey().privatePem)
    const bundleByKey = await signStatement(said, key)
    refusedWith('RFO_SIGN_UNKNOWN', () =>
      verifySigned(bundleByKey, [{ kind: 'key', key: readSigningKey(generateKey().privatePem).publicKey }]),
    )
    expect(() => verifySigned(bundleByKey, [{ kind: 'identity', ...trusted() }])).toThrow(
      expect.objectContaining({ code: 'RFO_SIGN_NOKEY' }),
    )
    refusedWith('RFO_SIGN_IDENTITY', () => verifySigned(bundle, [{ kind: 'key', key: key.publicKey }]))
    expect(
      verifySigned(bundleByKey, [
        { kind: 'identity', ...trusted() },
        { kind: 'key', key: key.publicKey },
      ]).payload.equals(said),
    ).toBe(true)
  })

  test('another spelling, a key twice, more than one signature', () => {
    refusedWith('RFO_SIGN_BYTES', () => check(JSON.stringify(JSON.parse(bundle), null, 1)))
    expect(check(JSON.stringify(JSON.parse(bundle), null, 1), { spelling: 'any' }).payload.equals(said)).toBe(true)
    refusedWith('RFO_OCI_JSON', () => check(bundle.replace('{"dsseEnvelope":', '{"mediaType":"x","dsseEnvelope":'), { spelling: 'any' }))
    refusedWith('RFO_SIGN_FORM', () =>
      check(
        edited((each) => each.dsseEnvelope.signatures.push({ sig: 'AAAA' })),
        { spelling: 'any' },
      ),
    )
    refusedWith('RFO_SIGN_BYTES', () =>
      check(
        edited((each) => {
          const { checkpoint } = entryOf(each).inclusionProof
          checkpoint.envelope += '\u2014 a.witness AAAAAAAA\n'
        }),
      ),
    )
  })

  test('a changed byte, wherever it is but in the frame that an authority puts around its time stamp', () => {
    const stamp =
      (JSON.parse(bundle) as Editable).verificationMaterial.timestampVerificationData?.rfc3161Timestamps[0]?.signedTimestamp ?? ''
    const [from, to] = [bundle.indexOf(stamp), bundle.indexOf(stamp) + stamp.length]
    const bytes = Buffer.from(bundle)
    const accepted: number[] = []
    // each run has other bytes, since signatures differ: a few places are enough
    for (let at = 0; at < bytes.length; at += 67) {
      if (at >= from && at < to) continue
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      try {
        check(changed.toString('utf8'))
        accepted.push(at)
      } catch {
        // as it should be
      }
    }
    expect(accepted).toEqual([])
  })
})

describe('the token', () => {
  test('of a job comes from its token service, with the job’s own bearer', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: services.tokenUrl, ACTIONS_ID_TOKEN_REQUEST_TOKEN: services.bearer }
    expect((await identityToken(env)).split('.')).toHaveLength(3)
    const wrong = identityToken({ ...env, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'secret-of-mine' })
    await expect(wrong).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_TOKEN', exit: 'outside' }))
    await expect(wrong).rejects.not.toThrow(/secret-of-mine/)
    await expect(identityToken({})).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_TOKEN', exit: 'usage' }))
  })

  test('is told by no error: neither one that can’t be read nor one that the authority refuses and quotes', async () => {
    const odd = identityToken({ SIGSTORE_ID_TOKEN: 'not-a-token-but-secret' })
    await expect(odd).rejects.toThrow(expect.objectContaining({ code: 'RFO_SIGN_TOKEN', exit: 'usage' }))
    await expect(odd).rejects.not.toThrow(/secret/)
    const token = services.token()
    const forged = `${token.slice(0, -8)}AAAAAAAA`
    const told = await signerAt(services, forged)
      .sign(said)
      .catch((thrown) => thrown)
    expect(told).toMatchObject({ code: 'RFO_SIGN_SERVICE', exit: 'outside' })
    expect(told.cause).toBeUndefined()
    expect(JSON.stringify([told.message, told.details, told.stack])).not.toContain(forged.slice(0, 40))
    expect(told.message).toContain('identity token ***')
  })

  test('of another identity gives no signature', async () => {
    await expect(signerAt(services, services.token('another@rfo.test')).sign(said)).rejects.toThrow(
      expect.objectContaining({ code: 'RFO_SIGN_IDENTITY' }),
    )
  })
})

describe('configs', () => {
  test.each<[string, (root: Root) => void, string]>([
    ['a log without a beginning', (each) => delete each.tlogs[0]?.publicKey.validFor.start, 'from when on'],
    ['another media type', (each) => (each.mediaType = 'application/json'), 'media type'],
  ])('a trusted root with %s is refused', (_, change, why) => {
    expect(() => withRoot(change)).toThrow(
      expect.objectContaining({ code: 'RFO_SIGN_ROOT', exit: 'usage', message: expect.stringContaining(why) }),
    )
  })

  test('a trusted root with a key twice is refused', () => {
    const text = JSON.stringify(services.root).replace('{', '{"tlogs":[],')
    expect(() => readTrustedRoot(text)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_ROOT' }))
  })

  test('a signing config names services that are valid now, one of a kind, and one that signs the time', () => {
    const read = (change: (config: Record<string, unknown[] & { [key: string]: unknown }>) => void, now = Date.now()) => {
      const config = JSON.parse(services.config())
      change(config)
      return () => readSigningConfig(JSON.stringify(config), now)
    }
    expect(read(() => {})()).toMatchObject({
      authority: services.url,
      log: { url: services.url, version: 1 },
      stamps: `${services.url}/api/v1/timestamp`,
    })
    const refusal = (why: string) =>
      expect.objectContaining({ code: 'RFO_SIGN_SERVICES', exit: 'usage', message: expect.stringContaining(why) })
    expect(read(() => {}, 0)).toThrow(refusal('no certificate authority'))
    expect(read((each) => Object.assign(each, { rekorTlogConfig: { selector: 'ALL' } }))).toThrow(refusal('several'))
    expect(read((each) => Object.assign(each, { tsaUrls: [], rekorTlogUrls: [] }))).toThrow(refusal('signs the time'))
    expect(() => readSigningConfig(services.config(2, false), Date.now())).toThrow(refusal('signs the time'))
  })
})
