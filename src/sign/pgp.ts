/**
 * OpenPGP (https://www.rfc-editor.org/rfc/rfc9580) for those who know nothing else: helm reads `.prov`, dnf `.asc`. Version 4
 * keys alone: gpg 2.2 refuses newer ones. A signature carries no salt and the time that it is given, so the same input and
 * an RSA key give the same bytes. The library is loaded here and not before: it is large.
 */
import type { Key, PrivateKey, PublicKey as Public } from 'openpgp'
import { RfoError } from '../error.ts'
import { refused } from './refusal.ts'

export interface PgpPublicKey {
  /** 40 hex characters, upper case, as gpg prints it */
  readonly fingerprint: string
  /** for people and dnf */
  readonly armored: string
  /** for helm, whose keyring is binary */
  readonly binary: Buffer
}

export interface PgpKey {
  readonly publicKey: PgpPublicKey
  /** Clear-signed text. `time`: seconds since 1970; never before the key itself was made, which gpg would call a conflict. */
  clearSign(text: string, time: number): Promise<string>
  /** A detached, armored signature. */
  detached(bytes: Uint8Array, time: number): Promise<string>
  /** A detached signature as its bare packet, which an RPM holds. */
  packet(bytes: Uint8Array, time: number): Promise<Uint8Array>
}

/** Without the salt that the library would put into a notation. */
const plain = { nonDeterministicSignaturesViaNotation: false } as const

/** `created`: seconds since 1970. RSA, which every rpm, gpg and helm reads. */
export async function generatePgpKey(
  name: string,
  created: number,
  bits: 3072 | 4096,
): Promise<{ readonly privateText: string; readonly publicText: string }> {
  const { generateKey } = await import('openpgp')
  const { privateKey, publicKey } = await generateKey({
    type: 'rsa',
    rsaBits: bits,
    userIDs: [{ name }],
    date: new Date(created * 1000),
    format: 'object',
    config: plain,
  })
  return { privateText: privateKey.armor(), publicText: publicKey.armor() }
}

export function isPgpKey(text: string): boolean {
  return text.trimStart().startsWith('-----BEGIN PGP PRIVATE KEY BLOCK-----')
}

/** An armored private key. Throws RFO_SIGN_KEY or RFO_SIGN_PASSWORD (exit usage), and never says anything of its text. */
export async function readPgpKey(text: string, password?: string): Promise<PgpKey> {
  const { createCleartextMessage, createMessage, decryptKey, enums, readPrivateKey, sign } = await import('openpgp')
  let key: PrivateKey
  try {
    key = await readPrivateKey({ armoredKey: text })
    if (key.keyPacket.version !== 4) throw new Error('another version')
  } catch {
    throw unreadable('not an armored private OpenPGP key of version 4')
  }
  if (!key.isDecrypted()) {
    key = await decryptKey({ privateKey: key, passphrase: password ?? '' }).catch(() => {
      throw new RfoError('RFO_SIGN_PASSWORD', 'the password does not open the PGP key', { exit: 'usage', next: 'set RFO_KEY_PASSWORD' })
    })
  }
  const { algorithm } = (await key.getSigningKey().catch(() => key)).keyPacket
  // https://www.rfc-editor.org/rfc/rfc9580#section-9.1: rpm 4.18 knows no newer ones
  if (![enums.publicKey.rsaEncryptSign, enums.publicKey.rsaSign, enums.publicKey.dsa, enums.publicKey.eddsaLegacy].includes(algorithm))
    throw unreadable('rpm reads signatures of RSA, DSA and EdDSA keys only')
  const born = key.getCreationTime().getTime()
  const how = (time: number) =>
    ({
      signingKeys: key,
      date: new Date(Math.max(time * 1000, born)),
      config: { ...plain, preferredHashAlgorithm: enums.hash.sha256 },
    }) as const
  return {
    publicKey: publicOf(key.toPublic()),
    clearSign: async (signed, time) => unix(await sign({ message: await createCleartextMessage({ text: signed }), ...how(time) })),
    detached: async (bytes, time) =>
      unix(await sign({ message: await createMessage({ binary: Uint8Array.from(bytes) }), detached: true, ...how(time) })),
    packet: async (bytes, time) =>
      await sign({ message: await createMessage({ binary: Uint8Array.from(bytes) }), detached: true, format: 'binary', ...how(time) }),
  }
}

