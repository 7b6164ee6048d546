/** `--sign-key keyless:?...`: who signs without a key, by which services; and whom `verify` is told to expect. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { TrustedIdentity } from '../sign/identity.ts'
import type { KeylessSigner } from '../sign/keyless.ts'
import type { CliContext } from './context.ts'
import type { Flags } from './verb.ts'

const parameters = ['identity', 'issuer', 'signing-config', 'trusted-root'] as const
type Parameter = (typeof parameters)[number]
const form = `keyless:?${parameters.map((name) => `${name}=…`).join('&')}`

export function isKeyless(signKey: string): boolean {
  return signKey.startsWith('keyless:')
}

/** undefined = nobody is to sign without a key. Throws RFO_CLI_KEY, RFO_SIGN_* (exit usage). Asks for no token yet. */
export async function readKeylessSigner(context: CliContext): Promise<KeylessSigner | undefined> {
  const [uri, ...more] = context.signKeys.filter(isKeyless)
  if (uri === undefined) return undefined
  if (more.length > 0) throw wrong('two identities to sign with', 'give one')
  const { identity, issuer, 'signing-config': config, 'trusted-root': root } = parse(uri)
  const { keylessSigner } = await import('../sign/keyless.ts')
  const { readSigningConfig } = await import('../sign/signing-config.ts')
  const { identityToken } = await import('../sign/identity-token.ts')
  return keylessSigner({
    trusted: await trusted(context, identity, issuer, root),
    services: await at(resolve(context.cwd, config), (text) => readSigningConfig(text, context.now())),
    token: () => identityToken(context.env, context.signal),
    now: context.now,
  })
}

/** `--identity --issuer --trusted-root` of `verify`: all three or none. Throws RFO_CLI_VALUE, RFO_SIGN_* (exit usage). */
export async function expectedIdentity(context: CliContext, flags: Flags): Promise<TrustedIdentity | undefined> {
  const [identity, issuer, root] = ['identity', 'issuer', 'trustedRoot'].map((name) => flags.text(name))
  if (identity === undefined && issuer === undefined && root === undefined) return undefined
  if (identity === undefined || issuer === undefined || root === undefined)
    throw new RfoError('RFO_CLI_VALUE', 'an identity is trusted by its issuer and a trusted root', {
      exit: 'usage',
      next: 'give --identity, --issuer and --trusted-root together',
    })
  return await trusted(context, identity, issuer, root)
}

async function trusted(context: CliContext, identity: string, issuer: string, root: string): Promise<TrustedIdentity> {
  const { trustedIdentity } = await import('../sign/identity.ts')
  const { readTrustedRoot } = await import('../sign/trusted-root.ts')
  return trustedIdentity(identity, issuer, await at(resolve(context.cwd, root), readTrustedRoot))
}

/** As in a URL, but `+` is itself: it is in every version. */
function parse(uri: string): Record<Parameter, string> {
  const found = new Map<string, string>()
  for (const part of uri.slice('keyless:'.length).replace(/^\?/, '').split('&')) {
    const at = part.indexOf('=')
    const name = part.slice(0, Math.max(at, 0))
    if (!(parameters as readonly string[]).includes(name) || found.has(name))
      throw wrong(`no parameter of a keyless signer, or given twice: ${part.slice(0, 60)}`)
    try {
      found.set(name, decodeURIComponent(part.slice(at + 1)))
    } catch {
      throw wrong(`not percent-encoded: ${name}`)
    }
  }
  const read = (name: Parameter): string => found.get(name) || fail(name)
  return {
    identity: read('identity'),
    issuer: read('issuer'),
    'signing-config': read('signing-config'),
    'trusted-root': read('trusted-root'),
  }
}

function fail(name: Parameter): never {
  throw wrong(`a keyless signer without ${name}`)
}

function wrong(what: string, next = `--sign-key '${form}'`): RfoError {
  return new RfoError('RFO_CLI_KEY', what, { exit: 'usage', next })
}

async function at<T>(file: string, read: (text: string) => T): Promise<T> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_KEY', `can't read it: ${cause.code}`, { exit: 'usage', where: file })
  })
  try {
    return read(text)
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(file) : thrown
  }
}
