/** Files of keys, as a person names them: what kind each is follows from what is in it. */
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import type { OtherKeys } from '../release/verify/signatures.ts'
import type { PublicKey, SigningKey } from '../sign/key.ts'
import type { PgpPublicKey } from '../sign/pgp.ts'
import { isTokenUri, printableTokenUri } from '../sign/pkcs11-uri.ts'
import type { Sm2PublicKey } from '../sign/sm2.ts'
import type { Trust } from '../sign/trust.ts'
import type { CliContext } from './context.ts'
import { isKeyless } from './keyless.ts'

export interface KeyFile {
  /** absolute */
  readonly file: string
  readonly text: string
  /** of a key in a token, whose URI the text is: the folder where its driver is looked for */
  readonly driverFrom?: string
}

/** Private keys: every --sign-key that is a file. Throws RFO_CLI_KEY. */
export async function signKeyFiles(context: CliContext): Promise<KeyFile[]> {
  return await Promise.all(
    context.signKeys
      .filter((name) => !isKeyless(name))
      .map(async (name): Promise<KeyFile> => {
        if (isTokenUri(name)) return { file: printableTokenUri(name), text: name, driverFrom: context.cwd }
        const file = resolve(context.cwd, name)
        const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
          throw new RfoError('RFO_CLI_KEY', `can't read the signing key: ${cause.code}`, {
            exit: 'usage',
            where: file,
            next: 'make a key: rfo-build keys generate',
          })
        })
        return { file, text }
      }),
  )
}

/** One key of each kind at most, and the release's own among them. Throws RFO_CLI_KEY, RFO_SIGN_KEY, RFO_SIGN_PASSWORD (exit usage). */
export async function readReleaseKeys(files: readonly KeyFile[], password: string | undefined): Promise<ReleaseKeys> {
  const { isPgpKey, readPgpKey } = await import('../sign/pgp.ts')
  const { isSm2Key, readSm2Key } = await import('../sign/sm2.ts')
  const kindOf = ({ text, driverFrom }: KeyFile) =>
    driverFrom !== undefined ? 'key' : isPgpKey(text) ? 'pgp' : isSm2Key(text, password) ? 'sm2' : 'key'
  const found: { key?: KeyFile; sm2?: KeyFile; pgp?: KeyFile } = {}
  for (const each of files) {
    const kind = kindOf(each)
    if (found[kind] !== undefined)
      throw new RfoError('RFO_CLI_KEY', 'two signing keys of one kind', {
        exit: 'usage',
        where: each.file,
        next: 'give one key on P-256, and beside it one of SM2 and one of PGP if you like',
      })
    found[kind] = each
  }
  const { key, sm2, pgp } = found
  if (key === undefined) {
    throw new RfoError('RFO_CLI_KEY', files.length === 0 ? 'no key to sign with' : 'no key on P-256 to sign the release with', {
      exit: 'usage',
      next: 'give --sign-key, or make a key: rfo-build keys generate',
    })
  }
  return {
    key: await readP256Key(key, password),
    ...(sm2 === undefined ? {} : { sm2: await at(sm2, ({ text }) => readSm2Key(text, password)) }),
    ...(pgp === undefined ? {} : { pgp: await at(pgp, ({ text }) => readPgpKey(text, password)) }),
  }
}

/** A private key in a file or a token. Throws RFO_SIGN_KEY, RFO_SIGN_PASSWORD, RFO_SIGN_TOKEN. */
export async function readP256Key(file: KeyFile, password: string | undefined): Promise<SigningKey> {
  const { readSigningKey } = await import('../sign/key.ts')
  const { openTokenKey } = await import('../sign/pkcs11.ts')
  return await at(file, ({ text, driverFrom }) =>
    driverFrom === undefined ? readSigningKey(text, password) : openTokenKey(text, password, driverFrom),
  )
}

export type TrustedKey =
  | { readonly kind: 'release'; readonly file: string; readonly key: PublicKey }
  | { readonly kind: 'sm2'; readonly file: string; readonly key: Sm2PublicKey }
  | { readonly kind: 'pgp'; readonly file: string; readonly key: PgpPublicKey }

/** Reads one public key of any kind. Throws RFO_CLI_KEY, RFO_SIGN_KEY (exit usage). */
export async function readTrustedKey(file: string): Promise<TrustedKey> {
  const { readPublicKey } = await import('../sign/key.ts')
  const { isSm2PublicKey, readSm2PublicKey } = await import('../sign/sm2.ts')
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_KEY', `can't read the public key: ${cause.code}`, { exit: 'usage', where: file, cause })
  })
  const text = bytes.toString('utf8')
  return await at({ file, text }, async () => {
    // a binary keyring begins with a packet's tag: https://www.rfc-editor.org/rfc/rfc9580#section-4.2
    if ((bytes[0] ?? 0) >= 0x80 || text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----'))
      return { kind: 'pgp', file, key: await (await import('../sign/pgp.ts')).readPgpPublicKey(bytes) }
    if (isSm2PublicKey(text)) return { kind: 'sm2', file, key: readSm2PublicKey(text) }
    return { kind: 'release', file, key: readPublicKey(text) }
  })
}

/** --key and all of --trust, unless that is metadata, which names its keys itself. */
export async function trustedKeyFiles(context: CliContext): Promise<string[]> {
  const trustDir = (await givenTrust(context)) === undefined ? context.trustDir : undefined
  const names = trustDir === undefined ? [] : (await readdir(trustDir)).filter((name) => /\.(pub|pem)$|^helm-keyring$/.test(name)).sort()
  return [...context.keys, ...names.map((name) => join(trustDir ?? '', name))]
}

/** --trust, when it is TUF metadata: a folder, or an exported file. Throws RFO_SIGN_TRUST. */
export async function givenTrust({ trustDir }: Pick<CliContext, 'trustDir'>): Promise<Trust | undefined> {
  if (trustDir === undefined) return undefined
  const { readTrustFiles } = await import('../sign/trust-files.ts')
  const files = await readTrustFiles(trustDir)
  return files === undefined ? undefined : (await import('../sign/trust.ts')).openTrust(files)
}

/** Public keys on P-256, as trust metadata names them. Throws RFO_CLI_KEY, RFO_SIGN_KEY (exit usage). */
export async function readReleasePublicKeys(context: CliContext, files: readonly string[]): Promise<PublicKey[]> {
  const read = await Promise.all(files.map((file) => readTrustedKey(resolve(context.cwd, file))))
  return read.map((each) => {
    if (each.kind === 'release') return each.key
    throw new RfoError('RFO_CLI_KEY', 'trust metadata names keys on P-256 alone', { exit: 'usage', where: each.file })
  })
}

export async function trustedKeys(context: CliContext): Promise<{ readonly keys: PublicKey[]; readonly otherKeys: OtherKeys }> {
  const read = await Promise.all((await trustedKeyFiles(context)).map(readTrustedKey))
  return {
    keys: read.flatMap((each) => (each.kind === 'release' ? [each.key] : [])),
    otherKeys: {
      sm2: read.flatMap((each) => (each.kind === 'sm2' ? [each.key] : [])),
      pgp: read.flatMap((each) => (each.kind === 'pgp' ? [each.key] : [])),
    },
  }
}

async function at<T>(file: KeyFile, read: (file: KeyFile) => T | Promise<T>): Promise<T> {
  try {
    return await read(file)
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(file.file) : thrown
  }
}
