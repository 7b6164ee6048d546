/** The images of a release: every blob by its digest, the manifests that were signed, and everything attached to them. */
import type { ReleaseImage, ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { layoutIndexBytes } from '../../content/layout.ts'
import { readBytes } from '../../content/read.ts'
import type { ContentReader } from '../../content/store.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { canonicalJson, type Json, parseJson } from '../../oci/json.ts'
import { legacyTags } from '../../oci/legacy-tags.ts'
import { parseIndex } from '../../oci/manifest.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../../oci/platform.ts'
import { defaultPolicy } from '../../plan/verify-policy.ts'
import { verifyAttached } from '../../sign/attached.ts'
import { type Found, findAttached } from '../../sign/find.ts'
import type { TrustedIdentity } from '../../sign/identity.ts'
import type { PublicKey } from '../../sign/key.ts'
import { isKeylessBundle } from '../../sign/keyless-bundle.ts'
import type { VerifiedStatement } from '../../sign/verify.ts'
import { maxSbomBytes, sbomPath, spdxPath } from '../lists.ts'
import { attachedEntries, entryOfImage, reachable } from '../oci-entries.ts'
import { blobFolder, blobPath } from '../shelf.ts'
import { chartFiles, verifyChart } from './charts.ts'
import { untrusted } from './finding.ts'
import { checkScan, type Scan } from './gate.ts'
import { placeOf, type ReleasePlace } from './place.ts'
import { type Built, builtOf } from './provenance.ts'
import { listedPgpKey } from './signatures.ts'
import { refuseSigner, type Signers } from './signers.ts'
import type { Hashed } from './tree.ts'

export interface ImagesVerdict {
  readonly findings: readonly RfoError[]
  readonly blobs: number
  /** indexes and platform manifests with both forms of signature */
  readonly signed: number
  readonly attestations: number
  /** charts as artifacts */
  readonly charts: number
  /** how each platform manifest came to be */
  readonly built: readonly Built[]
  /** platform manifest → predicate types of its attestations */
  readonly attested: ReadonlyMap<string, readonly string[]>
  readonly scans: readonly Scan[]
}

export interface Trusted {
  readonly keys: readonly PublicKey[]
  readonly signers: Signers
  /** who must have signed every index and manifest without a key, too */
  readonly identity?: TrustedIdentity
  /** its images are signed, its charts no artifacts yet */
  readonly candidate?: true
}

/** One key for everything, by the policy that asks for nothing. */
export function trustedAlone(key: PublicKey): Trusted {
  return { keys: [key], signers: { policy: defaultPolicy, statement: key } }
}

const layoutFile = canonicalJson({ imageLayoutVersion: '1.0.0' })
const maxIndexBytes = 64 * 1024 * 1024

/**
 * `trusted`: whose signatures must be there; `unsigned` = nobody's, and nothing may be attached. `hashed`: every file below
 * `oci/blobs` by its path, where somebody has hashed them already.
 */
export async function verifyImages(
  release: string | ReleasePlace,
  predicate: ReleasePredicate,
  trusted: Trusted | 'unsigned',
  hashed?: ReadonlyMap<string, Hashed>,
): Promise<ImagesVerdict> {
  const place = placeOf(release)
  const findings: RfoError[] = []
  const nothing = { signed: 0, attestations: 0, charts: 0, built: [], attested: new Map<string, readonly string[]>(), scans: [] }
  if ((await place.small('oci/oci-layout', 1024))?.toString('utf8') !== layoutFile) {
    findings.push(untrusted('RFO_VERIFY_LAYOUT', 'not the mark of an OCI image layout', 'oci/oci-layout'))
    return { findings, blobs: 0, ...nothing }
  }
  const { blobs, findings: damaged } = checkBlobs(hashed ?? (await hashBlobs(place)))
  findings.push(...damaged)
  if (damaged.length > 0) return { findings, blobs: blobs.size, ...nothing } // nothing else can be said of damaged content
  let layout: ContentReader
  try {
    layout = await place.layout()
  } catch (thrown) {
    findings.push(toRfoError(thrown).at('oci/index.json'))
    return { findings, blobs: blobs.size, ...nothing }
  }
  const used = new Set<Digest>()
  const entries: Descriptor[] = []
  let signed = 0
  let attestations = 0
  const built: Built[] = []
  const attested = new Map<string, readonly string[]>()
  const scans: Scan[] = []
  for (const image of predicate.images) {
    try {
      const checked = await verifyImage(place, image, predicate, layout, trusted)
      for (const digest of checked.used) used.add(digest)
      entries.push(...checked.entries)
      signed += checked.signed
      attestations += checked.attestations
      built.push(...checked.built)
      scans.push(...checked.scans)
      for (const [what, types] of checked.attested) attested.set(what, types)
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(`oci: ${image.reference}`))
    }
  }
  // whoever signs the release makes the artifacts
  const charts = trusted === 'unsigned' || trusted.candidate === true ? [] : chartFiles(predicate)
  const pgp = await listedPgpKey(place, predicate)
  for (const chart of charts) {
    if (trusted === 'unsigned') break
    try {
      const checked = await verifyChart(chart, { layout, trusted, pgp, epoch: predicate.epoch })
      for (const digest of checked.used) used.add(digest)
      entries.push(...checked.entries)
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(`oci: ${chart.path}`))
    }
  }
  if (findings.length === 0) findings.push(...(await verifyIndexFile(place, entries)), ...extraBlobs(blobs, used))
  return { findings, blobs: blobs.size, signed, attestations, charts: charts.length, built, attested, scans }
}

