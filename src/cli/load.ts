/** `load`: a release into a site's registry, or onto a node, and what is there afterwards. */
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { existingTags, LoadedImage, LoadRequest } from '../release/load.ts'
import type { ReleaseFiles } from '../release/shelf.ts'
import { selectionOptions } from './chosen.ts'
import type { CliContext } from './context.ts'
import { placeOf } from './place.ts'
import type { Flags, Outcome, Verb } from './verb.ts'
import { verifiedRelease } from './verified-release.ts'

export const load: Verb = {
  name: 'load',
  summary: 'load',
  arguments: [{ syntax: '<release>', help: 'carriedArgument' }],
  options: [
    { flags: '--to <target>', help: 'loadTo' },
    { flags: '--existing <policy>', help: 'loadExisting', choices: ['refuse', 'skip', 'replace'] },
    { flags: '--ca <file>', help: 'loadCa', completes: 'file' },
    ...selectionOptions,
    { flags: '--allow-downgrade', help: 'loadDowngrade' },
  ],
  examples: [
    'load v1.24.8+rfor1 --key rfo.pub --to oci://registry.site:5000',
    'load /media/rfo --key rfo.pub --to /var/lib/rancher/rfo/agent/images --from-config /etc/rancher/rfo/config.yaml',
    'load /media/rfo --key rfo.pub --to containerd: --group core --group cilium',
    'load /media/rfo --key rfo.pub --to docker:',
    'load /media/rfo-v1.24.8+rfor1.tar --key rfo.pub --to oci://registry.site/mirror --ca site-ca.crt --existing skip',
  ],
  async run(context, { args: [target = ''], flags }) {
    const to = placeOf(flags.text('to') ?? '', context)
    if (to.kind === 'registry') refuseSelection(context, flags)
    if (context.dryRun && to.kind !== 'folder')
      throw new RfoError('RFO_CLI_USAGE', '--dry-run is for a folder of images', { exit: 'usage' })
    const caFile = flags.text('ca')
    const ca = caFile === undefined ? undefined : await (await import('./given-file.ts')).readGivenFile(context, caFile)
    const { files, predicate, root } = await verifiedRelease(context, target)
    try {
      const { highestFile, refuseDowngrade, rememberLoaded } = await import('../release/highest.ts')
      const memory = highestFile(context.env, context.cwd)
      if (!flags.on('allowDowngrade')) await refuseDowngrade(memory, predicate)
      // the parser lets nothing else through
      const existing = (flags.text('existing') ?? 'refuse') as (typeof existingTags)[number]
      const release = { files, predicate, root, existing }
      const outcome =
        to.kind === 'registry'
          ? await ontoRegistry(context, to, release, ca)
          : await (await import('./load-node.ts')).ontoNode(context, flags, to, release)
      if (outcome.failures === undefined && !context.dryRun) await rememberLoaded(memory, predicate)
      return outcome
    } finally {
      await files.close()
    }
  },
}

export interface ReleaseToLoad {
  readonly files: ReleaseFiles
  readonly predicate: ReleasePredicate
  readonly root: Digest
  readonly existing: LoadRequest['existing']
}

async function ontoRegistry(
  context: CliContext,
  to: { readonly registry: string; readonly prefix: string },
  { files, predicate, root, existing }: ReleaseToLoad,
  ca: string | undefined,
): Promise<Outcome> {
  const { offerRelease } = await import('../release/offer.ts')
  const { loadIntoRegistry } = await import('../release/load.ts')
  const { dockerCredentials } = await import('../content/credentials.ts')
  const { createRegistrySession } = await import('../content/registry.ts')
  const images = await loadIntoRegistry({
    offer: await offerRelease(files, predicate),
    to,
    existing,
    session: createRegistrySession({
      credentials: dockerCredentials(context.env),
      proxy: context.env,
      ...(ca === undefined ? {} : { ca }),
    }),
    signal: context.signal,
  })
  return loadedImages(images, { version: predicate.version, root })
}

/** What the target said of each image, one a line. */
export function loadedImages(images: readonly LoadedImage[], json: { readonly [key: string]: Json }): Outcome {
  const lacking = images.filter(({ state }) => state === 'missing')
  return {
    text: images.map(({ state, reference, digest }) => `${state} ${reference} ${digest}\n`).join(''),
    json: { ...json, images: images.map((image) => ({ ...image })) },
    ...(lacking.length === 0 ? {} : { failures: [unfinished(lacking.map(({ reference }) => reference))] }),
  }
}

function refuseSelection(context: CliContext, flags: Flags): void {
  if (context.platforms === undefined && flags.list('group') === undefined && flags.text('fromConfig') === undefined) return
  throw new RfoError('RFO_CLI_USAGE', 'a registry gets the whole release: --platform, --group and --from-config are for nodes', {
    exit: 'usage',
  })
}

export function unfinished(references: readonly string[]): RfoError {
  return new RfoError('RFO_LOAD_MISSING', `${references.length} images are not there, or not with their signatures`, {
    exit: 'unfinished',
    details: references,
    next: 'run the same command again',
  })
}
