/** `plan`: what a release consists of. Reads pipelines/ and images.lock, touches nothing else. */
import type { Verb } from './verb.ts'

export const plan: Verb = {
  name: 'plan',
  summary: 'plan',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [{ flags: '--dot', help: 'planDot' }],
  examples: ['plan v1.24.8+rfor1', 'plan v1.24.8+rfor1 --json --platform arm64', 'plan v1.24.8+rfor1 --dot'],
  async run(context, { args, flags }) {
    const { planOf, readInputs } = await import('../release/inputs.ts')
    const { planDot, planText } = await import('../report/plan.ts')
    const platforms = context.platforms === undefined ? {} : { platforms: context.platforms }
    const decided = planOf(await readInputs(context.cwd, args[0] ?? '', platforms))
    return {
      text: flags.on('dot') ? planDot(decided) : planText(decided, context.lang),
      json: { plan: JSON.parse(JSON.stringify(decided)) },
    }
  },
}
