/** The tree that `verify` prints: what was claimed, what was found, image by image. */
import type { Language } from '../report/messages.ts'

export interface VerifyTold {
  readonly version: string
  readonly root: string
  readonly fingerprint: string
  /** true = made in the sandbox, or with any stand-in */
  readonly standIn: boolean
  readonly claims: readonly { readonly text: string; readonly test: string }[]
  readonly findings: readonly string[]
  readonly bases: readonly { readonly platform: string; readonly text: string }[]
  /** what the default configuration can do on each platform */
  readonly platforms: readonly { readonly platform: string; readonly text: string }[]
  readonly images: readonly {
    readonly reference: string
    readonly digest: string
    readonly platforms: readonly string[]
    readonly notes: readonly string[]
  }[]
  readonly standIns: readonly { readonly what: string; readonly standsFor: string }[]
}

const words = {
  en: {
    claims: 'proved',
    findings: 'NOT AS SIGNED, OR NOT GOOD',
    bases: 'bases',
    platforms: 'platforms',
    images: 'images',
    standIns: 'stand-ins',
    falsifiedBy: 'made false by',
  },
  zh: {
    claims: '已证明',
    findings: '与签名不符或不合要求',
    bases: '基础镜像',
    platforms: '平台',
    images: '镜像',
    standIns: '替身',
    falsifiedBy: '反证测试',
  },
} as const

export function verifyText(told: VerifyTold, lang: Language): string {
  const say = words[lang]
  const lines = [
    `${told.version} ${told.root}`,
    ...branch(
      say.claims,
      told.claims.map((claim) => `${claim.text}  [${say.falsifiedBy} ${claim.test}]`),
    ),
    ...branch(say.findings, told.findings),
    ...branch(
      say.bases,
      told.bases.map((base) => `${base.platform}: ${base.text}`),
    ),
    ...branch(
      say.platforms,
      told.platforms.map((one) => `${one.platform}: ${one.text}`),
    ),
    ...branch(
      say.images,
      told.images.flatMap((image) => [
        `${image.reference}@${image.digest} ${image.platforms.join(' ')}`,
        ...image.notes.map((note) => `  ${note}`),
      ]),
    ),
    ...branch(
      say.standIns,
      told.standIns.map((standIn) => `${standIn.what}: ${standIn.standsFor}`),
    ),
  ]
  if (told.findings.length === 0) lines.push(`verified ${told.version} ${told.root} ${told.fingerprint}${told.standIn ? ' SANDBOX' : ''}`)
  return `${lines.join('\n')}\n`
}

function branch(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`├─ ${title}`, ...lines.map((line) => `│  ${line}`)]
}
