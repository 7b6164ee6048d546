/**
 * The sandbox's own signing key: made once for a state folder, never used for anything else. Whoever trusts it trusts
 * everybody who can read that folder, and so a release signed with it is refused unless this very key is given.
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
}

const privateName = 'cosign.key'
const publicName = 'cosign.pub'

/**
 * Reads `<stateDir>/sandbox/cosign.key` (mode 0600), or makes it with cosign.pub beside it. Both come by renaming one
 * folder, which succeeds once: of two processes that start together the second takes the first one's key.
 */
export async function sandboxKey(stateDir: string): Promise<SandboxKey> {
  const folder = join(stateDir, 'sandbox')
  const known = await readKey(folder)
  if (known !== undefined) return known
  const temporary = join(stateDir, `.sandbox-${randomUUID()}`)
  try {
    await mkdir(temporary, { recursive: true })
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFlushed(join(temporary, privateName), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
    await writeFlushed(join(temporary, publicName), publicKey.export({ type: 'spki', format: 'pem' }).toString(), 0o644)
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
  if (made === undefined) throw machineError(`${folder} is there, but holds no ${privateName}`, `rm -r ${folder}`)
  return made
}

async function readKey(folder: string): Promise<SandboxKey | undefined> {
  const file = join(folder, privateName)
  let pem: string
  try {
    pem = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw machineError(`can't read ${file}: ${(cause as Error).message}`, 'make it readable, or remove it', cause)
  }
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not a P-256 key')
    // the public half is derived: a file beside it could be another one's
    return { privatePem: pem, publicPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString() }
  } catch (cause) {
    throw machineError(`${file} is no signing key: ${(cause as Error).message}`, `rm -r ${folder}`, cause)
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
