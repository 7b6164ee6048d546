/** The provenance of each program outside the images: signed, about that very file, and of this release. */
import { join } from 'node:path'
import { z } from 'zod'
import type { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { Json } from '../../oci/json.ts'
import type { PublicKey } from '../../sign/key.ts'
import { verifyBundle } from '../../sign/verify.ts'
import { provenanceStatement } from '../file-statements.ts'
import { programArchitecture, provenancePath } from '../signed-paths.ts'
import { programFiles } from './files.ts'
import { untrusted } from './finding.ts'
import { readSmall } from './tree.ts'

/** A program of two thousand modules names each in 300 bytes. */
const maxProvenanceBytes = 8 * 1024 * 1024

/** https://slsa.dev/spec/v1.0/provenance, as far as it is compared. */
const Provenance = z.object({
  buildDefinition: z.object({
    buildType: z.string().min(1),
    externalParameters: z.object({ release: z.string(), platform: z.string(), parameters: z.unknown() }),
    resolvedDependencies: z.array(z.object({ uri: z.string().min(1), digest: z.record(z.string(), z.string()) })).min(1),
  }),
  runDetails: z.object({ builder: z.object({ id: z.string().min(1) }) }),
})

export async function verifyPrograms(
  folder: string,
  predicate: ReleasePredicate,
  key: PublicKey,
): Promise<{ readonly count: number; readonly findings: readonly RfoError[] }> {
  const findings: RfoError[] = []
  const files = programFiles(predicate)
  for (const { path, digest } of files) {
    const where = provenancePath(digest)
    try {
      const bundle = await readSmall(join(folder, where), maxProvenanceBytes, where)
      if (bundle === undefined) {
        findings.push(untrusted('RFO_VERIFY_MISSING', `no provenance of ${path}`, where))
        continue
      }
      const { statement, payload } = verifyBundle(bundle, { keys: [key], predicateType: predicateTypes.slsaProvenance })
      // one subject, and it is this file
      if (!provenanceStatement(path, digest, statement.predicate as Json).equals(payload))
        findings.push(untrusted('RFO_SIGN_SUBJECT', 'the provenance is about another file', where))
      const problem = problemOf(statement.predicate, predicate.version, `linux/${programArchitecture(path)}`)
      if (problem !== undefined) findings.push(untrusted('RFO_VERIFY_PROVENANCE', problem, where))
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(where))
    }
  }
  return { count: files.length, findings }
}

function problemOf(predicate: unknown, version: string, platform: string): string | undefined {
  const parsed = Provenance.safeParse(predicate)
  if (!parsed.success) return `not a provenance: ${parsed.error.issues[0]?.path.join('.')}`
  const { release, platform: said } = parsed.data.buildDefinition.externalParameters
  return release === version && said === platform ? undefined : `it is about ${said} of ${release}`.slice(0, 300)
}
