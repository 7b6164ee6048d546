/** What is about to be signed, checked: every file and blob hashed against the statement, and nothing there that it does not know. */
import { join } from 'node:path'
import { z } from 'zod'
import { ReleasePredicate } from '../attest/release.ts'
import { parseStatement } from '../attest/statement.ts'
import type { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { ReleasePlanSchema } from '../plan/plan-schema.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { isKeyFile, signatureSuffix } from './signed-paths.ts'
import { Handover, imageProvenancePath, markPath, programProvenancePath } from './unsigned.ts'
import { handoverPath, maxStatementBytes, programFiles, statementPath, verifyChecksumLists, verifyFiles } from './verify/files.ts'
import { untrusted } from './verify/finding.ts'
import { verifyImages } from './verify/images.ts'
import { verifyPackages } from './verify/packages.ts'
import { folderPlace } from './verify/place.ts'
import { readSmall } from './verify/tree.ts'
import { checkRoot, hashRelease } from './verify/verify.ts'

/** bytes; plans and hand-overs of releases of thousands of files stay below */
const maxTextBytes = 32 * 1024 * 1024
/** bytes; a manifest may have as many, and a predicate is read as one */
const maxPredicateBytes = 4 * 1024 * 1024

export interface Checked {
  readonly handover: Handover
  readonly predicate: ReleasePredicate
  readonly plan: ReleasePlan
  /** all that signing reads, by digest → absolute path */
  readonly files: ReadonlyMap<Digest, string>
}

/** `expect`: the digest of the hand-over, as the job that made it told. Throws all that is wrong, as an AggregateError. */
export async function checkUnsigned(folder: string, expect: Digest | undefined): Promise<Checked> {
  const place = folderPlace(folder)
  const tree = await place.tree()
  const text = await wanted(folder, handoverPath, maxTextBytes)
  if (expect !== undefined && digestOf(text) !== expect)
    throw untrusted('RFO_SIGN_HANDOVER', `is ${digestOf(text)}, expected ${expect}`, handoverPath)
  const handover = readForm(Handover, text, handoverPath)
  if (canonicalJson(handover as unknown as Json) !== text.toString('utf8'))
    throw untrusted('RFO_SIGN_HANDOVER', 'not in its canonical bytes', handoverPath)
  const said = await wanted(folder, statementPath, maxStatementBytes)
  if (digestOf(said) !== handover.statement.digest)
    throw untrusted('RFO_SIGN_HANDOVER', `is ${digestOf(said)}, ${handoverPath} says ${handover.statement.digest}`, statementPath)
  const predicate = readForm(ReleasePredicate, Buffer.from(canonicalJson(parseStatement(said).predicate)), statementPath)
  const plan = readForm(ReleasePlanSchema, await wanted(folder, 'plan.json', maxTextBytes), 'plan.json') as ReleasePlan

  // everything that is about to be signed, by both algorithms
  const hashed = await hashRelease(place, predicate, tree.files, true)
  const provenances = await checkProvenances(folder, handover, predicate)
  const findings: RfoError[] = [
    ...tree.findings,
    ...checkRoot(predicate, said),
    ...same(handover, predicate, plan),
    ...(await verifyFiles(place, predicate, hashed.files)),
    ...(await verifyPackages(place, predicate, undefined)).findings,
    ...(await verifyChecksumLists(place, predicate)),
    ...(await verifyImages(place, predicate, 'unsigned', hashed.blobs)).findings,
    ...provenances.findings,
    ...extras(tree.files, predicate, handover),
  ]
  if (findings.length > 0) throw new AggregateError(findings)
  const listed = predicate.files.map(({ path, digest }) => [digest, path] as const)
  const blobs = tree.files.flatMap((path) => {
    const name = /^oci\/blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1]
    return name === undefined ? [] : [[`sha256:${name}` as Digest, path] as const]
  })
  const all = [...blobs, ...listed, ...provenances.files, [handover.statement.digest, statementPath] as const]
  return { handover, predicate, plan, files: new Map(all.map(([digest, path]) => [digest, join(folder, path)])) }
}

/** What a predicate says that it is about. */
const About = z.looseObject({
  buildDefinition: z.looseObject({
    externalParameters: z.looseObject({ component: z.string(), platform: z.string(), release: z.string() }),
  }),
})

