/**
 * `--deep`: what lies inside the files whose digests have held. Everything is streamed and thrown away; nothing is written.
 * Who signed vouches for these bytes already: this finds what the signer's own machine did wrong.
 */
import { createZstdDecompress } from 'node:zlib'
import pLimit from 'p-limit'
import type { ReleaseFileEntry, ReleaseImage, ReleasePredicate } from '../../attest/release.ts'
import { gather } from '../../content/body.ts'
import { readBytes } from '../../content/read.ts'
import { RfoError, toRfoError } from '../../error.ts'
import { checkLayer, type Layer, layersOf } from '../../inspect/layers.ts'
import { parseIndex } from '../../oci/manifest.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import type { PlatformName } from '../../oci/platform.ts'
import { formatReference, parseReference } from '../../oci/reference.ts'
import { readChartArchive } from '../../pack/chart-archive.ts'
import { chartNameOf } from '../../pack/chart-provenance.ts'
import { checkGroupArchive } from '../../pack/read.ts'
import { checkRpm } from '../../rpm/install/layer.ts'
import { groupFileOf } from '../group-archive.ts'
import { isChart } from '../signed-paths.ts'
import type { Claim } from './claims.ts'
import { untrusted } from './finding.ts'
import { placeOf, type ReleasePlace } from './place.ts'
import { checkTarball } from './tarball.ts'

export interface DeepVerdict {
  readonly findings: readonly RfoError[]
  readonly claims: readonly Claim[]
}

/** A stream unpacks on a thread of its own while another one is hashed here; more than these only take memory. */
const atOnce = 3

type Check = { readonly where: string; run(): Promise<void> }

/** Throws RFO_VERIFY_NODE (machine) where Node has no zstd: before 22.15. */
export async function verifyDeep(release: string | ReleasePlace, predicate: ReleasePredicate): Promise<DeepVerdict> {
  const place = placeOf(release)
  if (typeof createZstdDecompress !== 'function')
    throw new RfoError('RFO_VERIFY_NODE', `Node ${process.versions.node} has no zstd, which --deep needs`, {
      exit: 'machine',
      next: 'use Node 22.15 or newer, or leave out --deep',
    })
  const archives = predicate.files.flatMap((file) => archiveCheck(place, predicate, file))
  const contents = predicate.files.flatMap((file) => contentCheck(place, predicate, file))
  const layers = await layerChecks(place, predicate)
  const limit = pLimit(atOnce)
  const findings: RfoError[] = []
  const claims: Claim[] = []
  const sets = { archives, layers: layers.checks, contents }
  const found = { archives: [] as RfoError[], layers: [...layers.findings], contents: [] as RfoError[] }
  const jobs = (['archives', 'layers', 'contents'] as const).flatMap((name) =>
    sets[name].map(({ where, run }) =>
      limit(async () => {
        try {
          await run()
        } catch (thrown) {
          found[name].push(toRfoError(thrown).at(where))
        }
      }),
    ),
  )
  await Promise.all(jobs)
  for (const name of ['archives', 'layers', 'contents'] as const) {
    findings.push(...found[name].sort((a, b) => ((a.where ?? '') < (b.where ?? '') ? -1 : 1)))
    if (found[name].length === 0) claims.push({ name, values: { count: sets[name].length } })
  }
  return { findings, claims }
}

/** An archive holds the images of its group that were made for its platform, whatever the archive says itself. */
function archiveCheck(place: ReleasePlace, predicate: ReleasePredicate, { path }: ReleaseFileEntry): Check[] {
  const named = groupFileOf(path)
  if (named === undefined || named.kind === 'txt') return []
  const { groups, arch, kind } = named
  const platform = predicate.platforms.find((one) => one === `linux/${arch}`)
  if (platform === undefined)
    return [{ where: path, run: () => Promise.reject(untrusted('RFO_VERIFY_ARCHIVE', 'of no platform of the release')) }]
  const wanted = predicate.images.flatMap((image) => inArchive(image, platform, groups)).sort()
  return [
    {
      where: path,
      async run() {
        const held = await checkGroupArchive(place.stream(path), kind)
        const images = held.images.map(({ reference, manifest }) => `${reference}@${manifest.digest}`).sort()
        const odd = [...images.filter((one) => !wanted.includes(one)), ...wanted.filter((one) => !images.includes(one))]
        if (held.platform !== platform || odd.length > 0 || images.length !== wanted.length)
          throw untrusted(
            'RFO_VERIFY_ARCHIVE',
            `not the signed images of ${groups.join(' and ')} for ${platform}: ${odd[0] ?? held.platform}`,
          )
      },
    },
  ]
}

function inArchive(image: ReleaseImage, platform: PlatformName, groups: readonly string[]): string[] {
  const made = image.platforms[platform]
  if (made?.status !== 'made' || !image.groups.some((group) => groups.includes(group))) return []
  return [`${formatReference(parseReference(image.reference))}@${made.digest}`]
}

/** What is no image: the tarball of a platform, packages, charts. */
function contentCheck(place: ReleasePlace, predicate: ReleasePredicate, { path }: ReleaseFileEntry): Check[] {
  const [, program] = /^(rfo\.linux-[a-z0-9]+)\.tar\.gz$/.exec(path) ?? []
  if (program !== undefined) {
    const signed = predicate.files.find((file) => file.path === program)
    return [{ where: path, run: () => checkTarball(place.stream(path), signed) }]
  }
  if (path.endsWith('.rpm')) return [{ where: path, run: async () => void (await checkRpm(place.extent(path), { env: {} })) }]
  if (isChart(path)) {
    // a chart is read whole: its digest is signed, and what it unpacks to is bounded by its reader
    return [{ where: path, run: async () => void (await readChartArchive(await gather(place.stream(path)), chartNameOf(path))) }]
  }
  return []
}

/** Each layer once, however many images have it. */
async function layerChecks(place: ReleasePlace, predicate: ReleasePredicate): Promise<{ checks: Check[]; findings: RfoError[] }> {
  const layout = await place.layout()
  const distinct = new Map<string, { readonly layer: Layer; readonly where: string }>()
  const findings: RfoError[] = []
  for (const { reference, digest, size } of predicate.images) {
    const index = parseIndex(await readBytes(layout, { mediaType: mediaTypes.index, digest, size }))
    for (const manifest of index.manifests) {
      const where = `oci: ${reference} ${manifest.platform?.os}/${manifest.platform?.architecture}`
      try {
        for (const layer of await layersOf(manifest, layout)) {
          const key = `${layer.layer.digest} ${layer.layer.mediaType} ${layer.diffId}`
          if (!distinct.has(key)) distinct.set(key, { layer, where })
        }
      } catch (thrown) {
        findings.push(toRfoError(thrown).at(where))
      }
    }
  }
  return { findings, checks: [...distinct.values()].map(({ layer, where }) => ({ where, run: () => checkLayer(layer, layout) })) }
}
