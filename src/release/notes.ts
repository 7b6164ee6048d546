/** RELEASE.md and RELEASE.zh.md: what a person reads first who opens the folder. Pure text from plan and digests. */
import type { Digest } from '../oci/digest.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { standInsOf } from './labels.ts'

export type NotesLanguage = 'en' | 'zh'

interface Words {
  readonly made: (upstream: string) => string
  readonly standIn: string
  readonly bases: string
  readonly images: string
  readonly deviations: string
  readonly missing: string
  readonly check: string
  readonly columns: readonly [string, string, string]
}

const words: Record<NotesLanguage, Words> = {
  en: {
    made: (upstream) => `Made from ${upstream}.`,
    standIn: '**Not for use: inputs of this release are stand-ins.** They are named below and in evidence/release.json.',
    bases: 'Bases',
    images: 'Images',
    deviations: 'Sources other than upstream’s',
    missing: 'Not provided',
    check: 'Check it, without a network: `rfo-build verify . --key <public key>`; or `sha256sum -c sha256sum-<arch>.txt`.',
    columns: ['image', 'made by', 'platforms'],
  },
  zh: {
    made: (upstream) => `基于 ${upstream} 制作。`,
    standIn: '**不可用于生产：本发布的部分输入为替身。** 详见下文与 evidence/release.json。',
    bases: '基础镜像',
    images: '镜像',
    deviations: '与上游不同的来源',
    missing: '未提供',
    check: '离线校验：`rfo-build verify . --key <公钥>`；或 `sha256sum -c sha256sum-<arch>.txt`。',
    columns: ['镜像', '方式', '平台'],
  },
}

export function releaseNotes(plan: ReleasePlan, digests: ReadonlyMap<string, Digest>, language: NotesLanguage): string {
  const say = words[language]
  const anyStandIn = plan.images.some((image) => plan.platforms.some((platform) => standInsOf(plan, image, platform).length > 0))
  const made = (image: (typeof plan.images)[number]): string[] =>
    plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
  const lines = [
    `# RFO ${plan.version}`,
    '',
    say.made(`${plan.upstream.version} (${plan.upstream.commit})`),
    ...(anyStandIn ? ['', say.standIn] : []),
    '',
    `## ${say.bases}`,
    '',
    ...plan.platforms.map((platform) => {
      const base = plan.bases[platform]
      const reason = base?.reason === undefined ? '' : ` (${base.reason})`
      return `- ${platform}: ${base?.name ?? '?'}${reason}`
    }),
    '',
    `## ${say.images}`,
    '',
    `| ${say.columns.join(' | ')} |`,
    '|---|---|---|',
    ...plan.images.map(
      (image) => `| ${image.reference}@${digests.get(image.reference) ?? ''} | ${image.action} | ${made(image).join(', ')} |`,
    ),
    ...section(
      say.deviations,
      plan.images.flatMap((image) =>
        image.deviates === undefined ? [] : [`- ${image.component}: ${image.deviates.from}: ${image.deviates.reason}`],
      ),
    ),
    ...section(
      say.missing,
      plan.images.flatMap((image) =>
        plan.platforms.flatMap((platform) => {
          const planned = image.platforms[platform]
          return planned?.status === 'unsupported' ? [`- ${image.component} (${platform}): ${planned.reason}`] : []
        }),
      ),
    ),
    '',
    say.check,
    '',
  ]
  return lines.join('\n')
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `## ${title}`, '', ...lines]
}
