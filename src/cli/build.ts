/** `build`: compiles, assembles and tries a few images of a release. stdout is a digest for each image and platform. */
import { listDigest } from '../plan/fingerprint.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import type { BuildScope, BuiltImage } from '../release/build.ts'
import { hostArchitecture } from './host.ts'
import { caOption } from './options.ts'
import type { Outcome, Verb } from './verb.ts'
import { openWorld, withPorts, workDirOf } from './world.ts'

export const build: Verb = {
  name: 'build',
  summary: 'build',
  arguments: [
    { syntax: '<version>', help: 'versionArgument' },
    { syntax: '[component...]', help: 'buildComponents' },
  ],
  options: [caOption],
  examples: [
    'build v1.24.8+rfor1 hardened-coredns --sandbox',
    'build v1.25.4+rfor1 hardened-coredns hardened-etcd --platform arm64 --stand-in bases',
  ],
  async run(context, { args: [version = '', ...names] }) {
    const { readInputs, planOf } = await import('../release/inputs.ts')
    const { buildImages, buildScope } = await import('../release/build.ts')
    const { preflight } = await import('../release/preflight.ts')
    const host = hostArchitecture(context.host)
    const inputs = await readInputs(context.cwd, version, context.platforms === undefined ? {} : { platforms: context.platforms })
    const planned = planOf(inputs)
    // a mistyped name is found before anything is touched
    const asked = buildScope(planned, names)
    // where everything is a stand-in, no pin is missing
    if (context.dryRun) return wouldMake(asked, context.standIns === 'all')
    const world = await openWorld(context, planned, inputs.lock, listDigest(inputs.pipelines.upstream))
    try {
      const plan = planOf(inputs, world.lock)
      const scope = buildScope(plan, names)
      await preflight({ plan: scope.needed, env: context.env, writes: [context.storeDir], workDir: workDirOf(context), host })
      const mark = world.standIn === undefined ? {} : { mark: world.standIn.mark }
      const bundle = inputs.bundle === undefined ? {} : { bundle: inputs.bundle }
      const request = { plan, ...bundle, installer: inputs.installer, ...mark, scope, host }
      return outcome(scope, await withPorts(context, world, (ports) => buildImages(request, ports)))
    } finally {
      await world.close()
    }
  },
}

function wouldMake({ images, programOf, leftOut }: BuildScope, all: boolean): Outcome {
  const named: { readonly component: string; readonly platforms: ImagePlan['platforms'] }[] = [
    ...images,
    ...(programOf?.program === undefined ? [] : [{ component: programOf.program.name, platforms: programOf.platforms }]),
    ...(all ? leftOut.map(({ component, image }) => ({ component, platforms: image.platforms })) : []),
  ]
  const made = named
    .flatMap(({ component, platforms }) =>
      Object.entries(platforms).flatMap(([platform, state]) => (state.status === 'made' ? [{ component, platform }] : [])),
    )
    .sort((a, b) => (`${a.component} ${a.platform}` < `${b.component} ${b.platform}` ? -1 : 1))
  return { text: made.map(({ component, platform }) => `${component} ${platform}\n`).join(''), json: { images: made } }
}

function outcome({ leftOut }: BuildScope, images: readonly BuiltImage[]): Outcome {
  return {
    text: images.map(({ component, platform, digest }) => `${component} ${platform} ${digest}\n`).join(''),
    json: {
      images: images.map((image) => ({ ...image })),
      leftOut: leftOut.map(({ component, reason }) => ({ component, reason })),
    },
  }
}