/** A public key, armored or binary, of which there is one. Throws RFO_SIGN_KEY (exit usage). */
export async function readPgpPublicKey(bytes: Uint8Array): Promise<PgpPublicKey> {
  const { readKey, readKeys } = await import('openpgp')
  const text = Buffer.from(bytes).toString('latin1')
  try {
    if (bytes.length > 65_536) throw new Error('longer than any key')
    const armored = text.trimStart().startsWith('-----BEGIN PGP PUBLIC KEY BLOCK-----')
    const [key, ...more] = armored ? [await readKey({ armoredKey: text })] : await readKeys({ binaryKeys: Uint8Array.from(bytes) })
    if (key === undefined || more.length > 0 || key.isPrivate()) throw new Error('one is wanted')
    return publicOf(key)
  } catch {
    throw unreadable('not one public OpenPGP key')
  }
}

/** Verifies that the text is clear-signed by that key, and spelled as we would spell it. Throws RFO_SIGN_* (exit untrusted). */
export async function verifyClearSigned(signed: string, text: string, key: PgpPublicKey): Promise<void> {
  const { readCleartextMessage, readKey, verify } = await import('openpgp')
  await held(async () => {
    const message = await readCleartextMessage({ cleartextMessage: signed })
    if (unix(message.armor()) !== signed) throw refused('RFO_SIGN_BYTES', 'not in its canonical bytes')
    if (message.getText() !== text) throw refused('RFO_SIGN_SUBJECT', 'it signs another text')
    const { signatures } = await verify({ message, verificationKeys: await readKey({ binaryKey: key.binary }), ...timeless })
    await only(signatures)
  })
}

/** Verifies a detached signature over bytes: armored, or a bare packet. Throws RFO_SIGN_* (exit untrusted). */
export async function verifyDetached(signature: string | Uint8Array, bytes: Uint8Array, key: PgpPublicKey): Promise<void> {
  const { createMessage, readKey, readSignature, verify } = await import('openpgp')
  await held(async () => {
    const armored = typeof signature === 'string'
    const read = armored
      ? await readSignature({ armoredSignature: signature })
      : await readSignature({ binarySignature: Uint8Array.from(signature) })
    const same = armored ? unix(read.armor()) === signature : Buffer.from(read.write() as Uint8Array).equals(signature)
    if (!same) throw refused('RFO_SIGN_BYTES', 'not in its canonical bytes')
    const message = await createMessage({ binary: Uint8Array.from(bytes) })
    const { signatures } = await verify({
      message,
      signature: read,
      verificationKeys: await readKey({ binaryKey: key.binary }),
      ...timeless,
    })
    await only(signatures)
  })
}

/** No clock: whether a key has run out is judged against the statement that names it. */
const timeless = { date: null as never } as const

interface Checked {
  readonly verified: Promise<true>
  readonly signature: Promise<{ readonly packets: readonly { readonly unhashedSubpackets?: readonly unknown[] }[] }>
}

/** One signature, of one packet, with nothing in it that it does not cover itself. */
async function only(signatures: readonly unknown[]): Promise<void> {
  const [first, ...more] = signatures as readonly Checked[]
  if (first === undefined || more.length > 0)
    throw refused('RFO_SIGN_FORM', `exactly one signature is wanted, there are ${signatures.length}`)
  const { packets } = await first.signature
  if (packets.length !== 1 || (packets[0]?.unhashedSubpackets?.length ?? 0) > 0)
    throw refused('RFO_SIGN_BYTES', 'the signature carries what it does not cover')
  await first.verified
}

async function held(check: () => Promise<void>): Promise<void> {
  try {
    await check()
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw refused('RFO_SIGN_SIGNATURE', 'the PGP signature does not hold', cause)
  }
}

function publicOf(key: Key | Public): PgpPublicKey {
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    armored: unix(key.armor()),
    binary: Buffer.from(key.write() as Uint8Array),
  }
}

/** The library ends armor's lines as RFC 9580 lets it: one kind for all. */
function unix(text: string): string {
  return text.replaceAll('\r\n', '\n')
}

function unreadable(why: string): RfoError {
  return new RfoError('RFO_SIGN_KEY', `can't read the key: ${why}`, { exit: 'usage', next: 'rfo-build keys generate --pgp' })
}
