/** `plan`: what a release consists of. Reads pipelines/ and images.lock, touches nothing else. */
import type { PlatformName } from '../oci/platform.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { Language } from '../report/messages.ts'
import type { Verb } from './verb.ts'
import { type WordKey, word } from './words.ts'

export const plan: Verb = {
  name: 'plan',
  summary: 'plan',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [],
  examples: ['plan v1.24.8+rfor1', 'plan v1.24.8+rfor1 --json --platform arm64'],
  async run(context, { args }) {
    const { planOf, readInputs } = await import('../release/inputs.ts')
    const platforms = context.platforms === undefined ? {} : { platforms: context.platforms }
    const decided = planOf(await readInputs(context.cwd, args[0] ?? '', platforms))
    return { text: planText(decided, context.lang), json: { plan: JSON.parse(JSON.stringify(decided)) } }
  },
}

/** A table of image × platform, then why, then what is missing. */
export function planText(decided: ReleasePlan, lang: Language): string {
  const say = (key: WordKey, values?: Readonly<Record<string, string | number>>): string => word(lang, key, values)
  const names = decided.images.map((image) => image.component)
  const first = Math.max(...names.map((name) => name.length), 10)
  const columns = decided.platforms.map((platform) => platform.replace('linux/', '').padEnd(11))
  const rows = decided.images.map((image) =>
    `${image.component.padEnd(first)}  ${decided.platforms.map((at) => say(stateOf(image, at)).padEnd(11)).join(' ')}`.trimEnd(),
  )
  const cells = decided.images.flatMap((image) => decided.platforms.map((at) => stateOf(image, at)))
  const count = (state: WordKey): number => cells.filter((each) => each === state).length
  return [
    say('planHead', { version: decided.version, upstream: decided.upstream.version }),
    '',
    `${''.padEnd(first)}  ${columns.join(' ')}`.trimEnd(),
    ...rows,
    '',
    say('planSum', {
      images: names.length,
      rebuilt: count('planRebuilt'),
      mirrored: count('planMirrored'),
      unsupported: count('planUnsupported'),
      charts: decided.charts.length,
    }),
    ...section(say('planReasons'), reasonsOf(decided)),
    ...section(
      say('planUnresolved', { count: decided.unresolved.length }),
      decided.unresolved.map(({ what, reason }) => `${what}: ${reason}`),
    ),
  ].join('\n')
}

function stateOf(image: ImagePlan, platform: PlatformName): WordKey {
  if (image.platforms[platform]?.status !== 'made') return 'planUnsupported'
  return image.action === 'rebuild' ? 'planRebuilt' : 'planMirrored'
}

/** Many components share a reason: each is said once, with those that it holds for. */
function reasonsOf(decided: ReleasePlan): readonly string[] {
  const holders = new Map<string, string[]>()
  for (const image of decided.images) {
    for (const platform of decided.platforms) {
      const state = image.platforms[platform]
      if (state?.status !== 'unsupported') continue
      const holds = holders.get(state.reason) ?? []
      holders.set(state.reason, [...holds, `${image.component} ${platform}`])
    }
  }
  return [...holders].flatMap(([reason, holds]) => [reason, ...holds.map((each) => `  ${each}`)])
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}
