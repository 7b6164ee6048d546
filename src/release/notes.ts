/** RELEASE.md and RELEASE.zh.md: what a person reads first who opens the folder. Pure text from plan and digests. */
import { type Digest, hex } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { UpstreamDefect } from '../plan/chart-facts.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { appliedFiles, shippedPath } from '../plan/source-changes.ts'
import { standInsOf } from './labels.ts'
import type { Support } from './support-task.ts'

export type NotesLanguage = 'en' | 'zh'

interface Words {
  readonly made: (upstream: string) => string
  readonly standIn: string
  readonly standIns: string
  readonly bases: string
  readonly images: string
  readonly deviations: string
  readonly missing: string
  readonly check: string
  readonly checkWithout: (verifier: string) => string
  readonly checkWithNode: (verifier: string) => string
  readonly support: string
  readonly bootable: string
  readonly partial: (count: number) => string
  readonly choice: string
  readonly defects: string
  readonly defect: (defect: UpstreamDefect) => string
  readonly unproven: string
  readonly notProven: readonly string[]
  readonly start: string
  readonly steps: (arch: string) => readonly string[]
  readonly columns: readonly [string, string, string]
}

const words: Record<NotesLanguage, Words> = {
  en: {
    made: (upstream) => `Made from ${upstream}.`,
    standIn: '**Not for use: inputs of this release are stand-ins.** They are named below and in evidence/release.json.',
    standIns: 'Stand-ins',
    bases: 'Bases',
    images: 'Images',
    deviations: 'Sources other than upstream’s',
    missing: 'Not provided',
    check: 'Check it, without a network: `rfo-build verify . --key <public key>`; or `sha256sum -c sha256sum-<arch>.txt`.',
    checkWithout: (verifier) =>
      `Without rfo-build, with openssl and sha256sum: \`sh verify.sh --key <public key>\`; its SHA-256 is \`${verifier}\`.`,
    checkWithNode: (verifier) =>
      `With nothing but Node (18 or later): \`node rfo-verify.cjs . --key <public key>\`; its SHA-256 is \`${verifier}\`.`,
    columns: ['image', 'made by', 'platforms'],
    support: 'Support',
    bootable: 'bootable',
    partial: (count) => `partial: ${count} images missing`,
    choice: 'configuration',
    defects: 'Known defects of upstream’s charts',
    defect: (one) =>
      one.kind === 'image'
        ? `${one.chart} needs ${one.reference}, which no list holds (${one.where})`
        : one.kind === 'architecture'
          ? `${one.chart} runs on ${one.architecture} alone by its own values (${one.where})`
          : `${one.chart} says it is for Kubernetes ${one.range}; this is ${one.kubernetes}`,
    unproven: 'Not proven',
    notProven: [
      'No cluster was started with these images: bootable means that every image which charts and static pods name is there.',
      'Nothing was installed: install, join, snapshot, restore, rotation of certificates and keys, upgrade and removal are checks without a result. What ran later lies signed in evidence/, and verify tells it.',
      'Vulnerabilities were not judged.',
    ],
    start: 'Quick start',
    steps: (arch) => [
      `1. Check this folder (see the end), then copy \`rfo-images.linux-${arch}.tar.zst\` to \`/var/lib/rancher/rfo/agent/images/\`.`,
      '2. Configuration is `/etc/rancher/rfo/config.yaml`; the cluster’s kubeconfig appears as `/etc/rancher/rfo/rfo.yaml`.',
      '   (The announcement of 2023 writes rfo.yml in one place; the file is rfo.yaml.)',
    ],
  },
  zh: {
    made: (upstream) => `基于 ${upstream} 制作。`,
    standIn: '**不可用于生产：本发布的部分输入为替身。** 详见下文与 evidence/release.json。',
    standIns: '替身',
    bases: '基础镜像',
    images: '镜像',
    deviations: '与上游不同的来源',
    missing: '未提供',
    check: '离线校验：`rfo-build verify . --key <公钥>`；或 `sha256sum -c sha256sum-<arch>.txt`。',
    checkWithout: (verifier) =>
      `没有 rfo-build 时，用 openssl 与 sha256sum 校验：\`sh verify.sh --key <公钥>\`；该脚本的 SHA-256 为 \`${verifier}\`。`,
    checkWithNode: (verifier) =>
      `只有 Node（18 或更高版本）时：\`node rfo-verify.cjs . --key <公钥>\`；该文件的 SHA-256 为 \`${verifier}\`。`,
    columns: ['镜像', '方式', '平台'],
    support: '支持情况',
    bootable: '可启动',
    partial: (count) => `不完整：缺少 ${count} 个镜像`,
    choice: '配置',
    defects: '上游 chart 的已知缺陷',
    defect: (one) =>
      one.kind === 'image'
        ? `${one.chart} 需要 ${one.reference}，但没有任何清单包含它（${one.where}）`
        : one.kind === 'architecture'
          ? `${one.chart} 按其默认值只能运行在 ${one.architecture}（${one.where}）`
          : `${one.chart} 声明只适用于 Kubernetes ${one.range}；这里是 ${one.kubernetes}`,
    unproven: '尚未证明',
    notProven: [
      '没有用这些镜像启动过集群：“可启动”指 chart 与静态 Pod 所引用的镜像均在清单中。',
      '没有安装过：安装、加入、快照、恢复、证书与密钥轮换、升级和卸载都是没有结果的检查。此后运行的结果以签名形式位于 evidence/，由 verify 列出。',
      '没有评估漏洞。',
    ],
    start: '快速开始',
    steps: (arch) => [
      `1. 校验本目录（见文末），再把 \`rfo-images.linux-${arch}.tar.zst\` 复制到 \`/var/lib/rancher/rfo/agent/images/\`。`,
      '2. 配置文件为 `/etc/rancher/rfo/config.yaml`；集群的 kubeconfig 为 `/etc/rancher/rfo/rfo.yaml`。',
      '   （2023 年的公告有一处写作 rfo.yml，实际文件名是 rfo.yaml。）',
    ],
  },
}

