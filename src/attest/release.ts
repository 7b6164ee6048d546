/**
 * The release predicate: everything one release holds, as it lies. Its statement's subjects are the files; its
 * signature is the one that a verifier starts from.
 */
import { z } from 'zod'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import { ReleaseGateFact } from './scan.ts'

const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')
const PlatformText = z.custom<PlatformName>((value) => typeof value === 'string' && isPlatformName(value), 'a platform we know')
const JsonValue = z.custom<Json>((value) => value !== undefined, 'a JSON value')
const Text = z.string().min(1).max(4096)
/** bytes, or seconds */
const Count = z.int().nonnegative()

/** A path below the release: no root, no `.` or `..`, no backslash, no control character. */
export const ReleasePath = z
  .string()
  .max(1024)
  .refine(
    (path) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
      !/[\u0000-\u001f\\\u007f]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    'a relative path without `..`',
  )

const Deviation = z.strictObject({ from: Text, reason: Text })

export const ReleaseImagePlatform = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('made'), digest: DigestText }),
  z.strictObject({ status: z.literal('unsupported'), reason: Text }),
])

export const ReleaseImage = z.strictObject({
  component: Text,
  reference: Text,
  digest: DigestText.describe('of the image index'),
  size: Count.describe('of the image index'),
  action: z.enum(['rebuild', 'mirror']),
  groups: z.array(Text),
  platforms: z.partialRecord(PlatformText, ReleaseImagePlatform),
  deviates: Deviation.optional(),
  changedBy: z
    .array(z.strictObject({ path: ReleasePath, digest: DigestText }))
    .min(1)
    .max(1000)
    .optional()
    .describe('files of the release that changed its source: patches in their order, overrides of go.mod'),
  standIn: Text.optional().describe('what a replaced input stands for'),
})

export const ReleaseBase = z.strictObject({
  name: Text,
  reference: Text,
  digest: DigestText.optional(),
  reason: Text.optional(),
  standIn: Text.optional(),
})

/** Whether the default configuration comes up on a platform: every image that it names is in the lists, or which are not. */
export const ReleaseSupport = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('bootable') }),
  z.strictObject({
    status: z.literal('partial'),
    missing: z.array(z.strictObject({ reference: Text, neededBy: Text, reason: Text })).min(1),
  }),
])

export const ReleaseFileEntry = z.strictObject({
  path: ReleasePath,
  digest: DigestText,
  size: Count,
  sm3: z.string().regex(/^[0-9a-f]{64}$/),
  unsigned: z
    .strictObject({ digest: DigestText, size: Count })
    .optional()
    .describe('what no signature changes, which the root lists: of an RPM, its main header and payload; of repomd.xml, what the lists say'),
})

export const ReleasePredicate = z
  .strictObject({
    schema: z.literal('rfo-build.release/1'),
    version: Text,
    upstream: z.strictObject({ version: Text, commit: z.string().regex(/^[0-9a-f]{40}$/) }),
    epoch: Count.describe('seconds since 1970: every time stamp of the release'),
    root: z.strictObject({ digest: DigestText, index: JsonValue.describe('the OCI index whose canonical bytes have that digest') }),
    platforms: z.array(PlatformText).min(1),
    bases: z.partialRecord(PlatformText, ReleaseBase),
    images: z.array(ReleaseImage).max(10_000),
    files: z.array(ReleaseFileEntry).max(100_000),
    support: z.record(PlatformText, ReleaseSupport),
    gate: ReleaseGateFact.optional().describe('absent: nobody looked for vulnerabilities'),
    standIns: z.array(z.strictObject({ what: Text, standsFor: Text })),
    standInKey: Text.optional().describe('fingerprint of the key that signs only sandbox releases'),
  })
  .superRefine((release, context) => {
    const twice = (kind: string, names: readonly string[]): void => {
      const seen = new Set<string>()
      for (const name of names) {
        if (seen.has(name)) context.addIssue({ code: 'custom', message: `${kind} ${name} stands twice` })
        seen.add(name)
      }
    }
    twice(
      'file',
      release.files.map((file) => file.path),
    )
    twice(
      'image',
      release.images.map((image) => image.component),
    )
    twice('platform', release.platforms)
    // silence about a platform is an error: an image is either made for it or says why not
    for (const platform of release.platforms) {
      if (release.support[platform] === undefined)
        context.addIssue({ code: 'custom', message: `nothing is said of what ${platform} supports` })
    }
    const files = new Map(release.files.map((file) => [file.path, file.digest]))
    for (const image of release.images) {
      for (const { path, digest } of image.changedBy ?? []) {
        if (files.get(path) !== digest)
          context.addIssue({ code: 'custom', message: `${path}, which changed ${image.component}, is not among the files` })
      }
      for (const platform of release.platforms) {
        if (image.platforms[platform] === undefined)
          context.addIssue({ code: 'custom', message: `${image.component} says nothing of ${platform}` })
      }
    }
  })

export type ReleasePredicate = z.infer<typeof ReleasePredicate>
export type ReleaseSupport = z.infer<typeof ReleaseSupport>
export type ReleaseImage = z.infer<typeof ReleaseImage>
export type ReleaseImagePlatform = z.infer<typeof ReleaseImagePlatform>
export type ReleaseBase = z.infer<typeof ReleaseBase>
export type ReleaseFileEntry = z.infer<typeof ReleaseFileEntry>
