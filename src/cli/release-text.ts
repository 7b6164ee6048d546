/** What `release` tells a person at the end, in ten lines. */
import type { ReleasePlan } from '../plan/release-plan.ts'
import type { Language } from '../report/messages.ts'

export interface ReleaseTold {
  readonly plan: ReleasePlan
  readonly root: string
  readonly fingerprint: string
  /** as a person types it */
  readonly folder: string
  readonly publicKey: string
  readonly unchanged: boolean
  readonly standIns: 'all' | readonly string[]
}

interface Words {
  readonly made: string
  readonly already: string
  readonly images: (rebuilt: number, mirrored: number, missing: number) => string
  readonly root: string
  readonly key: string
  readonly folder: string
  readonly all: string
  readonly some: (kinds: string) => string
  readonly real: string
  readonly next: string
}

const words: Readonly<Record<Language, Words>> = {
  en: {
    made: 'made',
    already: 'nothing to do, it is there already:',
    images: (rebuilt, mirrored, missing) =>
      `${rebuilt} images rebuilt, ${mirrored} mirrored; ${missing} times an image is not provided for a platform (RELEASE.md says why)`,
    root: 'root   ',
    key: 'signer ',
    folder: 'folder ',
    all: 'SANDBOX: every input is a stand-in. Not for use.',
    some: (kinds) => `SANDBOX: stand-ins took the place of ${kinds}. Not for use.`,
    real: 'All inputs are those that images.lock pins.',
    next: 'next:',
  },
  zh: {
    made: '已制作',
    already: '无需任何操作，已经存在：',
    images: (rebuilt, mirrored, missing) =>
      `重建 ${rebuilt} 个镜像，镜像同步 ${mirrored} 个；${missing} 处平台未提供（原因见 RELEASE.zh.md）`,
    root: '根摘要 ',
    key: '签名者 ',
    folder: '目录   ',
    all: 'SANDBOX：所有输入均为替身，不可用于生产。',
    some: (kinds) => `SANDBOX：以下输入为替身：${kinds}，不可用于生产。`,
    real: '全部输入均由 images.lock 固定。',
    next: '下一步：',
  },
}

export function releaseSummary(told: ReleaseTold, lang: Language): string {
  const say = words[lang]
  const { plan, standIns } = told
  const count = (action: string): number => plan.images.filter((image) => image.action === action).length
  const missing = plan.images
    .flatMap((image) => Object.values(image.platforms))
    .filter((platform) => platform?.status === 'unsupported').length
  const mark = standIns === 'all' ? say.all : standIns.length > 0 ? say.some(standIns.join(', ')) : say.real
  return [
    `RFO ${plan.version}: ${told.unchanged ? say.already : say.made} ${plan.upstream.version} → ${plan.platforms.join(', ')}`,
    say.images(count('rebuild'), count('mirror'), missing),
    `${say.root} ${told.root}`,
    `${say.key} ${told.fingerprint}`,
    `${say.folder} ${told.folder}`,
    mark,
    say.next,
    `  npx rfo-build verify ${plan.version} --key ${told.publicKey}`,
    `  npx rfo-build plan ${plan.version}`,
    `  ls ${told.folder}`,
    '',
  ].join('\n')
}