export function isBlob(path: string): boolean {
  return path.startsWith(blobFolder) && !path.slice(blobFolder.length).includes('/')
}

async function hashBlobs(place: ReleasePlace): Promise<Map<string, Hashed>> {
  const { files } = await place.tree()
  return await place.hash(files.filter(isBlob).map((path) => ({ path, sm3: false, size: 0 })))
}

function checkBlobs(hashed: ReadonlyMap<string, Hashed>): { blobs: Set<Digest>; findings: RfoError[] } {
  const findings: RfoError[] = []
  const blobs = new Set<Digest>()
  for (const [where, found] of [...hashed].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const digest = `sha256:${where.slice(blobFolder.length)}`
    if (!isDigest(digest)) {
      findings.push(untrusted('RFO_VERIFY_EXTRA', 'a file whose name is no digest', where))
      continue
    }
    if (found.digest !== digest) findings.push(untrusted('RFO_VERIFY_BLOB', `its bytes are ${found.digest}`, where))
    else if (found.listed !== undefined) findings.push(untrusted('RFO_VERIFY_BLOB', `the archive says that it is ${found.listed}`, where))
    blobs.add(digest)
  }
  return { blobs, findings }
}

interface CheckedImage {
  readonly used: readonly Digest[]
  readonly entries: readonly Descriptor[]
  readonly signed: number
  readonly attestations: number
  readonly built: readonly Built[]
  readonly attested: ReadonlyMap<string, readonly string[]>
  readonly scans: readonly Scan[]
}

