/**
 * The lists of two repositories as one. An entry stays as whoever wrote it wrote it, byte by byte: createrepo_c's stand beside ours.
 * Lists come from strangers: they are read as XML first, and cut where no text can hold a `<`.
 */
import { RfoError } from '../error.ts'
import { listText, type RepositoryList, repositoryKinds } from './repository.ts'
import { isInside } from './solve/repomd.ts'
import { badMetadata, readXml } from './solve/xml.ts'
import { updatesText } from './updateinfo.ts'

type Kind = (typeof repositoryKinds)[number]

export interface RepositoryEntry {
  /** SHA-256 of the package's file, in hex */
  readonly pkgid: string
  /** `name-[epoch:]version-release.arch` */
  readonly nevra: string
  /** of its file, below the repository's folder */
  readonly href: string
  readonly texts: Readonly<Record<Kind, string>>
}

/** Of the three lists of one repository, in the order of primary. Throws RFO_RPM_METADATA for lists that are not about the same packages. */
export async function repositoryEntries(lists: readonly RepositoryList[]): Promise<readonly RepositoryEntry[]> {
  const cut = new Map<Kind, ReadonlyMap<string, string>>()
  for (const kind of repositoryKinds) {
    const list = lists.find((each) => each.kind === kind)
    if (list === undefined) throw badMetadata(kind, 'there is none')
    cut.set(kind, await packagesOf(kind, list.text))
  }
  const [primary, filelists, other] = repositoryKinds.map((kind) => cut.get(kind) ?? new Map<string, string>())
  return [...(primary ?? [])].map(([pkgid, text]) => {
    const texts = { primary: text, filelists: filelists?.get(pkgid), other: other?.get(pkgid) }
    if (texts.filelists === undefined || texts.other === undefined || filelists?.size !== primary?.size || other?.size !== primary?.size)
      throw badMetadata('lists', 'they name different packages')
    return { pkgid, ...identity(text), texts: texts as Record<Kind, string> }
  })
}

/** Both, by name and version. Throws RFO_RPM_TAKEN where one name and version is two packages. */
export function mergeEntries(there: readonly RepositoryEntry[], added: readonly RepositoryEntry[]): readonly RepositoryEntry[] {
  const all = new Map(there.map((each) => [each.nevra, each]))
  const taken = added.filter((each) => (all.get(each.nevra)?.pkgid ?? each.pkgid) !== each.pkgid)
  if (taken.length > 0) {
    throw new RfoError('RFO_RPM_TAKEN', `${taken.length} packages are there already with other bytes`, {
      exit: 'condition',
      details: taken.map(({ nevra }) => nevra),
      next: 'merge into another folder: hosts that have them would never get these',
    })
  }
  for (const each of added) all.set(each.nevra, all.get(each.nevra) ?? each)
  return [...all.values()].sort((a, b) => (a.href < b.href ? -1 : 1))
}

export function listsOf(entries: readonly RepositoryEntry[]): readonly RepositoryList[] {
  return repositoryKinds.map((kind) => ({
    kind,
    text: listText(
      kind,
      entries.map(({ texts }) => texts[kind]),
    ),
  }))
}

/** Elements of updateinfo by their ids. */
export async function advisoriesOf(lists: readonly RepositoryList[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const { kind, text } of lists) {
    if (kind !== 'updateinfo') continue
    for (const each of await elements(kind, text, 'update')) {
      const [, id] = /<id>([^<]{1,200})<\/id>/.exec(each) ?? []
      if (id === undefined || found.has(id)) throw badMetadata(kind, 'an advisory without an id of its own')
      found.set(id, each)
    }
  }
  return found
}

/** Of one id, what is added now counts: it is what its author says last. */
export function mergeAdvisories(there: ReadonlyMap<string, string>, added: ReadonlyMap<string, string>): readonly RepositoryList[] {
  const all = [...new Map([...there, ...added])].sort(([a], [b]) => (a < b ? -1 : 1))
  return all.length === 0 ? [] : [{ kind: 'updateinfo', text: updatesText(all.map(([, text]) => text)) }]
}

/** By the SHA-256 that the entry says. */
async function packagesOf(kind: Kind, text: string): Promise<ReadonlyMap<string, string>> {
  const packages = await elements(kind, text, 'package')
  const found = new Map<string, string>()
  for (const each of packages) {
    const pkgid = (kind === 'primary' ? /<checksum type="sha256" pkgid="YES">([0-9a-f]{64})</ : /^<package pkgid="([0-9a-f]{64})"/).exec(
      each,
    )?.[1]
    if (pkgid === undefined || found.has(pkgid)) throw badMetadata(kind, 'a package without a SHA-256 of its own')
    found.set(pkgid, each)
  }
  return found
}

/** The elements of that name as they stand in the text. Throws RFO_RPM_METADATA for what is no XML, or has comments or CDATA. */
export async function elements(what: string, text: string, name: string): Promise<readonly string[]> {
  let count = 0
  await readXml(pieces(text), what, {
    open(opened) {
      if (opened === name) count += 1
    },
    close() {},
  })
  const found = text.includes('<!') ? [] : (text.match(new RegExp(`<${name}[\\s>][\\s\\S]*?</${name}>`, 'g')) ?? [])
  if (found.length !== count) throw badMetadata(what, `its elements ${name} can't be told apart`)
  return found
}

/** bytes; an element must end within a few MiB, and a list is longer */
const pieceLength = 65_536

async function* pieces(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceLength) yield bytes.subarray(at, at + pieceLength)
}

function identity(text: string): Pick<RepositoryEntry, 'nevra' | 'href'> {
  const [, name] = /<name>([A-Za-z0-9._+-]{1,200})<\/name>/.exec(text) ?? []
  const [, arch] = /<arch>([a-z0-9_]{1,20})<\/arch>/.exec(text) ?? []
  const [, epoch, version, release] = /<version epoch="(\d{1,10})" ver="([^"<>\s]{1,200})" rel="([^"<>\s]{1,200})"\/>/.exec(text) ?? []
  // with xml:base it would lie elsewhere
  const [, href = ''] = /<location href="([^"<>]{1,1024})"\/>/.exec(text) ?? []
  if (name === undefined || arch === undefined || version === undefined || !isInside(href) || href.includes('&'))
    throw badMetadata('primary', 'a package that it does not name, or whose file lies elsewhere')
  return { nevra: `${name}-${epoch === '0' ? '' : `${epoch}:`}${version}-${release}.${arch}`, href }
}
