/** What is due, in words for people: lines for a terminal, and the issue that asks for a release. */
import type { Due, LineState, Skipped } from '../plan/policy.ts'
import type { Language } from './messages.ts'
import { printable } from './printable.ts'

export interface HitTold {
  readonly version: string
  readonly judgedBy: string
  readonly advisories: readonly {
    readonly advisory: string
    readonly severity: string
    readonly packages: readonly string[]
    readonly images: readonly string[]
    readonly unseen: boolean
  }[]
}

export interface TrackTold {
  readonly source: string
  readonly at: string
  readonly lines: readonly LineState[]
  readonly odd: readonly { readonly name: string; readonly why: string }[]
  readonly versions: number
}

const words = {
  en: {
    head: (told: TrackTold) => `${told.versions} releases and candidates of RKE2 in ${told.source}, as of ${told.at}`,
    line: (due: Due) => `a new line, out since ${due.since}`,
    patch: (due: Due) => `follows ${due.made}; RKE2 is ahead since ${due.since}`,
    revision: (due: Due) => `RKE2 made ${due.upstream} after ${due.made}, on ${due.since}`,
    more: (count: number) => `${count} releases of RKE2 at once`,
    due: (when: string) => `due ${when}`,
    overdue: (days: number) => `OVERDUE by ${days} ${days === 1 ? 'day' : 'days'}`,
    current: (made: string) => `nothing is due after ${made}`,
    none: 'nothing is due',
    skipped: (upstream: string, why: string) => `${upstream} skipped: ${why}`,
    same: (than: string) => `the same images and charts as ${than}`,
    ended: (day: string) => `ended on ${day}`,
    odd: (count: number, names: string) => `${count} tags are no versions of RKE2: ${names}`,
    sum: (due: number, overdue: number) => `${due} due, ${overdue} of them overdue`,
    clean: (told: HitTold) => `${told.version}: nothing critical or high of openEuler is known in it`,
    hit: (count: number, told: HitTold) =>
      `${told.version}: ${count} advisories of openEuler, critical or high (judged by those of ${told.judgedBy})`,
    images: (count: number) => `in ${count} ${count === 1 ? 'image' : 'images'}`,
    known: 'known when it was judged',
    title: (due: Due) => `${due.version}: follow RKE2 ${due.upstream}`,
    ask: (due: Due) => `RKE2 ${due.upstream} (commit ${due.commit}) is not followed yet.`,
    answers: 'RKE2’s releases that this one answers',
    do: 'What to do',
  },
  zh: {
    head: (told: TrackTold) => `${told.source} 中有 ${told.versions} 个 RKE2 版本（含候选），截至 ${told.at}`,
    line: (due: Due) => `新的版本线，自 ${due.since} 起`,
    patch: (due: Due) => `接续 ${due.made}；RKE2 自 ${due.since} 起领先`,
    revision: (due: Due) => `RKE2 在 ${due.made} 之后于 ${due.since} 发布了 ${due.upstream}`,
    more: (count: number) => `一次跟上 ${count} 个 RKE2 版本`,
    due: (when: string) => `期限 ${when}`,
    overdue: (days: number) => `已逾期 ${days} 天`,
    current: (made: string) => `${made} 之后没有到期的`,
    none: '没有到期的',
    skipped: (upstream: string, why: string) => `跳过 ${upstream}：${why}`,
    same: (than: string) => `镜像与 chart 同 ${than}`,
    ended: (day: string) => `已于 ${day} 终止`,
    odd: (count: number, names: string) => `${count} 个标签不是 RKE2 的版本：${names}`,
    sum: (due: number, overdue: number) => `到期 ${due} 个，其中逾期 ${overdue} 个`,
    clean: (told: HitTold) => `${told.version}：其中没有已知的 openEuler 严重或高危公告`,
    hit: (count: number, told: HitTold) =>
      `${told.version}：命中 ${count} 条 openEuler 严重或高危公告（判定依据为 ${told.judgedBy} 的公告）`,
    images: (count: number) => `涉及 ${count} 个镜像`,
    known: '判定时已知',
    title: (due: Due) => `${due.version}：跟随 RKE2 ${due.upstream}`,
    ask: (due: Due) => `RKE2 ${due.upstream}（提交 ${due.commit}）尚未跟随。`,
    answers: '本次发布所对应的 RKE2 版本',
    do: '要做的事',
  },
} as const satisfies Record<Language, unknown>

/** How many odd names a terminal shows; --json names all. */
const shownOdd = 5

export function trackText(told: TrackTold, lang: Language): string {
  const say = words[lang]
  const due = told.lines.filter((line) => line.state === 'due')
  return [
    say.head(told),
    ...told.lines.flatMap((line) => lineText(line, lang)),
    ...(told.odd.length === 0 ? [] : [say.odd(told.odd.length, oddNames(told.odd))]),
    say.sum(due.length, due.filter(({ overdue }) => overdue).length),
  ].join('\n')
}

export function hitText(told: HitTold, lang: Language): string {
  const say = words[lang]
  if (told.advisories.length === 0) return say.clean(told)
  const lines = told.advisories.map(({ advisory, severity, packages, images, unseen }) =>
    [
      `  ${severity.padEnd(8)} ${printable(advisory)}`,
      packages.map(printable).join(', '),
      say.images(images.length),
      ...(unseen ? [] : [say.known]),
    ].join('; '),
  )
  return [say.hit(told.advisories.length, told), ...lines].join('\n')
}

function lineText(line: LineState, lang: Language): readonly string[] {
  const say = words[lang]
  const put = (text: string): string => `${line.line.padEnd(6)} ${text}`
  if (line.state === 'ended') return [put(say.ended(line.ended))]
  if (line.state === 'current')
    return [put(line.made === undefined ? say.none : say.current(line.made)), ...line.skipped.map((each) => put(skippedText(each, lang)))]
  const more = line.answers.length > 1 ? [say.more(line.answers.length)] : []
  const late = line.overdue ? [say.overdue(line.daysLate)] : []
  return [put([`${line.version} (${line.upstream})`, say[line.why](line), ...more, say.due(line.due), ...late].join('; '))]
}

function skippedText({ upstream, because }: Skipped, lang: Language): string {
  const say = words[lang]
  return say.skipped(upstream, 'same' in because ? say.same(because.same) : printable(because.reason))
}

/** Those with strange characters first. What a terminal does not show is written out. */
function oddNames(odd: TrackTold['odd']): string {
  const strange = odd.toSorted((a, b) => Number(b.why.startsWith('U+')) - Number(a.why.startsWith('U+')))
  const names = strange.slice(0, shownOdd).map(({ name }) => JSON.stringify(name).replace(/[^ -~]/g, escaped))
  return [...names, ...(odd.length > shownOdd ? ['…'] : [])].join(', ')
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Markdown. `mark` is the same for a version in every language. */
export function issueText(due: Due, lang: Language): { readonly mark: string; readonly title: string; readonly body: string } {
  const say = words[lang]
  return {
    mark: due.version,
    title: say.title(due),
    body: [
      say.ask(due),
      '',
      `- ${say[due.why](due)}`,
      `- ${say.due(due.due)}`,
      `- ${say.answers}: ${due.answers.map((name) => `\`${name}\``).join(', ')}`,
      '',
      `${say.do}:`,
      '',
      '```sh',
      `npx --no-install rfo-build lock ${due.version} --upstream ${due.upstream}`,
      `npx --no-install rfo-build release ${due.version}`,
      '```',
    ].join('\n'),
  }
}
