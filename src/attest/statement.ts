/**
 * in-toto Statements: what is said about content. Words only: who signs them is `sign`'s business.
 * https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { hex } from '../oci/digest.ts'
import { canonicalJson, type Json, parseJson } from '../oci/json.ts'

export const statementType = 'https://in-toto.io/Statement/v1'
/** `cosign attest` still writes this one. */
export const statementTypeBefore = 'https://in-toto.io/Statement/v0.1'

/** Algorithm → value; https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md */
export type DigestSet = Readonly<Record<string, string>>

/** https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md, as far as a subject needs it. */
export interface Subject {
  readonly name?: string | undefined
  readonly uri?: string | undefined
  readonly mediaType?: string | undefined
  readonly digest: DigestSet
  readonly annotations?: Readonly<Record<string, Json>> | undefined
}

export interface Statement {
  readonly _type: typeof statementType | typeof statementTypeBefore
  readonly subject: readonly Subject[]
  readonly predicateType: string
  readonly predicate: Json
}

export type PredicateName =
  | 'cosignSign'
  | 'slsaProvenance'
  | 'cyclonedx'
  | 'spdx'
  | 'testResult'
  | 'vuln'
  | 'vulns'
  | 'openvex'
  | 'advisories'
  | 'release'

/** What a predicate is called, and where its form is laid down. */
export const predicateTypes: Readonly<Record<PredicateName, string>> = {
  /** An image signature as cosign 3 makes it: a statement that says nothing but its subject. */
  cosignSign: 'https://sigstore.dev/cosign/sign/v1',
  slsaProvenance: 'https://slsa.dev/provenance/v1',
  cyclonedx: 'https://cyclonedx.org/bom',
  spdx: 'https://spdx.dev/Document',
  testResult: 'https://in-toto.io/attestation/test-result/v0.1',
  /** cosign's `--type vuln` */
  vuln: 'https://cosign.sigstore.dev/attestation/vuln/v1',
  vulns: 'https://in-toto.io/attestation/vulns/v0.2',
  openvex: 'https://openvex.dev/ns',
  advisories: 'https://github.com/rfolabs/rfo-build/attestation/advisories/v1',
  release: 'https://github.com/rfolabs/rfo-build/attestation/release/v1',
}

/** The subject of a statement about content in a store. */
export function subjectOf(digest: Digest, name?: string): Subject {
  return name === undefined ? { digest: { sha256: hex(digest) } } : { name, digest: { sha256: hex(digest) } }
}

export function statement(subject: readonly Subject[], predicateType: string, predicate: Json): Statement {
  return { _type: statementType, subject, predicateType, predicate }
}

/** The bytes that are signed: canonical JSON, so that the same statement is the same bytes on every machine. */
export function statementBytes(value: Statement): Buffer {
  return Buffer.from(canonicalJson(value as unknown as Json), 'utf8')
}

/** The `dirHash` of a Go checksum: `h1:` and base64 become hex. Other text is a bug of the caller. */
export function dirHash(goSum: string): DigestSet {
  if (!/^h1:[A-Za-z0-9+/]{43}=$/.test(goSum)) throw new TypeError('not an h1: sum')
  return { dirHash: Buffer.from(goSum.slice(3), 'base64').toString('hex') }
}

/** bytes; the statement of a whole release and the largest SBOM stay far below */
const maxStatementBytes = 64 * 1024 * 1024
const maxSubjects = 100_000

const anyJson = z.unknown().transform((value) => value as Json)
const DigestValue = z
  .record(z.string().min(1).max(64), z.string().min(1).max(1024))
  .refine((set) => Object.keys(set).length > 0, 'no digest')
  .refine((set) => set.sha256 === undefined || /^[0-9a-f]{64}$/.test(set.sha256), 'sha256 is not 64 lower-case hex characters')
const SubjectForm = z.strictObject({
  name: z.string().optional(),
  uri: z.string().optional(),
  mediaType: z.string().optional(),
  digest: DigestValue,
  annotations: z.record(z.string(), anyJson).optional(),
})
const StatementForm = z.strictObject({
  _type: z.enum([statementType, statementTypeBefore]),
  subject: z.array(SubjectForm).min(1).max(maxSubjects),
  predicateType: z.string().min(1).max(1024),
  predicate: anyJson,
})

/** Reads a payload; unknown members are refused. Throws RFO_ATTEST_STATEMENT (exit untrusted). Says nothing about who signed it. */
export function parseStatement(bytes: Uint8Array): Statement {
  if (bytes.length > maxStatementBytes) throw refused(`larger than ${maxStatementBytes} bytes`)
  let value: unknown
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw refused('not JSON in UTF-8', cause)
  }
  const parsed = StatementForm.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw refused(issue === undefined ? 'unknown form' : `${issue.path.join('.') || 'statement'}: ${issue.message}`)
  }
  return parsed.data
}

function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_ATTEST_STATEMENT', `not an in-toto statement: ${why}`, {
    exit: 'untrusted',
    next: 'get the file again from where it was published',
    ...(cause === undefined ? {} : { cause }),
  })
}
