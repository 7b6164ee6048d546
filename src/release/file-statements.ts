/** What a single file's bundle says: its digest, the names that the release has for it, and nothing else. */
import { predicateTypes, statement, statementBytes, subjectOf } from '../attest/statement.ts'
import type { Digest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import { fileBundlePath } from './signed-paths.ts'

/** Path of a bundle → the bytes that it signs; one bundle a digest. Whoever was given one file needs no other. */
export function fileStatements(files: readonly { readonly path: string; readonly digest: Digest }[]): ReadonlyMap<string, Buffer> {
  const paths = new Map<Digest, string[]>()
  for (const { path, digest } of files) paths.set(digest, [...(paths.get(digest) ?? []), path].sort())
  return new Map(
    [...paths].map(([digest, names]) => {
      const subjects = names.map((name) => subjectOf(digest, name))
      return [fileBundlePath(digest), statementBytes(statement(subjects, predicateTypes.cosignSign, {}))]
    }),
  )
}

/** What is signed: the predicate about one file. */
export function provenanceStatement(path: string, digest: Digest, predicate: Json): Buffer {
  return statementBytes(statement([subjectOf(digest, path)], predicateTypes.slsaProvenance, predicate))
}
