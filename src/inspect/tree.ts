/**
 * The merged view of an image's layers: a tree to which layers are applied in order, as containerd unpacks them
 * (https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#applying-changesets). Deleting is detaching, and
 * every directory is cleared at most once per layer: hostile layers cost no more than their entries.
 */
import { RfoError } from '../error.ts'

export interface Leaf<T> {
  readonly kind: 'file' | 'symlink' | 'special'
  /** bytes */
  readonly size: number
  readonly mode: number
  /** 64 hex characters; files only */
  readonly sha256?: string
  /** symlinks only, as it stands there */
  readonly target?: string
  /** What the visitor remembered. */
  readonly found?: T
}

interface Folder<T> {
  readonly kind: 'directory'
  readonly children: Map<string, Node<T>>
  /** The last layer that put something here or below. */
  touched: number
  /** The last layer that emptied this of what lower layers had put here. */
  cleared: number
}

interface Placed<T> extends Leaf<T> {
  readonly layer: number
}
type Node<T> = Folder<T> | Placed<T>

export interface Tree<T> {
  /** Layers are numbered upwards from 0. */
  addFolder(path: readonly string[], layer: number): void
  addLeaf(path: readonly string[], leaf: Leaf<T>, layer: number): void
  /** A second name for what `target` names already. */
  addLink(path: readonly string[], target: readonly string[], layer: number): void
  /** https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts: hides what lower layers put there. */
  whiteout(path: readonly string[], layer: number): void
  /** https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#opaque-whiteout */
  opaque(path: readonly string[], layer: number): void
  /** The path without symlinks (`/usr/lib/x` for `/lib/x`), the last component followed too; undefined = nothing there. */
  resolve(path: string): string | undefined
  /** What is at a path that holds no symlinks. */
  leaf(path: string): Leaf<T> | undefined
  /** All that is no directory, with a leading `/`, sorted by code unit. */
  leaves(): readonly (readonly [path: string, leaf: Leaf<T>])[]
}

/** Linux's MAXSYMLINKS. */
const mostLinks = 40
const mostEntries = 1_000_000
/** Path components looked at in a tree's whole life: real images need well under a tenth. */
const mostSteps = 200_000_000

