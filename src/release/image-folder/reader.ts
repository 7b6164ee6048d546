/**
 * How a version of RKE2 reads a folder of images, which is what RFO's program does too: it is RKE2's own code.
 * https://docs.rke2.io/install/airgap
 */
import { RfoError } from '../../error.ts'
import { compareVersions, parseUpstreamVersion, type Version } from '../../plan/version.ts'

export interface FolderReader {
  /** for people: `v1.24.8`, `newest` */
  readonly name: string
  /** An index may name platforms that the archive has not; before, one such index fails the whole file. */
  readonly skipsMissing: boolean
  /** `.json` files, its own cache among them, are not taken for images */
  readonly knowsJson: boolean
  /** It imports what is put there while it runs; before, only when it starts. */
  readonly watches: boolean
  /** What it imports is pinned: the kubelet's garbage collection passes over it. */
  readonly pins: boolean
}

/** bytes: what the decoder of https://github.com/rancher/wharfie allows */
export const largestWindow = 1 << 25

/** The first patch of each minor with it; later minors have it, earlier ones never got it. */
const since = {
  /** https://github.com/rancher/rke2/issues/5944 */
  skipsMissing: [27, 15, 28, 11, 29, 6, 30, 2],
  /** https://docs.rke2.io/install/airgap, conditional image imports */
  knowsJson: [30, 13, 31, 9, 32, 5, 33, 1],
  /** https://docs.rke2.io/install/airgap */
  watches: [30, 9, 31, 5, 32, 0],
  /** https://github.com/k3s-io/k3s/issues/8781 */
  pins: [26, 13, 27, 10, 28, 6, 29, 1],
} as const

/** `rke2@v1.24.8`, `rke2@v1.24.8+rke2r2` or `rke2@newest`. Throws RFO_LINT_READER (usage). */
export function folderReader(text: string): FolderReader {
  const name = /^rke2@(.+)$/.exec(text)?.[1]
  if (name === undefined)
    throw new RfoError('RFO_LINT_READER', `nothing that reads images is called ${JSON.stringify(text.slice(0, 60))}`, {
      exit: 'usage',
      next: '--for rke2@v1.24.8, or --for rke2@newest',
    })
  if (name === 'newest') return { name, skipsMissing: true, knowsJson: true, watches: true, pins: true }
  const version = parseUpstreamVersion(name.includes('+') ? name : `${name}+rke2r1`)
  return {
    name,
    skipsMissing: has(since.skipsMissing, version),
    knowsJson: has(since.knowsJson, version),
    watches: has(since.watches, version),
    pins: has(since.pins, version),
  }
}

function has(patches: readonly number[], version: Version): boolean {
  const minors = patches.filter((_, index) => index % 2 === 0)
  const at = minors.indexOf(version.minor)
  if (at < 0) return version.minor > Math.max(...minors)
  const first = parseUpstreamVersion(`v1.${version.minor}.${patches[2 * at + 1]}+rke2r1`)
  return compareVersions(version, first) >= 0
}

/** By the end of a file's name, in any case; the rest is "unhandled file type". */
export const formats = {
  list: ['.txt'],
  tar: ['.tar'],
  gzip: ['.tar.gz', '.tgz'],
  zstd: ['.tar.zst', '.tzst'],
  bzip2: ['.tar.bz2', '.tbz'],
  lz4: ['.tar.lz4'],
} as const
export type Format = keyof typeof formats

export function formatOf(file: string): Format | undefined {
  const name = file.toLowerCase()
  // `.tar` last: `.tar.gz` does not end with it
  return (Object.keys(formats) as Format[]).find((format) => formats[format].some((end) => name.endsWith(end)))
}

/** The name without what says how it is compressed. */
export function stemOf(file: string): string {
  const name = file.toLowerCase()
  const end = Object.values(formats)
    .flat()
    .find((each) => name.endsWith(each))
  return end === undefined ? file : file.slice(0, -end.length)
}
