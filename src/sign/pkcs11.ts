/**
 * Keys that never leave a token: PKCS#11 (https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/pkcs11-spec-v3.1.html), by pkcs11js, which
 * is compiled when it is installed and so is none of our dependencies: whoever has a token installs it beside the project.
 */
import { createHash, createPublicKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type ExitName, RfoError } from '../error.ts'
import { canonicalSignature, rawSignature } from './ecdsa.ts'
import { type PublicKey, readPublicKey, type SigningKey } from './key.ts'
import { parseTokenUri, type TokenUri } from './pkcs11-uri.ts'

type Handle = Buffer
interface Attribute {
  readonly type: number
  readonly value?: Buffer | string | number | boolean
}
/** As much of pkcs11js as is called. */
interface Library {
  load(path: string): void
  C_Initialize(): void
  C_GetSlotList(tokenPresent: boolean): Handle[]
  C_GetTokenInfo(slot: Handle): {
    readonly label: string
    readonly manufacturerID: string
    readonly model: string
    readonly serialNumber: string
  }
  C_OpenSession(slot: Handle, flags: number): Handle
  C_Login(session: Handle, user: number, pin: string): void
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void
  C_FindObjects(session: Handle, most: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_GetAttributeValue(session: Handle, object: Handle, template: readonly Attribute[]): { readonly value: Buffer }[]
  C_SignInit(session: Handle, mechanism: { readonly mechanism: number }, key: Handle): void
  C_Sign(session: Handle, data: Buffer, signature: Buffer): Buffer
}
interface Driver {
  readonly PKCS11: new () => Library
}

/** https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/pkcs11-spec-v3.1.html, appendix B */
const ck = {
  CKF_SERIAL_SESSION: 4,
  CKU_USER: 1,
  CKO_PUBLIC_KEY: 2,
  CKO_PRIVATE_KEY: 3,
  CKA_CLASS: 0,
  CKA_LABEL: 3,
  CKA_ID: 0x102,
  CKA_EC_PARAMS: 0x180,
  CKA_EC_POINT: 0x181,
  CKM_ECDSA: 0x1041,
} as const

/** secp256r1, as CKA_EC_PARAMS names it, and SubjectPublicKeyInfo up to the point. */
const p256 = '06082a8648ce3d030107'
const spkiPrefix = '3059301306072a8648ce3d020106082a8648ce3d030107034200'

/**
 * Opens a session that lasts as long as the process. `from`: the folder in whose node_modules (or NODE_PATH) pkcs11js is looked for.
 * Throws RFO_SIGN_TOKEN (usage, or machine) and RFO_SIGN_PASSWORD (usage).
 */
export async function openTokenKey(uri: string, password: string | undefined, from: string): Promise<SigningKey> {
  const wanted = parseTokenUri(uri)
  const pin = await pinOf(wanted, password)
  const library = loaded(driverFrom(from), wanted.module)
  const session = attempt('open a session with the token', () => library.C_OpenSession(slotOf(library, wanted), ck.CKF_SERIAL_SESSION))
  try {
    library.C_Login(session, ck.CKU_USER, pin)
  } catch (cause) {
    // logged in already: a process has one login for all its sessions
    if (!codeOf(cause).includes('CKR_USER_ALREADY_LOGGED_IN'))
      throw new RfoError('RFO_SIGN_PASSWORD', `the PIN does not open the token (${codeOf(cause)})`, {
        exit: 'usage',
        next: 'set RFO_KEY_PASSWORD',
      })
  }
  const key = one(library, session, ck.CKO_PRIVATE_KEY, wanted)
  const publicKey = publicKeyOf(library, session, wanted)
  return {
    publicKey,
    sign(data) {
      return new Promise((resolve) => {
        const raw = attempt('sign with the token', () => {
          library.C_SignInit(session, { mechanism: ck.CKM_ECDSA }, key)
          return library.C_Sign(session, createHash('sha256').update(data).digest(), Buffer.alloc(64))
        })
        const signature = canonicalSignature(rawSignature(raw))
        if (signature === undefined) throw tokenError('what it signed is no signature on P-256', 'machine')
        resolve({ signature, key: { $case: 'publicKey', publicKey: publicKey.pem, hint: publicKey.hint } })
      })
    },
  }
}

async function pinOf({ pinFile }: TokenUri, password: string | undefined): Promise<string> {
  if (pinFile === undefined) {
    if (password !== undefined && password !== '') return password
    throw new RfoError('RFO_SIGN_PASSWORD', 'a token wants its PIN', {
      exit: 'usage',
      next: 'set RFO_KEY_PASSWORD, or give pin-source=file:<path>',
    })
  }
  const text = await readFile(pinFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw tokenError(`can't read pin-source: ${cause.code}`, 'usage')
  })
  return text.split(/\r?\n/)[0] ?? ''
}

