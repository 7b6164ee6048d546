/** The last step of whoever signs: a release, or a candidate while demanded evidence is missing. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { SigningKey } from '../sign/key.ts'
import { candidateName, carriedEvidence, type Demanding, type MissingEvidence, readPredicate, readStatementBytes } from './candidate.ts'
import { carriedCosignatures } from './cosign.ts'
import { type LayOutInput, layOut } from './lay-out.ts'
import type { WorkingStore } from './ports.ts'
import { pushFiles } from './statement-task.ts'
import { unsignedName } from './unsigned.ts'
import { statementPath } from './verify/files.ts'

export interface Signed extends Required<Pick<LayOutInput, 'outDir' | 'images' | 'charts'>> {
  readonly plan: Demanding
  readonly key: SigningKey
  /** the statement as it is before anybody has signed */
  readonly unsigned: { readonly digest: Digest; readonly size: number }
  /** an index of files by title, the signed statement among them */
  readonly beside: Descriptor
}

/** Gives the folder, and the evidence that is demanded and not there. */
export async function finishRelease(
  signed: Signed,
  store: WorkingStore,
): Promise<{ readonly folder: string; readonly missing: readonly MissingEvidence[] }> {
  const { plan, outDir, unsigned, beside, images, charts } = signed
  const { carried, missing } = await carriedEvidence(signed, await readPredicate(beside, store))
  const candidate = missing.length > 0
  const version = candidate ? candidateName(plan.version) : plan.version
  const cosigned = candidate ? [] : await carriedCosignatures(join(outDir, version), await readStatementBytes(beside, store))
  // a candidate carries no signature of the release, in no package either: it can't be taken for one
  const statement = candidate ? await pushFiles([{ path: statementPath, digest: unsigned.digest, size: unsigned.size }], store) : beside
  const files = await pushFiles((await readPredicate(statement, store)).files, store)
  const input = { version, carried: [...carried, ...cosigned], outDir, files, beside: statement, images }
  const folder = await layOut(candidate ? input : { ...input, charts }, store)
  if (candidate) return { folder, missing }
  // all that they hold is in the release now, the candidate's evidence too
  for (const name of [candidateName(plan.version), unsignedName(plan.version)])
    await rm(join(outDir, name), { recursive: true, force: true })
  return { folder, missing }
}
