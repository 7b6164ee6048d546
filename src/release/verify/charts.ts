/** Charts as artifacts of `oci/`: made again from the archive that the statement lists and the provenance in them, byte for byte. */
import type { ReleaseFileEntry, ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { readBytes } from '../../content/read.ts'
import type { ContentReader } from '../../content/store.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import { chartArtifact, chartTypes } from '../../pack/chart-artifact.ts'
import { chartReference, provenanceText } from '../../pack/chart-provenance.ts'
import { verifyAttached } from '../../sign/attached.ts'
import { findAttached } from '../../sign/find.ts'
import { type PgpPublicKey, verifyClearSigned } from '../../sign/pgp.ts'
import { maxChartBytes } from '../chart-tasks.ts'
import { attachedEntries, entryOfChart } from '../oci-entries.ts'
import { isChart } from '../signed-paths.ts'
import { untrusted } from './finding.ts'
import type { Trusted } from './images.ts'
import { refuseSigner } from './signers.ts'

export interface CheckedChart {
  readonly used: readonly Digest[]
  readonly entries: readonly Descriptor[]
}

export function chartFiles(predicate: ReleasePredicate): ReleaseFileEntry[] {
  return predicate.files.filter(({ path }) => isChart(path))
}

/** `pgp`: the key that the statement lists; absent = it lists none. Throws what is wrong (exit untrusted). */
export async function verifyChart(
  { path, digest, size }: ReleaseFileEntry,
  { layout, trusted, pgp, epoch }: { layout: ContentReader; trusted: Trusted; pgp: PgpPublicKey | undefined; epoch: number },
): Promise<CheckedChart> {
  const { name, version, reference } = chartReference(path)
  const found = await layout.resolve(reference)
  if (found === undefined) throw untrusted('RFO_VERIFY_MISSING', 'no such artifact', reference)
  const tgz = await readBytes(layout, { mediaType: mediaTypes.octets, digest, size }, maxChartBytes)
  const bytes = await readBytes(layout, found, maxChartBytes)
  const provenance = await provenanceIn(bytes, layout)
  const made = await chartArtifact(tgz, name, version, provenance)
  if (!Buffer.from(made.text).equals(bytes))
    throw untrusted('RFO_VERIFY_CHART', `${found.digest} is not what the chart and its provenance give`, reference)
  if ((pgp === undefined) !== (provenance === undefined))
    throw untrusted('RFO_VERIFY_CHART', pgp === undefined ? 'signed by a PGP key that nothing lists' : 'no provenance', reference)
  if (pgp !== undefined && provenance !== undefined)
    await verifyClearSigned(provenance.toString('utf8'), await provenanceText(tgz, name, path.slice('charts/'.length)), pgp)
  // the config is in no file of the release, and nothing else reads it
  for (const { descriptor } of made.blobs)
    if (!(await layout.exists(descriptor))) throw untrusted('RFO_VERIFY_MISSING', `no blob ${descriptor.digest}`, reference)
  const attached = await bundles(made.descriptor, layout, trusted, epoch)
  return {
    used: [made.descriptor.digest, ...made.blobs.map(({ descriptor }) => descriptor.digest), ...attached.used],
    entries: [entryOfChart(reference, made.descriptor), ...attached.entries],
  }
}

async function provenanceIn(manifest: Uint8Array, layout: ContentReader): Promise<Buffer | undefined> {
  const layer = parseManifest(manifest).layers.find(({ mediaType }) => mediaType === chartTypes.provenance)
  return layer === undefined ? undefined : Buffer.from(await readBytes(layout, layer, maxChartBytes))
}

/** One by a key that may sign images, and one by the identity, if there is one; nothing for cosign 2, which never reads charts. */
async function bundles(subject: Descriptor, layout: ContentReader, trusted: Trusted, epoch: number): Promise<CheckedChart> {
  const { keys, signers, identity } = trusted
  const found = await findAttached(subject, layout)
  const { statements, keyless, signature, attestation } = verifyAttached(subject, found, { keys, epoch, ...(identity && { identity }) })
  const [one, ...more] = statements
  const whole = one?.statement.predicateType === predicateTypes.cosignSign && more.length === 0 && signature === undefined && !attestation
  const byIdentity = keyless.map((each) => each.statement.predicateType).join('\n')
  if (one === undefined || !whole || byIdentity !== (identity === undefined ? '' : predicateTypes.cosignSign))
    throw untrusted('RFO_VERIFY_ATTACHED', 'one signature is wanted, and nothing else', subject.digest)
  const refusal = refuseSigner(signers, 'images', one.key, subject.digest)
  if (refusal !== undefined) throw refusal
  const used: Digest[] = []
  for (const { descriptor, bytes, layers } of found.referrers) {
    const { config } = parseManifest(bytes)
    if (!(await layout.exists(config))) throw untrusted('RFO_VERIFY_MISSING', `no blob ${config.digest}`, subject.digest)
    used.push(descriptor.digest, config.digest, ...layers.map((layer) => layer.descriptor.digest))
  }
  const referrers = found.referrers.map(({ descriptor: { mediaType, digest, size }, artifactType }) => ({
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
  }))
  return { used, entries: attachedEntries({ referrers, tags: [] }) }
}