async function verifyImage(
  place: ReleasePlace,
  image: ReleaseImage,
  predicate: ReleasePredicate,
  layout: ContentReader,
  trusted: Trusted | 'unsigned',
): Promise<CheckedImage> {
  const index: Descriptor = { mediaType: mediaTypes.index, digest: image.digest, size: image.size }
  const content = await reachable(index, layout)
  await everyBlob(content, layout)
  const used = content.map((descriptor) => descriptor.digest)
  const entries: Descriptor[] = [entryOfImage(image.reference, index)]
  const manifests = await platformManifests(image, index, layout)
  const built: Built[] = []
  const attested = new Map<string, readonly string[]>()
  if (trusted === 'unsigned') return { used, entries, signed: 0, attestations: 0, built, attested, scans: [] } // what is attached is an extra
  const attach = async (
    subject: Descriptor,
    predicates: readonly string[],
    platform?: PlatformName,
    optional?: string,
  ): Promise<Map<string, Json>> => {
    const checked = await checkAttached(subject, layout, trusted, predicate.epoch, predicates, optional)
    const what = platform === undefined ? image.reference : `${image.reference} ${platform}`
    if (checked.provenance !== undefined) {
      const about = { what, release: predicate.version, action: image.action, by: checked.provenance.key }
      const one = builtOf(checked.provenance.statement.predicate, platform === undefined ? about : { ...about, platform })
      if (platform !== undefined) built.push(one)
    }
    if (platform !== undefined) attested.set(what, [...checked.predicates.keys()])
    used.push(...checked.used)
    entries.push(...checked.entries)
    return checked.predicates
  }
  let attestations = 1
  const scans: Scan[] = []
  await attach(index, [predicateTypes.cosignSign, predicateTypes.slsaProvenance])
  for (const [platform, manifest] of manifests) {
    const { cosignSign, slsaProvenance, cyclonedx, spdx, vuln, openvex } = predicateTypes
    const { gate } = predicate
    const wanted = [cosignSign, slsaProvenance, cyclonedx, spdx]
    // nothing found, nothing to say in OpenVEX
    const said =
      gate === undefined ? await attach(manifest, wanted, platform) : await attach(manifest, [...wanted, vuln], platform, openvex)
    attestations += said.size - 1
    if (gate !== undefined) scans.push(await checkScan(place, { image, platform, digest: manifest.digest }, gate, said))
    await checkSbomFile(place, sbomPath(image.component, platform), said.get(cyclonedx))
    await checkSbomFile(place, spdxPath(image.component, platform), said.get(spdx))
  }
  return { used, entries, signed: 1 + manifests.size, attestations, built, attested, scans }
}

async function everyBlob(content: readonly Descriptor[], layout: ContentReader): Promise<void> {
  for (const descriptor of content) {
    if (!(await layout.exists(descriptor)))
      throw untrusted('RFO_VERIFY_MISSING', `no blob ${descriptor.digest} of ${descriptor.size} bytes`, blobPath(descriptor.digest))
  }
}

/** The index holds exactly the manifests that the statement names, for exactly those platforms. */
async function platformManifests(image: ReleaseImage, index: Descriptor, layout: ContentReader): Promise<Map<PlatformName, Descriptor>> {
  const wanted = new Map<string, Digest>()
  for (const [platform, made] of Object.entries(image.platforms)) if (made.status === 'made') wanted.set(platform, made.digest)
  const found = new Map<PlatformName, Descriptor>()
  for (const manifest of parseIndex(await readBytes(layout, index)).manifests) {
    const name = `${manifest.platform?.os}/${manifest.platform?.architecture}`
    if (wanted.get(name) !== manifest.digest)
      throw untrusted('RFO_VERIFY_PLATFORM', `the index names ${manifest.digest} for ${name}, which the statement does not`, index.digest)
    const { mediaType, digest, size } = manifest
    found.set(name as PlatformName, { mediaType, digest, size, platform: platformOf(name as PlatformName) })
  }
  if (found.size !== wanted.size)
    throw untrusted('RFO_VERIFY_PLATFORM', `the index names ${found.size} platforms, the statement ${wanted.size}`, index.digest)
  return found
}

interface CheckedAttachments {
  readonly used: readonly Digest[]
  readonly entries: readonly Descriptor[]
  readonly predicates: Map<string, Json>
  readonly provenance: VerifiedStatement | undefined
}

