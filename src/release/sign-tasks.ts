/** The signatures over images and what is attested of them. Content and a key are all that these tasks need. */
import { indexProvenance } from '../attest/provenance.ts'
import { openVexOf, ScanPredicate } from '../attest/scan.ts'
import { predicateTypes, type Statement, statement, subjectOf } from '../attest/statement.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import { ociPurl } from '../inspect/purl.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { attest, signImage, signKeyless } from '../sign/attach.ts'
import { keyFingerprint, type SigningKey } from '../sign/key.ts'
import type { KeylessSigner } from '../sign/keyless.ts'
import { given } from './given.ts'
import { maxSbomBytes } from './lists.ts'
import { attachedEntries } from './oci-entries.ts'

/** https://slsa.dev/spec/v1.0/provenance#builder.id : who ran the build; a CI's own identity replaces it when one signs there. */
export const builderId = 'https://github.com/rfolabs/rfo-build'

/** One platform's image and what is said of it, as tasks. */
export interface SaidPlatform {
  readonly platform: PlatformName
  readonly image: Task
  /** CycloneDX */
  readonly sbom: Task
  readonly spdx: Task
  /** what a scan found, as cosign's predicate; absent = the release has no gate */
  readonly scan?: Task
  readonly provenance: Task
}

/** An image and what is said of it. */
export interface SaidImage {
  readonly image: Pick<ImagePlan, 'component' | 'reference' | 'version'>
  readonly index: Task
  readonly platforms: readonly SaidPlatform[]
}

export interface Signing {
  readonly key: SigningKey
  readonly keyless?: KeylessSigner
  readonly plan: { readonly version: string; readonly epoch: number; readonly vendor: string }
  /** of the rfo-build that made the images */
  readonly toolVersion: string
}

/**
 * Signs the index and every platform manifest, and attests: of what the index is, and of each manifest provenance and SBOMs.
 * Gives an index over everything attached to the image.
 */
export function signTask({ image, index, platforms }: SaidImage, { key, keyless, plan, toolVersion }: Signing, store: ContentStore): Task {
  const { epoch, version: release, vendor } = plan
  const needs: Record<string, Task> = { index }
  for (const made of platforms) {
    needs[`image/${made.platform}`] = made.image
    needs[`sbom/${made.platform}`] = made.sbom
    needs[`spdx/${made.platform}`] = made.spdx
    needs[`provenance/${made.platform}`] = made.provenance
    if (made.scan !== undefined) needs[`scan/${made.platform}`] = made.scan
  }
  return {
    id: `sign/${image.component}`,
    needs,
    key: {
      rule: 'sign@3',
      tool: toolVersion,
      release,
      reference: image.reference,
      key: keyFingerprint(key.publicKey),
      ...(keyless === undefined ? {} : { keyless: keyless.fingerprint }),
      epoch,
    },
    lane: 'cpu',
    async run(inputs) {
      const attached: Descriptor[] = []
      const sign = async (subject: Descriptor): Promise<void> => {
        attached.push(...attachedEntries(await signImage(subject, image.reference, key, store, epoch)))
        if (keyless !== undefined) attached.push(...attachedEntries(await signKeyless(subject, keyless, store, epoch)))
      }
      const whole = given(inputs['index'])
      await sign(whole)
      const manifests = platforms.map(({ platform }) => imageMaterial(platform, image, given(inputs[`image/${platform}`])))
      const { component, version } = image
      const made = indexProvenance({ component, version, release, manifests, builderId, builderVersion: toolVersion })
      const said = statement([subjectOf(whole.digest, image.reference)], predicateTypes.slsaProvenance, made)
      attached.push(...attachedEntries(await attest(whole, [said], key, store, epoch)))
      for (const { platform } of platforms) {
        const subject = given(inputs[`image/${platform}`])
        await sign(subject)
        const about = (predicateType: string, predicate: Json): Statement =>
          statement([subjectOf(subject.digest, image.reference)], predicateType, predicate)
        const statements = [
          about(predicateTypes.slsaProvenance, (await readJson(store, given(inputs[`provenance/${platform}`]))) as Json),
          about(predicateTypes.cyclonedx, await readSbom(store, given(inputs[`sbom/${platform}`]))),
          about(predicateTypes.spdx, await readSbom(store, given(inputs[`spdx/${platform}`]))),
          ...(await scanStatements(inputs[`scan/${platform}`], { reference: image.reference, subject, platform, vendor }, about, store)),
        ]
        attached.push(...attachedEntries(await attest(subject, statements, key, store, epoch)))
      }
      return await pushAttached(store, attached)
    },
  }
}

export function imageMaterial(
  name: string,
  image: Pick<ImagePlan, 'reference'>,
  manifest: Descriptor,
): { name: string; uri: string; digest: { sha256: string } } {
  const sha256 = hex(manifest.digest)
  return { name, uri: `oci://${image.reference}@sha256:${sha256}`, digest: { sha256 } }
}

/** The scan itself, and what it comes to in OpenVEX when there is anything to say. */
async function scanStatements(
  scan: Descriptor | undefined,
  { reference, subject, platform, vendor }: { reference: string; subject: Descriptor; platform: PlatformName; vendor: string },
  about: (predicateType: string, predicate: Json) => Statement,
  store: ContentStore,
): Promise<Statement[]> {
  if (scan === undefined) return []
  const predicate = await readScan(scan, store)
  const vex = openVexOf(predicate, vexProduct(reference, subject.digest, platform), vendor)
  return [about(predicateTypes.vuln, predicate as unknown as Json), ...(vex === undefined ? [] : [about(predicateTypes.openvex, vex)])]
}

/** What OpenVEX calls an image of one platform. */
export function vexProduct(reference: string, digest: string, platform: PlatformName): string {
  return ociPurl(reference, digest, platformOf(platform).architecture) ?? reference
}

export async function readScan(descriptor: Descriptor, from: ContentStore): Promise<ScanPredicate> {
  return ScanPredicate.parse(await readSbom(from, descriptor))
}

async function readSbom(store: ContentStore, descriptor: Descriptor): Promise<Json> {
  return JSON.parse(Buffer.from(await readBytes(store, descriptor, maxSbomBytes)).toString('utf8')) as Json
}

/** An index over what was attached: a task gives one descriptor, and the result cache can tell whether all of it is still there. */
export async function pushAttached(store: ContentStore, attached: readonly Descriptor[]): Promise<Descriptor> {
  const unique = [...new Map(attached.map((descriptor) => [descriptor.digest, descriptor])).values()]
  const text = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: unique as unknown as Json })
  return await pushBytes(store, mediaTypes.index, text)
}
