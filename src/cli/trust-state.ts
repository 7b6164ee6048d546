/** What the verbs that write trust metadata have in common: the folder, who signs, when, and what is told afterwards. */
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { SigningKey } from '../sign/key.ts'
import type { Trust, TrustFiles } from '../sign/trust.ts'
import type { At } from '../sign/trust-edit.ts'
import type { Change } from '../sign/trust-targets.ts'
import type { CliContext } from './context.ts'
import { readP256Key, signKeyFiles } from './key-files.ts'
import type { Flags, Option, Outcome } from './verb.ts'
import { word } from './words.ts'

/** Absolute: `--trust`, or trust/ here. */
export function trustFolder(context: CliContext): string {
  return context.trustDir ?? join(context.cwd, 'trust')
}

/** Throws RFO_CLI_TRUST (exit usage), RFO_SIGN_TRUST. */
export async function openFolder(context: CliContext): Promise<Trust> {
  const { readTrustFiles } = await import('../sign/trust-files.ts')
  const { openTrust } = await import('../sign/trust.ts')
  const files = await readTrustFiles(trustFolder(context))
  if (files !== undefined) return openTrust(files)
  throw new RfoError('RFO_CLI_TRUST', 'no trust metadata here', {
    exit: 'usage',
    where: trustFolder(context),
    next: 'rfo-build trust init, or trust import <file>',
  })
}

/** Every --sign-key, on P-256, in a file or a token; of a draft there may be none yet. Throws RFO_CLI_KEY, RFO_SIGN_KEY. */
export async function readSigners(context: CliContext, draft = false): Promise<SigningKey[]> {
  const files = await signKeyFiles(context)
  if (files.length === 0 && !draft)
    throw new RfoError('RFO_CLI_KEY', 'no key to sign the metadata with', { exit: 'usage', next: 'give --sign-key once for each key' })
  return await Promise.all(files.map((file) => readP256Key(file, context.keyPassword)))
}

/** A year, and a month in which to carry the next one in. */
const defaultDays = '400'

export const daysOption: Option = { flags: '--days <n>', help: 'trustDays' }

export const draftOption: Option = { flags: '--draft <file>', help: 'trustDraft', completes: 'file' }

export function timesOf(context: CliContext, flags: Flags): At {
  return { now: context.now(), days: count('--days', flags.text('days') ?? defaultDays, 10_000), draft: isDraft(flags) }
}

export function isDraft(flags: Flags): boolean {
  return flags.text('draft') !== undefined
}

export function count(flag: string, text: string, max: number): number {
  const value = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  throw new RfoError('RFO_CLI_VALUE', `${flag} does not know ${JSON.stringify(text.slice(0, 60))}`, {
    exit: 'usage',
    next: `give a number from 1 to ${max}`,
  })
}

/** Reads, changes, signs, writes. */
export async function change(context: CliContext, flags: Flags, what: (now: string) => Change | Promise<Change>): Promise<Outcome> {
  const { changeTrust } = await import('../sign/trust-edit.ts')
  const { timeText } = await import('../sign/tuf.ts')
  const known = await openFolder(context)
  const made = await changeTrust(
    known,
    await what(timeText(context.now())),
    await readSigners(context, isDraft(flags)),
    timesOf(context, flags),
  )
  return await written(context, made, known, flags)
}

/** The folder, or with --draft the file in which others are to sign it. */
export async function written(context: CliContext, files: TrustFiles, before?: Trust, flags?: Flags): Promise<Outcome> {
  const draft = flags?.text('draft')
  if (draft !== undefined) return await drafted(context, resolve(context.cwd, draft), files)
  const { writeTrust } = await import('../sign/trust-files.ts')
  const { openTrust } = await import('../sign/trust.ts')
  const folder = trustFolder(context)
  if (!context.dryRun) await writeTrust(folder, files, before)
  return await told(context, openTrust(files))
}

/** Writes a draft, and tells what it would say and who is lacking. */
export async function drafted(context: CliContext, file: string, files: TrustFiles): Promise<Outcome> {
  const { openDraft } = await import('../sign/trust.ts')
  const { exportText, writeWhole } = await import('../sign/trust-files.ts')
  const { trustTold } = await import('./trust-text.ts')
  const { trust, lacking } = openDraft(files)
  if (!context.dryRun) await writeWhole(file, exportText({ files }))
  const { text, json } = await trustTold(context, trust)
  const missing = lacking.map((each) => word(context.lang, 'trustLacking', { ...each }))
  const state = lacking.length === 0 ? [word(context.lang, 'trustComplete', { file })] : missing
  return { text: [text.trimEnd(), ...state].join('\n'), json: { ...json, file, lacking: lacking.map((each) => ({ ...each })) } }
}

export async function told(context: CliContext, trust: Trust): Promise<Outcome> {
  const { expiryOf, rootOf } = await import('../sign/trust.ts')
  const { timeText } = await import('../sign/tuf.ts')
  const values = {
    root: rootOf(trust).metadata.signed.version,
    targets: trust.targets.metadata.signed.version,
    timestamp: trust.timestamp.metadata.signed.version,
    until: timeText(expiryOf(trust).at),
  }
  return { text: word(context.lang, 'trustTold', values), json: { folder: trustFolder(context), ...values } }
}
