/** A plan in words for people: image × platform, what is not made and why, what the lock lacks. */
import type { PlatformName } from '../oci/platform.ts'
import { type ImagePlan, type ReleasePlan, upstreamOf } from '../plan/release-plan.ts'
import { changedFiles } from '../plan/source-changes.ts'

export type Lang = 'en' | 'zh'

const words = {
  en: {
    rebuild: 'rebuilt',
    mirror: 'mirrored',
    unsupported: 'unsupported',
    unresolved: 'unresolved',
    image: 'image',
    follows: (plan: ReleasePlan) => `${plan.version} follows ${plan.upstream.version} (commit ${plan.upstream.commit})`,
    bases: 'Bases',
    reasons: 'Unsupported, and why',
    deviations: 'Other sources than upstream’s',
    gaps: 'The lock lacks',
    sum: (images: number, entries: number, rebuilt: number, mirrored: number, charts: number) =>
      `${images} images in ${entries} list entries: ${rebuilt} rebuilt, ${mirrored} mirrored; ${charts} charts`,
    ready: 'The lock is complete.',
    lacking: (count: number) => `${count} inputs are not locked: release would stop with exit 6.`,
  },
  zh: {
    rebuild: '重新构建',
    mirror: '镜像同步',
    unsupported: '不支持',
    unresolved: '未锁定',
    image: '镜像',
    follows: (plan: ReleasePlan) => `${plan.version} 跟随 ${plan.upstream.version}（提交 ${plan.upstream.commit}）`,
    bases: '基础镜像',
    reasons: '不支持的平台及原因',
    deviations: '与上游不同的源码',
    gaps: '锁文件缺少',
    sum: (images: number, entries: number, rebuilt: number, mirrored: number, charts: number) =>
      `${images} 个镜像（清单 ${entries} 条）：${rebuilt} 个重新构建，${mirrored} 个镜像同步；${charts} 个 chart`,
    ready: '锁文件完整。',
    lacking: (count: number) => `${count} 项输入未锁定：release 会以退出码 6 停止。`,
  },
} as const satisfies Record<Lang, unknown>

/** Lines for a terminal; ends with a line feed. Reasons stand as the pipelines and the lock have them. */
export function planText(plan: ReleasePlan, lang: Lang): string {
  const say = words[lang]
  const gaps = new Set(plan.unresolved.map((gap) => gap.what))
  const wholeLock = gaps.has('images.lock')
  const cell = (image: ImagePlan, platform: PlatformName): string => {
    if (image.platforms[platform]?.status !== 'made') return say.unsupported
    if (wholeLock || gaps.has(image.component) || gaps.has(`${image.component}/${platform}`))
      return `${say[image.action]}, ${say.unresolved}`
    return say[image.action]
  }
  const rows = [
    [say.image, ...plan.platforms],
    ...plan.images.map((image) => [
      image.reference.replace(/^docker\.io\//, ''),
      ...plan.platforms.map((platform) => cell(image, platform)),
    ]),
  ]
  const entries = plan.images.reduce((sum, image) => sum + image.groups.length, 0)
  const rebuilt = plan.images.filter((image) => image.action === 'rebuild').length
  const deviating = plan.images.flatMap((image) => [
    ...(image.deviates === undefined ? [] : [`${image.component}: ${image.deviates.from}. ${image.deviates.reason}`]),
    ...changedFiles(image.changes).map(({ file }) => `${image.component}: ${file}`),
  ])
  const bases = plan.platforms.map((platform) => {
    const base = plan.bases[platform]
    return `${platform}: ${base?.name} (${base?.reference})${base?.reason === undefined ? '' : `. ${base.reason}`}`
  })
  return [
    say.follows(plan),
    '',
    ...table(rows),
    '',
    ...section(say.bases, bases),
    ...section(say.reasons, unsupportedLines(plan)),
    ...section(say.deviations, deviating),
    ...section(
      say.gaps,
      plan.unresolved.map((gap) => `${gap.what}: ${gap.reason}`),
    ),
    say.sum(plan.images.length, entries, rebuilt, plan.images.length - rebuilt, plan.charts.length),
    plan.unresolved.length === 0 ? say.ready : say.lacking(plan.unresolved.length),
    '',
  ].join('\n')
}

/** The same reason is said once, with everything it holds for. */
function unsupportedLines(plan: ReleasePlan): readonly string[] {
  const found = new Map<string, string[]>()
  for (const platform of plan.platforms) {
    for (const image of plan.images) {
      const status = image.platforms[platform]
      if (status?.status !== 'unsupported') continue
      const key = `${platform}: ${status.reason}`
      found.set(key, [...(found.get(key) ?? []), image.component])
    }
  }
  return [...found].map(([reason, components]) => `${reason} (${components.join(', ')})`)
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`), '']
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))))
  return rows.map((row) =>
    row
      .map((text, column) => text + ' '.repeat((widths[column] ?? 0) - width(text)))
      .join('  ')
      .trimEnd(),
  )
}

/** Columns in a terminal: Chinese characters take two. */
function width(text: string): number {
  let columns = 0
  for (const character of text)
    columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(character) ? 2 : 1
  return columns
}

/** Graphviz: upstream's image → RFO's, by group; dashed = mirrored, red = not locked. */
export function planDot(plan: ReleasePlan): string {
  const gaps = new Set(plan.unresolved.map((gap) => gap.what.replace(/\/linux\/.*$/, '')))
  const lines = [`digraph ${quote(plan.version)} {`, '  rankdir=LR;', '  node [shape=box];', `  root [label=${quote(plan.version)}];`]
  for (const image of plan.images) {
    const attributes = [`label=${quote(image.action === 'rebuild' ? sourceOf(image) : upstreamOf(image))}`]
    if (gaps.has(image.component) || gaps.has('images.lock')) attributes.push('color=red')
    lines.push(
      `  ${quote(`source/${image.component}`)} [${attributes.join(', ')}];`,
      `  ${quote(image.reference)};`,
      `  ${quote(`source/${image.component}`)} -> ${quote(image.reference)}${image.action === 'mirror' ? ' [style=dashed]' : ''};`,
      ...image.groups.map((group) => `  ${quote(image.reference)} -> ${quote(`group/${group}`)};`),
    )
  }
  for (const group of [...new Set(plan.images.flatMap((image) => image.groups))].sort()) lines.push(`  ${quote(`group/${group}`)} -> root;`)
  for (const chart of plan.charts)
    lines.push(
      `  ${quote(`chart/${chart.name}-${chart.version}`)}${gaps.has(`chart/${chart.name}`) ? ' [color=red]' : ''};`,
      `  ${quote(`chart/${chart.name}-${chart.version}`)} -> root;`,
    )
  return `${[...lines, '}'].join('\n')}\n`
}

function sourceOf(image: ImagePlan): string {
  const { source } = image
  switch (source?.kind) {
    case 'go-module':
      return `${source.module}@${source.version}`
    case 'git':
      return `${source.url} ${source.tag}`
    case 'archive':
      return source.url
    case undefined:
      return image.upstream ?? 'this release'
  }
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