async function checkAttached(
  subject: Descriptor,
  layout: ContentReader,
  { keys, signers, identity, candidate }: Trusted,
  epoch: number,
  wanted: readonly string[],
  optional?: string,
): Promise<CheckedAttachments> {
  const found = await findAttached(subject, layout)
  const judged = candidate === true && identity === undefined ? { ...found, referrers: found.referrers.filter(isByKey) } : found
  const { statements, keyless, signature, attestation } = verifyAttached(subject, judged, { keys, epoch, ...(identity && { identity }) })
  const types = statements.map((one) => one.statement.predicateType)
  for (const { statement, key } of statements) {
    const refusal = refuseSigner(
      signers,
      statement.predicateType === predicateTypes.cosignSign ? 'images' : 'attestations',
      key,
      subject.digest,
    )
    if (refusal !== undefined) throw refusal
  }
  const refusal = signature === undefined ? undefined : refuseSigner(signers, 'images', signature.key, subject.digest)
  if (refusal !== undefined) throw refusal
  const allowed = optional !== undefined && types.includes(optional) ? [...wanted, optional] : wanted
  if ([...types].sort().join('\n') !== [...allowed].sort().join('\n')) {
    throw untrusted(
      'RFO_VERIFY_ATTACHED',
      `attached are ${types.sort().join(', ') || 'no bundles'}; wanted ${wanted.join(', ')}`,
      subject.digest,
    )
  }
  const byIdentity = keyless.map((one) => one.statement.predicateType).join('\n')
  if (byIdentity !== (identity === undefined ? '' : predicateTypes.cosignSign))
    throw untrusted('RFO_VERIFY_ATTACHED', `signed without a key are ${byIdentity || 'no bundles'}; wanted one signature`, subject.digest)
  const attests = wanted.length > 1
  if (signature === undefined) throw untrusted('RFO_VERIFY_ATTACHED', 'no .sig for cosign 2', subject.digest)
  if (attests !== attestation)
    throw untrusted('RFO_VERIFY_ATTACHED', attests ? 'no .att for cosign 2' : 'an .att that says nothing', subject.digest)
  const entries = attachedEntries({
    referrers: found.referrers.map(({ descriptor, artifactType }) => plain(descriptor, artifactType)),
    tags: tagsOf(subject, found),
  })
  const used: Digest[] = []
  for (const carrier of carriers(found)) {
    const content = await reachable(carrier.descriptor, layout)
    await everyBlob(content, layout) // finding reads layers alone, and a config can be missing too
    used.push(...content.map((descriptor) => descriptor.digest))
  }
  const provenance = statements.find((one) => one.statement.predicateType === predicateTypes.slsaProvenance)
  return {
    used,
    entries,
    provenance,
    predicates: new Map(statements.map((one) => [one.statement.predicateType, one.statement.predicate as Json])),
  }
}

/** A candidate lists no identity yet: whoever signed without a key is judged when it has become a release. */
function isByKey({ layers: [layer] }: Found['referrers'][number]): boolean {
  return layer === undefined || !isKeylessBundle(layer.bytes.toString('utf8'))
}

function carriers(found: Found): { readonly descriptor: Descriptor }[] {
  return [
    ...found.referrers,
    ...(found.signature === undefined ? [] : [found.signature]),
    ...(found.attestation === undefined ? [] : [found.attestation]),
  ]
}

function tagsOf(subject: Descriptor, found: Found): { reference: string; manifest: Descriptor }[] {
  const tags = legacyTags(subject.digest)
  return [
    ...(found.signature === undefined ? [] : [{ reference: tags.signature, manifest: plain(found.signature.descriptor) }]),
    ...(found.attestation === undefined ? [] : [{ reference: tags.attestation, manifest: plain(found.attestation.descriptor) }]),
  ]
}

function plain({ mediaType, digest, size }: Descriptor, artifactType?: string): Descriptor {
  return { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) }
}

/** The SBOM file says what the attestation says. */
async function checkSbomFile(place: ReleasePlace, path: string, predicate: Json | undefined): Promise<void> {
  const bytes = await place.small(path, maxSbomBytes)
  if (bytes === undefined) return // the list of files has told
  let same = false
  try {
    same = predicate !== undefined && canonicalJson(parseJson(bytes.toString('utf8')) as Json) === canonicalJson(predicate)
  } catch {
    // not JSON: not the same
  }
  if (!same) throw untrusted('RFO_VERIFY_SBOM', 'this SBOM is not the one that is attested', path)
}

/** No list covers index.json: it must be what the signed facts give, byte for byte. */
async function verifyIndexFile(place: ReleasePlace, entries: readonly Descriptor[]): Promise<RfoError[]> {
  const found = await place.small('oci/index.json', maxIndexBytes)
  return found?.toString('utf8') === layoutIndexBytes(entries)
    ? []
    : [untrusted('RFO_VERIFY_LAYOUT', 'this index is not the one that the signed content gives', 'oci/index.json')]
}

function extraBlobs(blobs: ReadonlySet<Digest>, used: ReadonlySet<Digest>): RfoError[] {
  return [...blobs]
    .filter((digest) => !used.has(digest))
    .map((digest) => untrusted('RFO_VERIFY_EXTRA', 'a blob that nothing signed needs', blobPath(digest)))
}
