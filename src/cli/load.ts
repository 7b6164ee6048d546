/** `load`: a release into a site's registry, and what is there afterwards. */
import { RfoError } from '../error.ts'
import { isRegistry, isRepository } from '../oci/reference.ts'
import type { existingTags } from '../release/load.ts'
import type { Verb } from './verb.ts'
import { verifiedRelease } from './verified-release.ts'

export const load: Verb = {
  name: 'load',
  summary: 'load',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [
    { flags: '--to <target>', help: 'loadTo' },
    { flags: '--existing <policy>', help: 'loadExisting', choices: ['refuse', 'skip', 'replace'] },
    { flags: '--ca <file>', help: 'loadCa', completes: 'file' },
  ],
  examples: [
    'load v1.24.8+rfor1 --key rfo.pub --to oci://registry.site:5000',
    'load /media/rfo --key rfo.pub --to oci://registry.site/mirror --ca site-ca.crt --existing skip',
  ],
  async run(context, { args: [target = ''], flags }) {
    const to = placeOf(flags.text('to') ?? '')
    const caFile = flags.text('ca')
    const ca = caFile === undefined ? undefined : await (await import('./given-file.ts')).readGivenFile(context, caFile)
    const { files, predicate, root } = await verifiedRelease(context, target)
    const { offerRelease } = await import('../release/offer.ts')
    const { loadIntoRegistry } = await import('../release/load.ts')
    const { dockerCredentials } = await import('../content/credentials.ts')
    const { createRegistrySession } = await import('../content/registry.ts')
    const images = await loadIntoRegistry({
      offer: await offerRelease(files, predicate),
      to,
      existing: (flags.text('existing') ?? 'refuse') as (typeof existingTags)[number] /* the parser lets nothing else through */,
      session: createRegistrySession({
        credentials: dockerCredentials(context.env),
        proxy: context.env,
        ...(ca === undefined ? {} : { ca }),
      }),
      signal: context.signal,
    })
    await files.close()
    const lacking = images.filter(({ state }) => state === 'missing')
    return {
      text: images.map(({ state, reference, digest }) => `${state} ${reference} ${digest}\n`).join(''),
      json: { version: predicate.version, root, images: images.map((image) => ({ ...image })) },
      ...(lacking.length === 0 ? {} : { failures: [unfinished(lacking.map(({ reference }) => reference))] }),
    }
  },
}

/** `oci://host[:port][/prefix]` */
function placeOf(text: string): { readonly registry: string; readonly prefix: string } {
  const [, registry = '', prefix = ''] = /^oci:\/\/([^/]+)(?:\/(.+?))?\/?$/.exec(text) ?? []
  if (isRegistry(registry) && (prefix === '' || isRepository(prefix))) return { registry, prefix }
  throw new RfoError('RFO_CLI_USAGE', `not a place to load into: ${JSON.stringify(text.slice(0, 100))}`, {
    exit: 'usage',
    next: '--to oci://<host>[:<port>][/<prefix>]',
  })
}

function unfinished(references: readonly string[]): RfoError {
  return new RfoError('RFO_LOAD_MISSING', `${references.length} images are not there, or not with their signatures`, {
    exit: 'unfinished',
    details: references,
    next: 'run the same command again',
  })
}