function driverFrom(folder: string): Driver {
  try {
    return createRequire(join(folder, 'package.json'))('pkcs11js') as Driver
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'MODULE_NOT_FOUND' ? 'pkcs11js is not installed, or not compiled' : `pkcs11js does not load (${code ?? 'unknown'})`
    throw tokenError(why, 'machine', 'npm install --no-save --ignore-scripts=false pkcs11js@2.1.7', cause)
  }
}

/** A library is initialized once in a process. */
const libraries = new Map<string, Library>()

function loaded({ PKCS11 }: Driver, module: string): Library {
  const known = libraries.get(module)
  if (known !== undefined) return known
  const library = new PKCS11()
  attempt('load the PKCS#11 library', () => {
    library.load(module)
    library.C_Initialize()
  })
  libraries.set(module, library)
  return library
}

function slotOf(library: Library, { token, slot }: TokenUri): Handle {
  const found = library.C_GetSlotList(true).filter((each) => {
    const info = library.C_GetTokenInfo(each)
    // a handle is a CK_SLOT_ID in the machine's byte order, and so little-endian wherever this runs
    if (slot !== undefined && each.readUIntLE(0, 6) !== slot) return false
    return Object.entries(token).every(([name, value]) => info[name as keyof typeof info].trimEnd() === value)
  })
  return only(found, 'tokens')
}

function one(library: Library, session: Handle, kind: number, { object, id }: TokenUri): Handle {
  const template: Attribute[] = [{ type: ck.CKA_CLASS, value: kind }]
  if (object !== undefined) template.push({ type: ck.CKA_LABEL, value: object })
  if (id !== undefined) template.push({ type: ck.CKA_ID, value: id })
  const found = attempt('look for the key', () => {
    library.C_FindObjectsInit(session, template)
    try {
      return library.C_FindObjects(session, 2)
    } finally {
      library.C_FindObjectsFinal(session)
    }
  })
  return only(found, kind === ck.CKO_PRIVATE_KEY ? 'private keys' : 'public keys')
}

function publicKeyOf(library: Library, session: Handle, wanted: TokenUri): PublicKey {
  const object = one(library, session, ck.CKO_PUBLIC_KEY, wanted)
  const [params, point] = attempt('read the public key', () =>
    library.C_GetAttributeValue(session, object, [{ type: ck.CKA_EC_PARAMS }, { type: ck.CKA_EC_POINT }]),
  )
  // CKA_EC_POINT is the uncompressed point inside an OCTET STRING
  const bytes = point?.value ?? Buffer.alloc(0)
  if (params?.value.toString('hex') !== p256 || bytes.length !== 67 || bytes.toString('hex', 0, 3) !== '044104')
    throw tokenError('a key on P-256 is needed, this is another', 'usage')
  const spki = Buffer.concat([Buffer.from(spkiPrefix, 'hex'), bytes.subarray(2)])
  return readPublicKey(createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'pem', type: 'spki' }).toString())
}

function only<T>(found: readonly T[], what: string): T {
  const [first, ...more] = found
  if (first === undefined || more.length > 0)
    throw tokenError(
      `${first === undefined ? 'no' : 'several'} ${what} are as the URI says`,
      'usage',
      'name it by token, serial, object or id',
    )
  return first
}

function attempt<T>(what: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw tokenError(`can't ${what} (${codeOf(cause)})`, 'machine', 'look whether it is there: pkcs11-tool --list-objects', cause)
  }
}

/** `CKR_…`, and nothing that a driver might quote. */
function codeOf(thrown: unknown): string {
  return /CKR_[A-Z0-9_]+/.exec(thrown instanceof Error ? thrown.message : '')?.[0] ?? 'no reason given'
}

function tokenError(what: string, exit: ExitName, next?: string, cause?: unknown): RfoError {
  return new RfoError('RFO_SIGN_TOKEN', what, { exit, ...(next === undefined ? {} : { next }), ...(cause === undefined ? {} : { cause }) })
}
