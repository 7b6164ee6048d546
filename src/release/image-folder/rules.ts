/** What RKE2 would make of a folder of images. Pure: facts in, findings out. */
import type { Finding } from '../../plan/lint.ts'
import type { ArchiveFacts } from './archive.ts'
import { type FolderReader, formats, largestWindow, stemOf } from './reader.ts'

export interface FolderFacts {
  /** every file at the top level, hidden ones too, sorted */
  readonly files: readonly { readonly name: string; readonly digest?: string }[]
  readonly archives: readonly ArchiveFacts[]
  /** archives that nothing here can look into: bzip2, lz4 */
  readonly unread: readonly string[]
  /** `.txt` files that hold references → those */
  readonly lists: ReadonlyMap<string, readonly string[]>
  /** `sha256sum-<arch>.txt` → name → digest */
  readonly sums: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** Of each code: whether RKE2 misses something that is meant to be there (error), or does more work, or warns nobody (note). */
export const rules = {
  RFO_LINT_BROKEN: 'error',
  RFO_LINT_WINDOW: 'error',
  RFO_LINT_FORMAT: 'error',
  RFO_LINT_TWICE: 'error',
  RFO_LINT_RUNTIME: 'error',
  RFO_LINT_PLATFORM: 'error',
  RFO_LINT_LIST: 'error',
  RFO_LINT_CONFLICT: 'error',
  RFO_LINT_SUM: 'error',
  RFO_LINT_UNSUMMED: 'error',
  RFO_LINT_LEGACY: 'error',
  RFO_LINT_EMPTY: 'error',
  RFO_LINT_ORDER: 'note',
  RFO_LINT_UNREAD: 'note',
} as const
export type RuleCode = keyof typeof rules

export type FolderFinding = Finding & { readonly code: RuleCode; readonly level: 'error' | 'note' }

/** Of RKE2's name, and of RFO's. */
const runtime = /\/(?:rke2|rfo)-runtime:/
const platformIn = /\.linux-([a-z0-9]+)(?:\.|$)/

/** Sorted by file. */
export function folderFindings(facts: FolderFacts, reader: FolderReader): FolderFinding[] {
  const found: FolderFinding[] = []
  const say = (code: RuleCode, file: string, message: string): void => {
    found.push({ file, code, level: rules[code], message })
  }
  // a release is installed from, its lists are for people; in a node's own folder each list is pulled
  const isRelease = facts.sums.size > 0
  for (const archive of facts.archives) archiveFindings(archive, reader, say)
  for (const file of facts.unread) say('RFO_LINT_UNREAD', file, 'nothing here can look into it; zstd and gzip are looked into')
  if (facts.archives.length + facts.unread.length === 0) say('RFO_LINT_EMPTY', '.', 'no archive of images is here: RKE2 pulls everything')
  else runtimeFindings(facts, say)
  conflicts(facts, say)
  twice(facts, say)
  lists(facts, isRelease, say)
  if (isRelease) {
    sums(facts, say)
    legacy(facts, say)
  } else strays(facts, reader, say)
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

type Say = (code: RuleCode, file: string, message: string) => void

function key({ file, code, message }: Finding): string {
  return `${file}\0${code}\0${message}`
}

function archiveFindings(archive: ArchiveFacts, reader: FolderReader, say: Say): void {
  const { file, window, first, docker, oci, absent, architectures, broken } = archive
  for (const what of broken.slice(0, 20)) say('RFO_LINT_BROKEN', file, what)
  if (window > largestWindow)
    say(
      'RFO_LINT_WINDOW',
      file,
      `a decoder needs a window of ${window} bytes, RKE2's has ${largestWindow}: zstd without --ultra, --long at most 25`,
    )
  if (docker === undefined && oci === undefined && broken.length === 0)
    say('RFO_LINT_FORMAT', file, 'neither manifest.json of a docker-archive nor index.json of an OCI layout')
  if (docker !== undefined && first !== 'manifest.json')
    say('RFO_LINT_ORDER', file, `manifest.json comes after ${first}: the whole archive is read to find one image`)
  const arch = platformIn.exec(file)?.[1]
  for (const other of architectures)
    if (arch !== undefined && other !== arch) say('RFO_LINT_PLATFORM', file, `it holds an image for ${other}`)
  if (!reader.skipsMissing)
    for (const image of absent)
      say('RFO_LINT_PLATFORM', file, `${image} is in an index and not in the archive: RKE2 ${reader.name} then imports nothing of it`)
}

/** RKE2 looks its runtime up in manifest.json alone, by tag, whatever index.json says. */
function runtimeFindings({ archives, unread }: FolderFacts, say: Say): void {
  const inDocker = archives.filter(({ docker }) => [...(docker?.keys() ?? [])].some((name) => runtime.test(name)))
  if (inDocker.length > 0 || unread.length > 0) return
  const inOci = archives.find(({ oci }) => [...(oci?.keys() ?? [])].some((name) => runtime.test(name)))
  if (inOci !== undefined)
    say('RFO_LINT_RUNTIME', inOci.file, 'the runtime image is in index.json alone: RKE2 looks for it in manifest.json')
  else say('RFO_LINT_RUNTIME', '.', 'no archive holds the runtime image: RKE2 waits for the network, and then pulls it')
}

/** One name, two images: which one a node has depends on the order of imports. */
function conflicts({ archives }: FolderFacts, say: Say): void {
  const seen = new Map<string, { readonly file: string; readonly digest: string }>()
  for (const { file, docker, oci } of archives) {
    const arch = platformIn.exec(file)?.[1] ?? ''
    for (const [kind, images] of [
      ['docker', docker],
      ['oci', oci],
    ] as const)
      for (const [name, digest] of images ?? []) {
        if (digest === undefined) continue
        const id = `${arch} ${kind} ${name}`
        const before = seen.get(id)
        if (before !== undefined && before.digest !== digest)
          say('RFO_LINT_CONFLICT', file, `${name} is another image than in ${before.file}`)
        seen.set(id, before ?? { file, digest })
      }
  }
}

function twice({ archives, unread }: FolderFacts, say: Say): void {
  const byStem = new Map<string, string>()
  for (const file of [...archives.map((each) => each.file), ...unread].sort()) {
    const before = byStem.get(stemOf(file))
    if (before !== undefined) say('RFO_LINT_TWICE', file, `${before} is the same in another compression: both are imported`)
    byStem.set(stemOf(file), before ?? file)
  }
}

function lists({ archives, lists: all, unread }: FolderFacts, isRelease: boolean, say: Say): void {
  if (unread.length > 0) return
  const names = (archive: ArchiveFacts): Set<string> => new Set([...(archive.docker?.keys() ?? []), ...(archive.oci?.keys() ?? [])])
  for (const [file, references] of all) {
    const beside = archives.filter((archive) => stemOf(archive.file) === stemOf(file))
    // the list of all has no archive of its own
    const arch = platformIn.exec(file)?.[1]
    const others = archives.filter((archive) => arch === undefined || platformIn.exec(archive.file)?.[1] === arch)
    const held = new Set((isRelease && beside.length > 0 ? beside : others).flatMap((archive) => [...names(archive)]))
    for (const reference of references)
      if (!held.has(reference))
        say('RFO_LINT_LIST', file, isRelease ? `${reference} is in no archive of it` : `${reference} is in no archive here: RKE2 pulls it`)
    if (isRelease)
      for (const archive of beside)
        for (const name of names(archive))
          if (!references.includes(name)) say('RFO_LINT_LIST', file, `${name} is in ${archive.file}, and not in the list`)
  }
}

function sums({ sums: all, files, archives }: FolderFacts, say: Say): void {
  const digests = new Map(
    [...files, ...archives.map(({ file, digest }) => ({ name: file, digest }))].map(({ name, digest }) => [name, digest]),
  )
  for (const [list, entries] of all)
    for (const [name, digest] of entries) {
      const found = digests.get(name)
      if (found !== undefined && found !== `sha256:${digest}`) say('RFO_LINT_SUM', name, `is ${found}, ${list} says sha256:${digest}`)
    }
  for (const { name } of files) {
    const arch = platformIn.exec(name)?.[1]
    if (arch === undefined || /\.(sig|sm2|asc|sigstore\.json)$/.test(name)) continue
    const list = `sha256sum-${arch}.txt`
    const entries = all.get(list)
    if (entries === undefined) say('RFO_LINT_UNSUMMED', name, `there is no ${list}: nothing says what it should be`)
    else if (!entries.has(name)) say('RFO_LINT_UNSUMMED', name, `${list} does not name it: it is installed without a check`)
  }
}

/** Upstream's installer copies group archives only where `rke2-images.linux-<arch>` lies beside them. */
function legacy({ archives, files }: FolderFacts, say: Say): void {
  for (const { file } of archives) {
    const [, arch] = /^rke2-images-[a-z-]+\.linux-([a-z0-9]+)\.tar\.(?:zst|gz)$/.exec(file) ?? []
    if (arch !== undefined && !files.some(({ name }) => name.startsWith(`rke2-images.linux-${arch}.tar.`)))
      say('RFO_LINT_LEGACY', file, `without rke2-images.linux-${arch}.tar.zst beside it, install.sh copies no archive and does not say so`)
  }
}

/** Whatever lies there beside archives counts as images for RKE2, which then leaves its own lists out. */
function strays({ files, archives, unread }: FolderFacts, reader: FolderReader, say: Say): void {
  const known = new Set([...archives.map(({ file }) => file), ...unread])
  for (const { name } of files) {
    const lower = name.toLowerCase()
    if (known.has(name) || formats.list.some((end) => lower.endsWith(end))) continue
    if (reader.knowsJson && (lower.endsWith('.json') || name === '.cache.json')) continue
    say('RFO_LINT_FORMAT', name, `RKE2 ${reader.name} reads no such file, and takes it for images`)
  }
}
