/** An image where a registry has it. */
import { dockerCredentials } from '../../content/credentials.ts'
import { createRegistrySession, openRegistry } from '../../content/registry.ts'
import type { ContentStore } from '../../content/store.ts'
import { RfoError } from '../../error.ts'
import { formatReference, parseReference } from '../../oci/reference.ts'
import type { ImageArchive } from './unpack.ts'

/** Throws RFO_SBOM_ABSENT (outside) and what the registry's client throws. */
export async function inRegistry(
  text: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly store: ContentStore; readonly image: ImageArchive['images'][number] }> {
  const reference = parseReference(text)
  const session = createRegistrySession({ credentials: dockerCredentials(env), proxy: env })
  const store = openRegistry(reference, { addresses: {}, session, signal })
  const target = await store.resolve(reference.digest ?? reference.tag ?? 'latest')
  if (target === undefined) throw new RfoError('RFO_SBOM_ABSENT', 'the registry has no such image', { exit: 'outside', where: text })
  return { store, image: { name: formatReference(reference), target } }
}
