/**
 * What is made and not signed yet: all of a release but signatures and keys, in a folder of its own name, and beside it what is
 * to be attested. A machine that holds a key signs it and needs nothing else, no source, no network and none of our stores.
 */
import { z } from 'zod'
import { pushBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { layOut } from './lay-out.ts'
import type { ProvenanceTask } from './own-evidence.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { pushAttached, type SaidImage } from './sign-tasks.ts'
import { pushFiles } from './statement-task.ts'
import { handoverPath, statementPath } from './verify/files.ts'

/** The folder's name: nobody takes it for a release. */
export function unsignedName(version: string): string {
  return `${version}.unsigned`
}

/** For whoever opens the folder. */
export const markPath = 'UNSIGNED'

export function imageProvenancePath(component: string, platform: PlatformName): string {
  return `evidence/unsigned/images/${component}.linux-${platformOf(platform).architecture}.json`
}

export function programProvenancePath(program: string): string {
  return `evidence/unsigned/programs/${program}.json`
}

const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')
const FileText = z.strictObject({ digest: DigestText, size: z.int().nonnegative() })

/** `evidence/unsigned.json`: its digest is what one job may tell the other. */
export const Handover = z.strictObject({
  schema: z.literal('rfo-build.unsigned/1'),
  version: z.string().max(100),
  /** of the release */
  root: DigestText,
  /** of the rfo-build that made it */
  toolVersion: z.string().min(1).max(100),
  /** `evidence/release.json`, which lists every file and image */
  statement: FileText,
  /** predicates by path: of each platform's image, and of the release's own programs */
  provenances: z.record(z.string().max(1024), FileText),
})
export type Handover = z.infer<typeof Handover>

function markText(version: string): string {
  return `RFO ${version}, not signed: this is no release yet, and not for use.\nrfo-build sign <this folder> --sign-key <key> makes one of it.\n`
}

interface Made {
  readonly request: ReleaseRequest
  readonly said: readonly SaidImage[]
  readonly provenances: readonly ProvenanceTask[]
  /** the statement */
  readonly unsigned: Descriptor
  /** an index of files by title */
  readonly files: Descriptor
  readonly root: Digest
  of(task: Task): Descriptor
}

export async function layOutUnsigned(made: Made, { store }: ReleasePorts): Promise<{ readonly folder: string; readonly unsigned: Digest }> {
  const { plan, outDir, toolVersion } = made.request
  const predicates = [
    ...made.said.flatMap(({ image, platforms }) =>
      platforms.map((each) => ({ path: imageProvenancePath(image.component, each.platform), ...made.of(each.provenance) })),
    ),
    ...made.provenances.map(({ path, task }) => ({ path: programProvenancePath(path), ...made.of(task) })),
  ]
  const { digest, size } = made.unsigned
  const handover: Handover = {
    schema: 'rfo-build.unsigned/1',
    version: plan.version,
    root: made.root,
    toolVersion,
    statement: { digest, size },
    provenances: Object.fromEntries(predicates.map((each) => [each.path, { digest: each.digest, size: each.size }])),
  }
  const text = await pushBytes(store, mediaTypes.octets, canonicalJson(handover as unknown as Json))
  const mark = await pushBytes(store, mediaTypes.octets, markText(plan.version))
  const beside = await pushFiles(
    [{ path: statementPath, digest, size }, { path: handoverPath, ...text }, { path: markPath, ...mark }, ...predicates],
    store,
  )
  const attached = await pushAttached(store, [])
  const images = made.said.map(({ image, index }) => ({ reference: image.reference, index: made.of(index), attached }))
  const version = unsignedName(plan.version)
  return {
    folder: await layOut({ version, carried: [], outDir, files: made.files, beside, images }, store),
    unsigned: text.digest,
  }
}
