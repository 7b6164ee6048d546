/** `trust init|show|export|import`, and what a maintainer says in it: `revoke`, `withdraw`, `lowest`, `renew`. */
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { PublicKey } from '../sign/key.ts'
import type { RoleKeys } from '../sign/trust-edit.ts'
import type { CliContext } from './context.ts'
import { readReleasePublicKeys } from './key-files.ts'
import {
  change,
  count,
  daysOption,
  drafted,
  draftOption,
  isDraft,
  openFolder,
  readSigners,
  timesOf,
  told,
  trustFolder,
  written,
} from './trust-state.ts'
import { trustTold } from './trust-text.ts'
import type { Flags, Group, Verb } from './verb.ts'

const init: Verb = {
  name: 'init',
  summary: 'trustInit',
  arguments: [],
  options: [
    { flags: '--root-key <file>', help: 'trustRootKey', repeatable: true, completes: 'file' },
    { flags: '--threshold <n>', help: 'trustThreshold' },
    { flags: '--targets-key <file>', help: 'trustTargetsKey', repeatable: true, completes: 'file' },
    { flags: '--targets-threshold <n>', help: 'trustTargetsThreshold' },
    { flags: '--release-key <file>', help: 'trustReleaseKey', repeatable: true, completes: 'file' },
    daysOption,
    draftOption,
  ],
  examples: [
    'trust init --root-key a.pub --root-key b.pub --root-key c.pub --threshold 2 --release-key rfo.pub --sign-key a.key --sign-key b.key',
  ],
  async run(context, { flags }) {
    const { readTrustFiles } = await import('../sign/trust-files.ts')
    const { makeTrust } = await import('../sign/trust-edit.ts')
    const { addKey, nothingSaid } = await import('../sign/trust-targets.ts')
    if ((await readTrustFiles(trustFolder(context))) !== undefined)
      throw new RfoError('RFO_CLI_EXISTS', 'there is trust metadata already and it is kept', {
        exit: 'usage',
        where: trustFolder(context),
        next: 'rfo-build keys rotate, or choose another --trust',
      })
    const root = await roleKeys(context, flags, 'rootKey', 'threshold')
    if (root === undefined) throw missing('--root-key')
    const targets = (await roleKeys(context, flags, 'targetsKey', 'targetsThreshold')) ?? root
    const releaseKeys = await readReleasePublicKeys(context, flags.list('releaseKey') ?? [])
    if (releaseKeys.length === 0) throw missing('--release-key')
    const says = releaseKeys.reduce((before, key) => addKey(key)(before), nothingSaid)
    const signers = await readSigners(context, isDraft(flags))
    return await written(context, await makeTrust({ root, targets }, says, signers, timesOf(context, flags)), undefined, flags)
  },
}

/** Undefined = no such key was given. */
async function roleKeys(context: CliContext, flags: Flags, keys: string, threshold: string): Promise<RoleKeys | undefined> {
  const read: readonly PublicKey[] = await readReleasePublicKeys(context, flags.list(keys) ?? [])
  if (read.length === 0) return undefined
  return { keys: read, threshold: count('a threshold', flags.text(threshold) ?? '1', 64) }
}

function missing(flag: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', `no ${flag}`, { exit: 'usage', next: 'rfo-build trust init --help' })
}

const show: Verb = {
  name: 'show',
  summary: 'trustShow',
  arguments: [],
  options: [],
  examples: ['trust show', 'trust show --trust rfo-trust.json'],
  async run(context) {
    return await trustTold(context, await openFolder(context))
  },
}

const exported: Verb = {
  name: 'export',
  summary: 'trustExport',
  arguments: [],
  options: [{ flags: '-o, --output <file>', help: 'trustOutput', completes: 'file' }],
  examples: ['trust export -o rfo-trust.json'],
  async run(context, { flags }) {
    const { exportText, writeWhole } = await import('../sign/trust-files.ts')
    const output = flags.text('output')
    if (output === undefined)
      throw new RfoError('RFO_CLI_USAGE', 'no -o', { exit: 'usage', next: 'rfo-build trust export -o rfo-trust.json' })
    const trust = await openFolder(context)
    const file = resolve(context.cwd, output)
    if (!context.dryRun) await writeWhole(file, exportText(trust))
    const { text, json } = await told(context, trust)
    return { text, json: { ...json, file } }
  },
}