export function createTree<T>(): Tree<T> {
  const root = folder<T>(0)
  let entries = 0
  let steps = 0

  /** Follows a path inside the root, as a process in a chroot would. `make` = missing directories are made (and marked). */
  function walk(path: readonly string[], how: { readonly make?: number; readonly last: boolean }): readonly string[] | undefined {
    const pending = [...path].reverse()
    const names: string[] = []
    const folders: Folder<T>[] = [root]
    let links = 0
    while (pending.length > 0) {
      if (++steps > mostSteps) throw tooMuch(`more than ${mostSteps} steps through its paths`)
      const name = pending.pop() as string
      if (name === '' || name === '.') continue
      if (name === '..') {
        names.pop()
        if (folders.length > 1) folders.pop()
        continue
      }
      const at = folders[folders.length - 1] as Folder<T>
      const node = at.children.get(name)
      if (node?.kind === 'symlink' && (how.last || pending.length > 0)) {
        if (++links > mostLinks) return undefined
        const target = node.target ?? ''
        if (target.startsWith('/')) {
          names.length = 0
          folders.length = 1
        }
        pending.push(...target.split('/').reverse())
        continue
      }
      names.push(name)
      if (node?.kind === 'directory') folders.push(node)
      else if (node === undefined && how.make !== undefined) {
        const made = folder<T>(how.make)
        count()
        at.children.set(name, made)
        folders.push(made)
      } else if (pending.some((rest) => rest !== '' && rest !== '.')) return undefined
      else break
    }
    if (how.make !== undefined) for (const one of folders) one.touched = how.make
    return names
  }

  function count(): void {
    if (++entries > mostEntries) throw tooMuch(`more than ${mostEntries} entries`)
  }

  function folderAt(names: readonly string[]): Folder<T> | undefined {
    let at: Node<T> | undefined = root
    for (const name of names) {
      if (at?.kind !== 'directory') return undefined
      at = at.children.get(name)
    }
    return at?.kind === 'directory' ? at : undefined
  }

  /** The directory that holds `path`'s last component, made when it is missing. */
  function parent(path: readonly string[], layer: number): Folder<T> {
    const names = walk(path.slice(0, -1), { make: layer, last: true })
    const found = names === undefined ? undefined : folderAt(names)
    if (found === undefined) throw badPlace(path, 'lies below something that is no directory')
    return found
  }

  function put(path: readonly string[], node: Node<T>, layer: number): void {
    const name = path.at(-1)
    if (name === undefined) throw badPlace(path, 'replaces the root')
    count()
    parent(path, layer).children.set(name, node)
  }

  /** Takes away what lower layers put below; what this layer put stays. */
  function clear(at: Folder<T>, layer: number): void {
    if (at.cleared === layer) return
    at.cleared = layer
    for (const [name, node] of at.children) {
      if (node.kind !== 'directory' ? node.layer < layer : node.touched < layer) at.children.delete(name)
      else if (node.kind === 'directory') clear(node, layer)
    }
  }

  function nodeAt(names: readonly string[]): Node<T> | undefined {
    const name = names.at(-1)
    return name === undefined ? root : folderAt(names.slice(0, -1))?.children.get(name)
  }

  return {
    addFolder(path, layer) {
      const name = path.at(-1)
      if (name === undefined) return
      const there = parent(path, layer).children.get(name)
      if (there?.kind === 'directory') there.touched = layer
      else put(path, folder(layer), layer)
    },
    addLeaf(path, leaf, layer) {
      put(path, { ...leaf, layer }, layer)
    },
    addLink(path, target, layer) {
      const names = walk(target, { last: false })
      const node = names === undefined ? undefined : nodeAt(names)
      if (node === undefined || node.kind === 'directory')
        throw badPlace(path, `is a hard link to ${JSON.stringify(target.join('/'))}, which is no file`)
      put(path, { ...node, layer }, layer)
    },
    whiteout(path, layer) {
      const name = path.at(-1)
      const names = walk(path.slice(0, -1), { last: true })
      const at = names === undefined ? undefined : folderAt(names)
      const node = name === undefined ? undefined : at?.children.get(name)
      if (at === undefined || name === undefined || node === undefined) return
      if (node.kind !== 'directory' ? node.layer < layer : node.touched < layer) at.children.delete(name)
      else if (node.kind === 'directory') clear(node, layer)
    },
    opaque(path, layer) {
      const names = walk(path, { last: true })
      const at = names === undefined ? undefined : folderAt(names)
      if (at !== undefined) clear(at, layer)
    },
    resolve(path) {
      const names = walk(path.split('/'), { last: true })
      return names === undefined || nodeAt(names) === undefined ? undefined : `/${names.join('/')}`
    },
    leaf(path) {
      const node = nodeAt(path.split('/').filter((part) => part !== ''))
      return node === undefined || node.kind === 'directory' ? undefined : node
    },
    leaves() {
      const all: [string, Leaf<T>][] = []
      const pending: (readonly [string, Folder<T>])[] = [['', root]]
      for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
        for (const [name, node] of next[1].children) {
          if (node.kind === 'directory') pending.push([`${next[0]}/${name}`, node])
          else all.push([`${next[0]}/${name}`, node])
        }
      }
      return all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    },
  }
}

function folder<T>(layer: number): Folder<T> {
  return { kind: 'directory', children: new Map(), touched: layer, cleared: -1 }
}

function badPlace(path: readonly string[], what: string): RfoError {
  return new RfoError('RFO_INSPECT_PATH', `the path ${JSON.stringify(path.join('/').slice(0, 200))} ${what}`, { exit: 'untrusted' })
}

function tooMuch(what: string): RfoError {
  return new RfoError('RFO_INSPECT_LIMIT', `the image has ${what}`, { exit: 'untrusted' })
}