export interface Verifiers {
  /** of verify.sh */
  readonly shell: Digest
  /** of rfo-verify.cjs */
  readonly node: Digest
}

/** `verifiers`: whoever trusts these notes can trust those scripts. */
export function releaseNotes(
  plan: ReleasePlan,
  digests: ReadonlyMap<string, Digest>,
  support: Support,
  verifiers: Verifiers,
  language: NotesLanguage,
): string {
  const say = words[language]
  const anyStandIn = plan.images.some((image) => plan.platforms.some((platform) => standInsOf(plan, image, platform).length > 0))
  const made = (image: (typeof plan.images)[number]): PlatformName[] =>
    plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
  const lines = [
    `# RFO ${plan.version}`,
    '',
    say.made(`${plan.upstream.version} (${plan.upstream.commit})`),
    ...(anyStandIn ? ['', say.standIn] : []),
    '',
    `## ${say.start}`,
    '',
    ...say.steps(plan.platforms[0]?.slice('linux/'.length) ?? ''),
    '',
    `## ${say.support}`,
    '',
    `| ${say.choice} | ${plan.platforms.join(' | ')} |`,
    `|---|${plan.platforms.map(() => '---|').join('')}`,
    ...[{ kind: '', choice: '', platforms: support.platforms }, ...support.matrix].map(({ kind, choice, platforms }) => {
      const cells = plan.platforms.map((platform) => {
        const state = platforms[platform]
        return state?.status === 'partial' ? say.partial(state.missing.length) : say.bootable
      })
      return `| ${kind === '' ? 'default' : `${kind}: ${choice}`} | ${cells.join(' | ')} |`
    }),
    '',
    ...section(
      say.defects,
      support.defects.map((defect) => `- ${say.defect(defect)}`),
    ).slice(1),
    ...(support.defects.length === 0 ? [] : ['']),
    `## ${say.unproven}`,
    '',
    ...say.notProven.map((line) => `- ${line}`),
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
      say.standIns,
      plan.images.flatMap((image) => {
        const said = new Set(made(image).flatMap((platform) => standInsOf(plan, image, platform)))
        return said.size === 0 ? [] : [`- ${image.component}: ${[...said].join('; ')}`]
      }),
    ),
    ...section(
      say.deviations,
      plan.images.flatMap((image) => [
        ...(image.deviates === undefined ? [] : [`- ${image.component}: ${image.deviates.from}: ${image.deviates.reason}`]),
        ...appliedFiles(image).map((each) => `- ${image.component}: [${shippedPath(each)}](${shippedPath(each)})`),
      ]),
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
    say.checkWithout(hex(verifiers.shell)),
    '',
    say.checkWithNode(hex(verifiers.node)),
    '',
  ]
  return lines.join('\n')
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `## ${title}`, '', ...lines]
}