const imported: Verb = {
  name: 'import',
  summary: 'trustImport',
  arguments: [{ syntax: '<file>', help: 'trustImportArgument' }],
  options: [],
  examples: ['trust import rfo-trust.json'],
  async run(context, { args: [file = ''] }) {
    const { readTrustFiles } = await import('../sign/trust-files.ts')
    const { newerTrust, olderTrust, openTrust } = await import('../sign/trust.ts')
    const [known, carried] = [await readTrustFiles(trustFolder(context)), await readTrustFiles(resolve(context.cwd, file))]
    if (carried === undefined)
      throw new RfoError('RFO_CLI_TRUST', 'no trust metadata here', {
        exit: 'usage',
        where: file,
        next: 'give an exported file, or a folder of it',
      })
    if (known === undefined) return await written(context, openTrust(carried).files)
    const before = openTrust(known)
    const { state, trust } = newerTrust(before, carried)
    if (state === 'older') throw olderTrust(before, trust)
    return state === 'same' ? await told(context, before) : await written(context, trust.files, before)
  },
}

const revoke: Verb = {
  name: 'revoke',
  summary: 'trustRevoke',
  arguments: [{ syntax: '<fingerprint>', help: 'trustFingerprint' }],
  options: [{ flags: '--reason <text>', help: 'trustReason' }, daysOption, draftOption],
  examples: ['trust revoke sha256:<hex> --reason "the laptop was stolen" --sign-key a.key'],
  async run(context, { args: [fingerprint = ''], flags }) {
    const { revokeKey } = await import('../sign/trust-targets.ts')
    return await change(context, flags, (now) => revokeKey(fingerprint, now, reasonOf(flags)))
  },
}

const withdraw: Verb = {
  name: 'withdraw',
  summary: 'trustWithdraw',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [
    { flags: '--reason <text>', help: 'trustReason' },
    { flags: '--replaced-by <version>', help: 'trustReplacedBy' },
    daysOption,
    draftOption,
  ],
  examples: ['trust withdraw v1.24.8+rfor1 --reason "pods lose their network" --replaced-by v1.24.8+rfor2 --sign-key a.key'],
  async run(context, { args: [version = ''], flags }) {
    const targets = await import('../sign/trust-targets.ts')
    return await change(context, flags, () => targets.withdraw(version, reasonOf(flags), flags.text('replacedBy')))
  },
}

const lowest: Verb = {
  name: 'lowest',
  summary: 'trustLowest',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [daysOption, draftOption],
  examples: ['trust lowest v1.24.8+rfor2 --sign-key a.key'],
  async run(context, { args: [version = ''], flags }) {
    const { setLowest } = await import('../sign/trust-targets.ts')
    return await change(context, flags, () => setLowest(version))
  },
}

const renew: Verb = {
  name: 'renew',
  summary: 'trustRenew',
  arguments: [],
  options: [daysOption, draftOption],
  examples: ['trust renew --days 400 --sign-key a.key'],
  async run(context, { flags }) {
    return await change(context, flags, () => (says) => says)
  },
}

const signed: Verb = {
  name: 'sign',
  summary: 'trustSign',
  arguments: [
    { syntax: '<draft>', help: 'trustSignArgument' },
    { syntax: '[copies...]', help: 'trustSignCopies' },
  ],
  options: [],
  examples: ['trust sign draft.json --sign-key b.key', 'trust sign draft.json from-b.json from-c.json'],
  async run(context, { args: [draft = '', ...copies] }) {
    const { readTrustFiles } = await import('../sign/trust-files.ts')
    const { openTrust } = await import('../sign/trust.ts')
    const { mergeDrafts, signDraft } = await import('../sign/trust-draft.ts')
    const [files = new Map<string, string>(), ...others] = await Promise.all(
      [draft, ...copies].map(async (name) => {
        const read = await readTrustFiles(resolve(context.cwd, name))
        if (read !== undefined) return read
        throw new RfoError('RFO_CLI_TRUST', 'no draft here', { exit: 'usage', where: name, next: 'rfo-build trust renew --draft <file>' })
      }),
    )
    const known = await readTrustFiles(trustFolder(context))
    const merged = await mergeDrafts(files, others)
    const made = await signDraft(merged, await readSigners(context, true), known && openTrust(known))
    return await drafted(context, resolve(context.cwd, draft), made)
  },
}

function reasonOf(flags: Flags): string {
  const reason = flags.text('reason')
  if (reason !== undefined && reason !== '' && reason.length <= 1000) return reason
  throw new RfoError('RFO_CLI_USAGE', 'no --reason', { exit: 'usage', next: 'say why, in a sentence' })
}

export const trust: Group = {
  name: 'trust',
  summary: 'trustGroup',
  verbs: [init, show, exported, imported, revoke, withdraw, lowest, renew, signed],
}