/** One predicate for each image of each platform and for each program, of the digest that the hand-over says, and about just that. */
async function checkProvenances(
  folder: string,
  { provenances, version }: Handover,
  predicate: ReleasePredicate,
): Promise<{ files: [Digest, string][]; findings: RfoError[] }> {
  const expected = expectedProvenances(predicate)
  const findings = Object.keys(provenances)
    .filter((path) => !expected.has(path))
    .map((path) => untrusted('RFO_SIGN_HANDOVER', `names ${path}, which the statement has no place for`, handoverPath))
  const files: [Digest, string][] = []
  for (const [path, about] of expected) {
    const entry = provenances[path]
    if (entry === undefined) {
      findings.push(untrusted('RFO_SIGN_HANDOVER', `names no ${path}`, handoverPath))
      continue
    }
    const bytes = await wanted(folder, path, maxPredicateBytes)
    if (digestOf(bytes) !== entry.digest || bytes.length !== entry.size) {
      findings.push(untrusted('RFO_SIGN_HANDOVER', `is ${digestOf(bytes)}, ${handoverPath} says ${entry.digest}`, path))
      continue
    }
    const { component, platform, release } = readForm(About, bytes, path).buildDefinition.externalParameters
    if (release !== version || platform !== about.platform || (about.component !== undefined && component !== about.component))
      findings.push(untrusted('RFO_SIGN_HANDOVER', `is about ${component} for ${platform} of ${release}`.slice(0, 300), path))
    files.push([entry.digest, path])
  }
  return { files, findings }
}

function expectedProvenances(predicate: ReleasePredicate): Map<string, { readonly component?: string; readonly platform: string }> {
  const expected = new Map<string, { readonly component?: string; readonly platform: string }>()
  for (const { component, platforms } of predicate.images) {
    for (const [platform, made] of Object.entries(platforms))
      if (made.status === 'made') expected.set(imageProvenancePath(component, platform as PlatformName), { component, platform })
  }
  for (const { path } of programFiles(predicate)) {
    expected.set(programProvenancePath(path), { platform: path.replace(/^rfo\.linux-/, 'linux/') })
  }
  return expected
}

/** Three texts name one release. */
function same(handover: Handover, predicate: ReleasePredicate, plan: ReleasePlan): RfoError[] {
  const findings: RfoError[] = []
  if (handover.version !== predicate.version || handover.root !== predicate.root.digest)
    findings.push(untrusted('RFO_SIGN_HANDOVER', 'names another release than the statement', handoverPath))
  const named = (images: readonly { readonly component: string; readonly reference: string }[]): string =>
    images
      .map(({ component, reference }) => `${component} ${reference}`)
      .sort()
      .join('\n')
  if (plan.version !== predicate.version || plan.epoch !== predicate.epoch || named(plan.images) !== named(predicate.images))
    findings.push(untrusted('RFO_SIGN_HANDOVER', 'is the plan of another release', 'plan.json'))
  const signed = predicate.files.find(({ path }) => isKeyFile(path) || signatureSuffix(path) !== '')
  if (signed !== undefined)
    findings.push(untrusted('RFO_SIGN_HANDOVER', `lists ${signed.path}, which only whoever signs adds`, statementPath))
  return findings
}

function extras(files: readonly string[], predicate: ReleasePredicate, handover: Handover): RfoError[] {
  const beside = [statementPath, handoverPath, markPath, 'oci/index.json', 'oci/oci-layout']
  const known = new Set([...predicate.files.map(({ path }) => path), ...Object.keys(handover.provenances), ...beside])
  return files
    .filter((path) => !known.has(path) && !/^oci\/blobs\/sha256\/[^/]+$/.test(path))
    .map((path) => untrusted('RFO_VERIFY_EXTRA', 'a file that no list covers', path))
}

async function wanted(folder: string, path: string, maxBytes: number): Promise<Buffer> {
  const bytes = await readSmall(join(folder, path), maxBytes, path)
  if (bytes === undefined) throw untrusted('RFO_VERIFY_MISSING', 'a file that signing needs is not there', path)
  return bytes
}

function readForm<T>(form: z.ZodType<T>, bytes: Buffer, where: string): T {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw untrusted('RFO_SIGN_HANDOVER', 'not JSON in UTF-8', where)
  }
  const parsed = form.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw untrusted('RFO_SIGN_HANDOVER', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`.slice(0, 300), where)
}
