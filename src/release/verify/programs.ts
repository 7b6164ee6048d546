/** The provenance of each program outside the images: signed, about that very file, and of this release. */
import type { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { Json } from '../../oci/json.ts'
import { verifyBundle } from '../../sign/verify.ts'
import { provenanceStatement } from '../file-statements.ts'
import { programArchitecture, provenancePath } from '../signed-paths.ts'
import { programFiles } from './files.ts'
import { untrusted } from './finding.ts'
import type { Trusted } from './images.ts'
import type { ReleasePlace } from './place.ts'
import { type Built, builtOf } from './provenance.ts'
import { refuseSigner } from './signers.ts'

/** A program of two thousand modules names each in 300 bytes. */
const maxProvenanceBytes = 8 * 1024 * 1024

export async function verifyPrograms(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  { keys, signers }: Trusted,
): Promise<{ readonly count: number; readonly built: readonly Built[]; readonly findings: readonly RfoError[] }> {
  const findings: RfoError[] = []
  const built: Built[] = []
  const files = programFiles(predicate)
  for (const { path, digest } of files) {
    const where = provenancePath(digest)
    try {
      const bundle = await place.small(where, maxProvenanceBytes)
      if (bundle === undefined) {
        findings.push(untrusted('RFO_VERIFY_MISSING', `no provenance of ${path}`, where))
        continue
      }
      const { statement, payload, key } = verifyBundle(bundle, { keys, predicateType: predicateTypes.slsaProvenance })
      // one subject, and it is this file
      if (!provenanceStatement(path, digest, statement.predicate as Json).equals(payload))
        findings.push(untrusted('RFO_SIGN_SUBJECT', 'the provenance is about another file', where))
      const refusal = refuseSigner(signers, 'attestations', key, where)
      if (refusal !== undefined) findings.push(refusal)
      const platform = `linux/${programArchitecture(path)}`
      built.push(builtOf(statement.predicate, { what: path, release: predicate.version, platform, action: 'rebuild', by: key }))
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(where))
    }
  }
  return { count: files.length, built, findings }
}
