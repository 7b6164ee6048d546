/** How the release's own program came to be: a provenance that is signed beside the file, as an image's is beside the image. */
import { provenance } from '../attest/provenance.ts'
import { pushBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { tarballName } from '../pack/tarball.ts'
import { prebuiltOf } from '../plan/lock.ts'
import { given } from './given.ts'
import type { OwnProgram } from './own-program.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { builderId } from './sign-tasks.ts'
import { readSourceRecord } from './source-task.ts'

export interface ProvenanceTask {
  /** of the program in the release: `rfo.linux-arm64` */
  readonly path: string
  /** gives the predicate */
  readonly task: Task
}

export function programProvenances(request: ReleaseRequest, own: OwnProgram | undefined, ports: ReleasePorts): ProvenanceTask[] {
  if (own === undefined) return []
  const { plan } = request
  const { program, image, source } = own
  return own.platforms.map(({ platform, task: made, compiler }): ProvenanceTask => {
    const facts = {
      buildType: prebuiltOf(image.locked?.pin) === undefined ? ('compiled' as const) : ('prebuilt' as const),
      component: program.name,
      version: plan.upstream.version,
      platform,
      release: plan.version,
      ...(image.locked?.standIn === undefined ? {} : { standIn: image.locked.standIn }),
      parameters: { build: program.build as unknown as Json, sources: (program.sources ?? []) as unknown as Json },
      ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
      builderId,
      builderVersion: request.toolVersion,
    }
    const task: Task = {
      id: `provenance/${program.name}/${platform}`,
      needs: { program: made, source },
      key: { rule: 'own-provenance@1', facts: facts as unknown as Json },
      lane: 'cpu',
      async run(inputs) {
        const { materials, revision } = await readSourceRecord(ports, given(inputs.source))
        const [first = { uri: revision, digest: {} }, ...others] = materials
        const predicate = provenance({ ...facts, source: { uri: first.uri, digest: first.digest }, materials: others })
        return await pushBytes(ports.store, mediaTypes.json, canonicalJson(predicate))
      },
    }
    return { path: tarballName(platform).program, task }
  })
}
