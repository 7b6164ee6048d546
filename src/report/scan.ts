/** Findings of a scan, in words for people: a table by image. */
import type { Language } from './messages.ts'
import { printable } from './printable.ts'

export interface SnapshotTold {
  readonly digest: string
  readonly taken: string
  readonly ageDays: number
  readonly openeuler: number
  readonly go: number
  readonly standIn?: string | undefined
}

export interface ScanTold {
  readonly snapshot: SnapshotTold
  /** the day that is judged */
  readonly at: string
  readonly images: readonly {
    readonly reference: string
    readonly platform: string
    readonly verdict: string
    readonly stream?: string
    readonly why?: string
    readonly listed?: { readonly author: string; readonly reason: string; readonly expires: string }
    readonly packages: number
    readonly modules: number
    readonly unversioned: readonly string[]
    readonly findings: readonly FindingTold[]
  }[]
}

export interface FindingTold {
  readonly state: string
  readonly severity: string
  readonly advisory: string
  readonly aliases: readonly string[]
  readonly component: string
  readonly installed: string
  readonly fixed?: string
  readonly until?: string
  readonly statement?: {
    readonly id: string
    readonly author: string
    readonly status: string
    readonly justification?: string | undefined
  }
}

const words = {
  en: {
    snapshot: (one: SnapshotTold) =>
      `advisories of ${one.taken}, ${one.ageDays} days old: ${one.openeuler} of openEuler, ${one.go} of Go; ${one.digest}`,
    standIn: (what: string) => `STAND-IN for ${what}: real advisories are others`,
    image: (packages: number, modules: number) => `${packages} packages, ${modules} Go modules`,
    fixed: (version: string) => `fixed in ${version}`,
    noFix: 'no fix',
    until: (day: string) => `until ${day}`,
    by: (author: string, status: string, why: string, id: string) => `${status}${why === '' ? '' : ` (${why})`}, says ${author}: ${id}`,
    listed: (author: string, reason: string, expires: string) => `shipped unjudged by ${author}: ${reason}; until ${expires}`,
    unversioned: (count: number, some: string) => `${count} modules of unknown version: ${some}`,
    sum: (fails: number, images: number, unjudged: number, undecided: number) =>
      `${fails} findings may not be shipped; ${images} images, ${unjudged} unjudged, ${undecided} undecided`,
  },
  zh: {
    snapshot: (one: SnapshotTold) =>
      `公告截至 ${one.taken}，已有 ${one.ageDays} 天：openEuler ${one.openeuler} 条，Go ${one.go} 条；${one.digest}`,
    standIn: (what: string) => `${what} 的替身：真实公告与此不同`,
    image: (packages: number, modules: number) => `${packages} 个软件包，${modules} 个 Go 模块`,
    fixed: (version: string) => `已在 ${version} 修复`,
    noFix: '尚无修复',
    until: (day: string) => `至 ${day}`,
    by: (author: string, status: string, why: string, id: string) => `${status}${why === '' ? '' : `（${why}）`}，出自 ${author}：${id}`,
    listed: (author: string, reason: string, expires: string) => `由 ${author} 未经判定而发布：${reason}；至 ${expires}`,
    unversioned: (count: number, some: string) => `${count} 个模块版本不明：${some}`,
    sum: (fails: number, images: number, unjudged: number, undecided: number) =>
      `不可发布的发现 ${fails} 个；镜像 ${images} 个，未判定 ${unjudged} 个，无法判定 ${undecided} 个`,
  },
} as const satisfies Record<Language, unknown>

/** How many names a terminal shows; --json names all. */
const shown = 5

export function snapshotText(snapshot: SnapshotTold, lang: Language): string {
  const say = words[lang]
  const standIn = snapshot.standIn === undefined ? '' : `\n${say.standIn(printable(snapshot.standIn))}`
  return `${say.snapshot(snapshot)}${standIn}`
}

export function scanText({ snapshot, images }: ScanTold, lang: Language): string {
  const say = words[lang]
  const lines: string[] = [snapshotText(snapshot, lang)]
  for (const image of images) {
    const stream = image.stream === undefined ? '' : `openEuler ${image.stream}, `
    lines.push(
      `${image.verdict.padEnd(9)} ${printable(image.reference)} ${image.platform}  ${stream}${say.image(image.packages, image.modules)}`,
    )
    if (image.why !== undefined) lines.push(`  ${printable(image.why)}`)
    if (image.listed !== undefined) lines.push(`  ${say.listed(image.listed.author, image.listed.reason, image.listed.expires)}`)
    if (image.unversioned.length > 0)
      lines.push(`  ${say.unversioned(image.unversioned.length, printable(image.unversioned.slice(0, shown).join(', ')))}`)
    for (const finding of image.findings) lines.push(`  ${findingLine(finding, lang)}`)
  }
  const count = (verdict: string): number => images.filter((image) => image.verdict === verdict).length
  const fails = images.reduce((sum, { findings }) => sum + findings.filter(({ state }) => state === 'fails').length, 0)
  lines.push(say.sum(fails, images.length, count('unjudged'), count('undecided')))
  return `${lines.join('\n')}\n`
}

function findingLine(finding: FindingTold, lang: Language): string {
  const say = words[lang]
  const { state, severity, advisory, aliases, component, installed, fixed, until, statement } = finding
  const cves = aliases.filter((alias) => alias.startsWith('CVE-')).slice(0, shown)
  return [
    `${state.padEnd(10)} ${severity.padEnd(8)} ${printable(advisory)}`,
    `${printable(component)} ${printable(installed)}`,
    fixed === undefined ? say.noFix : say.fixed(printable(fixed)),
    ...(cves.length === 0 ? [] : [cves.join(' ')]),
    ...(until === undefined ? [] : [say.until(until)]),
    ...(statement === undefined
      ? []
      : [say.by(printable(statement.author), statement.status, statement.justification ?? '', printable(statement.id))]),
  ].join('  ')
}
