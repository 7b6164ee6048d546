/** The sources of a plan that the sandbox replaces: a git repository or an archive each, and the pin that names it. */
import { digestOf } from '../oci/digest.ts'
import type { Source } from '../plan/component.ts'
import type { ArchivePin, GitPin } from '../plan/lock.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { type GitObjects, putCommit, putTag, type SourceFile } from './git-objects.ts'
import { foldersOf, gzip, type TarEntry, tar } from './tar.ts'
import { prebuiltFolder, standInTree } from './tree.ts'

export interface GitRepository {
  /** as pipelines name it, without `.git` */
  readonly url: string
  readonly objects: GitObjects
  /** ref → object; a peeled tag as `refs/tags/x^{}` */
  readonly refs: ReadonlyMap<string, string>
}

export interface StandInSources {
  readonly repositories: readonly GitRepository[]
  /** public URL → bytes */
  readonly archives: ReadonlyMap<string, Buffer>
  /** component → what the lock says of its source */
  readonly pins: ReadonlyMap<string, { readonly pin: GitPin | ArchivePin; readonly standIn: string }>
}

/** `epoch` in seconds: the time of every commit. A plan's sources have their versions filled in. */
export function standInSources(images: readonly ImagePlan[], kinds: ReadonlySet<Source['kind']>, epoch: number): StandInSources {
  const archives = new Map<string, Buffer>()
  const pins = new Map<string, { readonly pin: GitPin | ArchivePin; readonly standIn: string }>()
  const git = new Map<string, Map<string, ImagePlan[]>>()
  const others = new Map<string, { readonly version: string; readonly standIn: string; readonly built: ImagePlan[] }>()
  for (const image of images) {
    const { source } = image
    if (image.action !== 'rebuild' || source === undefined || !kinds.has(source.kind)) continue
    if (source.kind === 'git') {
      const tags = entry(git, withoutSuffix(source.url), () => new Map<string, ImagePlan[]>())
      entry(tags, source.tag, () => []).push(image)
    } else {
      const version = source.kind === 'go-module' ? source.version : image.version
      const url = source.kind === 'archive' ? source.url : `https://${source.module}/archive/${version}.tar.gz`
      const standIn = source.kind === 'archive' ? url : `${source.module}@${version}`
      entry(others, url, () => ({ version, standIn, built: [] })).built.push(image)
    }
  }
  for (const [url, { version, standIn, built }] of others) {
    // several images may be made of one source
    const bytes = archiveOf(`${built[0]?.component}-${version}`, standInTree(standIn, built), epoch)
    archives.set(url, bytes)
    for (const { component } of built) {
      const pin = { kind: 'archive' as const, url, digest: digestOf(bytes), size: bytes.length, prebuilt: prebuiltFolder }
      pins.set(component, { pin, standIn })
    }
  }
  const repositories = [...git].sort(byKey).map(([url, tags]) => {
    const objects: GitObjects = new Map()
    const refs = new Map<string, string>()
    for (const [tag, built] of [...tags].sort(byKey)) {
      const standIn = `${url}@${tag}`
      const tree = standInTree(standIn, built)
      const message = `Stand-in for ${standIn}`
      const commit = putCommit(objects, tree, epoch, message)
      refs.set('refs/heads/main', commit)
      refs.set(`refs/tags/${tag}`, putTag(objects, commit, tag, epoch, message))
      refs.set(`refs/tags/${tag}^{}`, commit)
      const bytes = archiveOf(`${url.slice(url.lastIndexOf('/') + 1)}-${commit}`, tree, epoch, commit)
      const archive = { url: `${url}/archive/${commit}.tar.gz`, digest: digestOf(bytes), size: bytes.length }
      archives.set(archive.url, bytes)
      for (const image of built) {
        const source = image.source?.kind === 'git' ? image.source.url : url
        pins.set(image.component, { pin: { kind: 'git', url: source, tag, commit, archive, prebuilt: prebuiltFolder }, standIn })
      }
    }
    return { url, objects, refs }
  })
  return { repositories, archives, pins }
}

/** A host's archive of a source: one top folder, and for a commit the header that git writes. */
function archiveOf(top: string, files: readonly SourceFile[], epoch: number, commit?: string): Buffer {
  const paths = files.map((file) => `${top}/${file.path}`)
  const entries: TarEntry[] = [
    ...(commit === undefined ? [] : [{ kind: 'commit', path: 'pax_global_header', commit } as const]),
    ...foldersOf(paths),
    ...files.map(
      (file): TarEntry => ({ kind: 'file', path: `${top}/${file.path}`, bytes: file.bytes, mode: file.executable ? 0o755 : 0o644 }),
    ),
  ]
  return gzip(tar(entries, epoch))
}

function withoutSuffix(url: string): string {
  return url.replace(/\/+$/, '').replace(/\.git$/, '')
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
