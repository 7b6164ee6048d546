/** `sign`: what was made without a key becomes a release. stdout is its root digest and the fingerprint of the key. */
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { isDigest } from '../oci/digest.ts'
import type { CliContext } from './context.ts'
import { givenTrust, readReleaseKeys, signKeyFiles, trustedKeys } from './key-files.ts'
import { isKeyless, readKeylessSigner } from './keyless.ts'
import { mirrorsOf } from './mirrors.ts'
import { candidate } from './release.ts'
import { projectTrust, refuseUnnamed, refuseUnnamedKey } from './release-trust.ts'
import { isVersion, releaseFolder } from './target.ts'
import type { Outcome, Verb } from './verb.ts'
import { word } from './words.ts'
import { withPorts } from './world.ts'

export const sign: Verb = {
  name: 'sign',
  summary: 'sign',
  arguments: [{ syntax: '<release>', help: 'signArgument' }],
  options: [
    { flags: '--expect <digest>', help: 'signExpect' },
    { flags: '--add', help: 'signAdd' },
  ],
  examples: [
    'sign v1.25.4+rfor1 --sign-key rfo.key',
    'sign /media/v1.25.4+rfor1.unsigned --sign-key rfo.key --out dist',
    'sign v1.25.4+rfor1 --add --key rfo.pub --sign-key second.key',
  ],
  async run(context, { args: [target = ''], flags }) {
    const expect = flags.text('expect')
    if (flags.on('add')) return await add(context, target, expect)
    if (expect !== undefined && !isDigest(expect))
      throw new RfoError('RFO_CLI_VALUE', `--expect wants sha256:<hex>, not ${expect.slice(0, 100)}`, { exit: 'usage' })
    const folder = await folderOf(context, target)
    const given = await readReleaseKeys(await signKeyFiles(context), context.keyPassword)
    const trust = await projectTrust(context)
    const keyless = await readKeylessSigner(context)
    const keys = { ...given, ...(trust && { trust: trust.text }), ...(keyless && { keyless }) }
    const refuse = (epoch: number): void => (trust === undefined ? undefined : refuseUnnamed(trust, given, epoch))
    const { signRelease } = await import('../release/sign.ts')
    const request = { folder, keys, refuse, outDir: context.outDir, ...(expect === undefined ? {} : { expect }) }
    const signed = await withPorts(context, { env: context.env, addresses: mirrorsOf(context.env) }, (ports) => signRelease(request, ports))
    if (signed.missing.length > 0) return candidate(context, signed)
    const { fingerprint } = keys.key.publicKey
    const { root, version, unchanged } = signed
    return {
      text: word(context.lang, 'signTold', { root, fingerprint }),
      json: { version, root, fingerprint, folder: signed.folder, unchanged },
    }
  },
}

/** Beside whoever signed it first: the statement alone, once all of the release holds by the keys or the metadata given. */
async function add(context: CliContext, target: string, expect: string | undefined): Promise<Outcome> {
  const { sm2, pgp, key } = await readReleaseKeys(await signKeyFiles(context), context.keyPassword)
  if (expect !== undefined || sm2 !== undefined || pgp !== undefined || context.signKeys.some(isKeyless))
    throw new RfoError('RFO_CLI_USAGE', '--add takes one key on P-256, and no --expect', { exit: 'usage', next: 'rfo-build sign --help' })
  const { cosignRelease } = await import('../release/cosign.ts')
  const trust = await givenTrust(context)
  if (trust !== undefined) refuseUnnamedKey(trust, key.publicKey)
  const folder = releaseFolder(context, target)
  const made = await cosignRelease(
    {
      folder,
      ...(await trustedKeys(context)),
      ...(isVersion(target) ? { expect: target } : {}),
      ...(trust && { trust }),
      at: context.now(),
    },
    key,
  )
  const { fingerprint } = key.publicKey
  return { text: word(context.lang, 'signTold', { root: made.root, fingerprint }), json: { ...made, fingerprint, folder } }
}

/** A version is what was made of it and not signed yet; once that is gone, the release. */
async function folderOf(context: CliContext, target: string): Promise<string> {
  if (!isVersion(target)) return releaseFolder(context, target)
  const { unsignedName } = await import('../release/unsigned.ts')
  const { readSmall } = await import('../release/verify/tree.ts')
  const { handoverPath } = await import('../release/verify/files.ts')
  const unsigned = join(context.outDir, unsignedName(target))
  const there = await readSmall(join(unsigned, handoverPath), Number.MAX_SAFE_INTEGER, handoverPath)
  return there === undefined ? releaseFolder(context, target) : unsigned
}
