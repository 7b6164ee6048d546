/**
 * The sandbox's own signing keys: made once for a state folder, never used for anything else. Whoever trusts them trusts
 * everybody who can read that folder, and so a release signed with them is refused unless this very key is given.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'

export interface SandboxKey {
  /** PKCS #8, P-256, not encrypted */
  readonly privatePem: string
  /** SubjectPublicKeyInfo */
  readonly publicPem: string
  /** PKCS #8, SM2, not encrypted */
  readonly sm2Pem: string
  /** OpenPGP, armored, not encrypted */
  readonly pgpText: string
}

const names = { private: 'cosign.key', public: 'cosign.pub', sm2: 'sm2.key', pgp: 'pgp.key' } as const

/** A PGP signature is never older than its key, and a release's is as old as what it was made from. */
const pgpBorn = new Date('2022-01-01T00:00:00Z')

/**
 * Reads the keys in `<stateDir>/sandbox/` (mode 0600), or makes them with cosign.pub beside. All come by renaming one
 * folder, which succeeds once: of two processes that start together the second takes the first one's keys.
 */
export async function sandboxKey(stateDir: string): Promise<SandboxKey> {
  const folder = join(stateDir, 'sandbox')
  const known = await readKey(folder)
  if (known !== undefined) return known
  const temporary = join(stateDir, `.sandbox-${randomUUID()}`)
  try {
    await mkdir(temporary, { recursive: true })
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const sm2 = generateKeyPairSync('ec', { namedCurve: 'SM2' }).privateKey
    await writeFlushed(join(temporary, names.private), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
    await writeFlushed(join(temporary, names.public), publicKey.export({ type: 'spki', format: 'pem' }).toString(), 0o644)
    await writeFlushed(join(temporary, names.sm2), sm2.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
    await writeFlushed(join(temporary, names.pgp), await pgpKey(), 0o600)
    await flushFolder(temporary)
    await rename(temporary, folder).catch((cause: NodeJS.ErrnoException) => {
      // the folder exists and is not empty: somebody else was first
      if (cause.code !== 'ENOTEMPTY' && cause.code !== 'EEXIST') throw cause
    })
    await flushFolder(stateDir)
  } catch (cause) {
    throw machineError(`can't keep a key in ${folder}: ${(cause as Error).message}`, 'make the folder writable', cause)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  const made = await readKey(folder)
  if (made === undefined) throw machineError(`${folder} is there, but holds no ${names.private}`, `rm -r ${folder}`)
  return made
}

async function pgpKey(): Promise<string> {
  const { generateKey } = await import('openpgp')
  const userIDs = [{ name: 'RFO sandbox, not for use' }]
  return (await generateKey({ type: 'rsa', rsaBits: 3072, userIDs, date: pgpBorn, format: 'object' })).privateKey.armor()
}

async function readKey(folder: string): Promise<SandboxKey | undefined> {
  const file = join(folder, names.private)
  const pem = await readText(file)
  if (pem === undefined) return undefined
  const [sm2Pem, pgpText] = [await readText(join(folder, names.sm2)), await readText(join(folder, names.pgp))]
  if (sm2Pem === undefined || pgpText === undefined) throw machineError(`${folder} holds the keys of an older rfo-build`, `rm -r ${folder}`)
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not a P-256 key')
    // the public half is derived: a file beside it could be another one's
    return { privatePem: pem, publicPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(), sm2Pem, pgpText }
  } catch (cause) {
    throw machineError(`${file} is no signing key: ${(cause as Error).message}`, `rm -r ${folder}`, cause)
  }
}

/** Undefined = not there. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw machineError(`can't read ${file}: ${(cause as Error).message}`, 'make it readable, or remove it', cause)
  }
}

async function writeFlushed(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.chmod(mode) // whatever the umask took away
    await file.sync()
  } finally {
    await file.close()
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function machineError(message: string, next: string, cause?: unknown): RfoError {
  return new RfoError('RFO_SANDBOX_KEY', message, { exit: 'machine', next, cause })
}
