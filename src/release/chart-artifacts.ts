/**
 * Charts as helm pulls them from a registry, with their provenance and a bundle over each. Whoever signs makes them: a manifest
 * that names a `.prov` names a signature, and the root covers none.
 */
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { chartArtifact } from '../pack/chart-artifact.ts'
import { chartReference } from '../pack/chart-provenance.ts'
import { signArtifact, signKeyless } from '../sign/attach.ts'
import { keyFingerprint } from '../sign/key.ts'
import { readPredicate } from './candidate.ts'
import { maxChartBytes } from './chart-tasks.ts'
import { given } from './given.ts'
import { attachedEntries, entryOfChart } from './oci-entries.ts'
import { pushAttached, type Signing } from './sign-tasks.ts'
import { isChart } from './signed-paths.ts'

/** Gives an index over entries of the layout. `statement` gives the statement and every `.prov`, by title. */
export function chartArtifactsTask(statement: Task, { key, keyless, plan }: Signing, store: ContentStore): Task {
  const { epoch } = plan
  return {
    id: 'charts',
    needs: { statement },
    key: {
      rule: 'charts@1',
      key: keyFingerprint(key.publicKey),
      ...(keyless === undefined ? {} : { keyless: keyless.fingerprint }),
      epoch,
    },
    lane: 'cpu',
    async run(inputs) {
      const beside = given(inputs['statement'])
      const entries = parseIndex(await readBytes(store, beside)).manifests
      const titled = new Map(entries.map((entry) => [entry.annotations?.[annotationKeys.title], entry as Descriptor]))
      const made: Descriptor[] = []
      for (const { path, digest, size } of (await readPredicate(beside, store)).files.filter((file) => isChart(file.path))) {
        const { name, version, reference } = chartReference(path)
        const signature = titled.get(`${path}.prov`)
        const provenance = signature === undefined ? undefined : await readBytes(store, signature, maxChartBytes)
        const tgz = await readBytes(store, { mediaType: mediaTypes.octets, digest, size }, maxChartBytes)
        const { descriptor, text, blobs } = await chartArtifact(tgz, name, version, provenance)
        for (const blob of blobs) await pushBytes(store, blob.descriptor.mediaType, blob.bytes)
        await pushBytes(store, mediaTypes.manifest, text)
        made.push(entryOfChart(reference, descriptor), ...attachedEntries(await signArtifact(descriptor, key, store, epoch)))
        if (keyless !== undefined) made.push(...attachedEntries(await signKeyless(descriptor, keyless, store, epoch)))
      }
      return await pushAttached(store, made)
    },
  }
}
