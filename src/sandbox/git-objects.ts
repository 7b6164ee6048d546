/** Git objects: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects. Names are SHA-1, because that is what git hosts serve. */
import { createHash } from 'node:crypto'

/** A file of a source tree; `path` is relative, with slashes. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Buffer
  readonly executable: boolean
}

/** Object name → the object with its header, not compressed. */
export type GitObjects = Map<string, Buffer>

/** Who makes what the sandbox's git host serves. */
const author = 'RFO sandbox <sandbox@rfo.invalid>'

function put(objects: GitObjects, kind: 'blob' | 'tree' | 'commit' | 'tag', body: Buffer): string {
  const object = Buffer.concat([Buffer.from(`${kind} ${body.length}\0`), body])
  const name = createHash('sha1').update(object).digest('hex')
  objects.set(name, object)
  return name
}

/** Puts the commit of these files and everything below it; no parent. `epoch` in seconds. Returns its name. */
export function putCommit(objects: GitObjects, files: readonly SourceFile[], epoch: number, message: string): string {
  const tree = putTree(objects, files)
  return put(
    objects,
    'commit',
    Buffer.from(`tree ${tree}\nauthor ${author} ${epoch} +0000\ncommitter ${author} ${epoch} +0000\n\n${message}\n`),
  )
}

/** Puts an annotated tag of a commit. Returns its name, which is not the commit's. */
export function putTag(objects: GitObjects, commit: string, tag: string, epoch: number, message: string): string {
  return put(objects, 'tag', Buffer.from(`object ${commit}\ntype commit\ntag ${tag}\ntagger ${author} ${epoch} +0000\n\n${message}\n`))
}

function putTree(objects: GitObjects, files: readonly SourceFile[]): string {
  const entries: { readonly order: string; readonly name: string; readonly mode: string; readonly object: string }[] = []
  const folders = new Map<string, SourceFile[]>()
  for (const file of files) {
    const slash = file.path.indexOf('/')
    if (slash === -1) {
      const object = put(objects, 'blob', file.bytes)
      entries.push({ order: file.path, name: file.path, mode: file.executable ? '100755' : '100644', object })
    } else {
      const folder = file.path.slice(0, slash)
      folders.set(folder, [...(folders.get(folder) ?? []), { ...file, path: file.path.slice(slash + 1) }])
    }
  }
  for (const [name, inside] of folders) entries.push({ order: `${name}/`, name, mode: '40000', object: putTree(objects, inside) })
  // git sorts by bytes, a folder as if its name ended with a slash
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.order), Buffer.from(b.order)))
  const rows = entries.map((entry) => Buffer.concat([Buffer.from(`${entry.mode} ${entry.name}\0`), Buffer.from(entry.object, 'hex')]))
  return put(objects, 'tree', Buffer.concat(rows))
}
