/** A header as what it says of its package. */
import { RfoError } from '../../error.ts'
import { sense } from '../dependencies.ts'
import { tags } from '../header.ts'
import type { Capability, Relation, Solvable } from '../solve/capability.ts'
import { type FileKind, fileKind } from './file-kind.ts'
import type { Header } from './read-header.ts'

/** https://rpm-software-management.github.io/rpm/manual/tags.html; none of these our own packages have */
const more = {
  longFileSizes: 5008,
  fileCapabilities: 5010,
  preTransaction: 1151,
  preTransactionProgram: 1153,
  triggers: 1065,
  fileTriggers: 5066,
  transactionFileTriggers: 5076,
} as const

export interface FileFact {
  /** absolute */
  readonly path: string
  readonly kind: FileKind
  /** permission bits, setuid and sticky among them */
  readonly mode: number
  /** bytes */
  readonly size: number
  /** hex; '' for what is no regular file */
  readonly digest: string
  /** of a symlink, as it stands there */
  readonly target: string
  readonly user: string
  readonly group: string
  /** owned, but brought by nobody */
  readonly ghost: boolean
  /** text form: `cap_net_raw=ep`; '' = none */
  readonly capabilities: string
}

export type DigestAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

export interface PackageFacts extends Solvable {
  /** file name of the source package; '' when the header has none */
  readonly sourceRpm: string
  readonly digestAlgorithm: DigestAlgorithm
  readonly fileFacts: readonly FileFact[]
  /** What rpm would run when it installs the package: `post`, `post: /sbin/ldconfig` for a program without a script. */
  readonly scriptlets: readonly string[]
}

/** RFC 4880's numbers */
const algorithms: Readonly<Record<number, DigestAlgorithm>> = { 1: 'md5', 2: 'sha1', 8: 'sha256', 9: 'sha384', 10: 'sha512' }
const ghostFlag = 64
/** PATH_MAX; and characters in all paths of one package */
const longestPath = 4096
const mostPathText = 64 * 1024 * 1024

/** What a package provides and requires, of an RPM or of a database. Throws RFO_RPM_HEADER. */
export function solvableOf(header: Header): Solvable {
  const [name, version, release] = [header.text(tags.name), header.text(tags.version), header.text(tags.release)]
  if (!/^[A-Za-z0-9_][\w.+-]*$/.test(name) || !/^[\w.+~^]+$/.test(version) || !/^[\w.+~^]+$/.test(release))
    throw bad(`a package called ${JSON.stringify(`${name}-${version}-${release}`.slice(0, 200))}`)
  const epoch = header.numbers(tags.epoch)[0]
  return {
    name,
    evr: `${epoch === undefined || epoch === 0 ? '' : `${epoch}:`}${version}-${release}`,
    arch: header.text(tags.arch),
    provides: capabilities(header, tags.provideName, tags.provideFlags, tags.provideVersion),
    requires: capabilities(header, tags.requireName, tags.requireFlags, tags.requireVersion),
    conflicts: capabilities(header, tags.conflictName, tags.conflictFlags, tags.conflictVersion),
    obsoletes: capabilities(header, tags.obsoleteName, tags.obsoleteFlags, tags.obsoleteVersion),
    files: pathsOf(header),
  }
}

/** Throws RFO_RPM_HEADER, and RFO_RPM_PATH for a file that lies at no place in an image. */
export function factsOf(header: Header, isSource = false): PackageFacts {
  const algorithm = algorithms[header.numbers(tags.fileDigestAlgorithm)[0] ?? 1]
  if (algorithm === undefined) throw bad('its files have digests of an unknown kind')
  return {
    ...solvableOf(header),
    sourceRpm: header.text(tags.sourceRpm),
    digestAlgorithm: algorithm,
    fileFacts: filesOf(header, isSource),
    scriptlets: scriptletsOf(header),
  }
}

function capabilities(header: Header, name: number, flags: number, version: number): Capability[] {
  const [senses, versions] = [header.numbers(flags), header.strings(version)]
  return header.strings(name).map((each, n): Capability => {
    const relation = relationOf(senses[n] ?? 0)
    const evr = versions[n] ?? ''
    return relation === undefined || evr === '' ? { name: each } : { name: each, is: { relation, evr } }
  })
}

function relationOf(flags: number): Relation | undefined {
  const found = `${(flags & sense.less) === 0 ? '' : '<'}${(flags & sense.greater) === 0 ? '' : '>'}${(flags & sense.equal) === 0 ? '' : '='}`
  return found === '<' || found === '<=' || found === '=' || found === '>=' || found === '>' ? found : undefined
}

function pathsOf(header: Header): string[] {
  const [names, folders, folderOf] = [header.strings(tags.baseNames), header.strings(tags.dirNames), header.numbers(tags.dirIndexes)]
  if (folderOf.length !== names.length) throw bad(`it has ${names.length} file names and ${folderOf.length} directories for them`)
  let total = 0
  return names.map((name, n) => {
    const folder = folders[folderOf[n] ?? -1]
    if (folder === undefined) throw bad('a file lies in a directory that is not listed')
    total += folder.length + name.length
    if (folder.length + name.length > longestPath || total > mostPathText) throw bad('its file names are too long')
    return folder + name
  })
}

/** Of a source as if its folder were the root, where all of them lie. */
function filesOf(header: Header, isSource: boolean): FileFact[] {
  const named = pathsOf(header)
  const folded = isSource ? named.find((name) => name.includes('/')) : undefined
  if (folded !== undefined) throw badPath(folded, 'is no name of a source')
  const paths = isSource ? named.map((name) => `/${name}`) : named
  if (header.has(more.longFileSizes)) throw bad('it has files of more than 4 GiB')
  const column = (tag: number): readonly number[] => sized(header.numbers(tag), paths.length, tag)
  const texts = (tag: number): readonly string[] => sized(header.strings(tag), paths.length, tag)
  const [modes, sizes, flags] = [column(tags.fileModes), column(tags.fileSizes), column(tags.fileFlags)]
  const [digests, targets, users, groups] = [
    texts(tags.fileDigests),
    texts(tags.fileLinktos),
    texts(tags.fileUserName),
    texts(tags.fileGroupName),
  ]
  const caps = header.has(more.fileCapabilities) ? texts(more.fileCapabilities) : []
  const seen = new Set<string>()
  return paths.map((path, n): FileFact => {
    if (!isPlain(path)) throw badPath(path, 'is no place in an image')
    if (seen.has(path)) throw badPath(path, 'comes twice')
    seen.add(path)
    const mode = modes[n] ?? 0
    const ghost = ((flags[n] ?? 0) & ghostFlag) !== 0
    return {
      path,
      kind: kindOf(mode, path, ghost),
      mode: mode & 0o7777,
      size: sizes[n] ?? 0,
      digest: digests[n] ?? '',
      target: targets[n] ?? '',
      user: users[n] ?? '',
      group: groups[n] ?? '',
      ghost,
      capabilities: caps[n] ?? '',
    }
  })
}

/** Absolute, and each part a name; or the root, which one package owns. */
function isPlain(path: string): boolean {
  if (path === '/') return true
  const parts = path.split('/').slice(1)
  return (
    path.startsWith('/') &&
    !path.includes('\0') &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.startsWith('.wh.'))
  )
}

function kindOf(mode: number, path: string, ghost: boolean): FileFact['kind'] {
  const kind = fileKind(mode)
  if (kind !== undefined) return kind
  // a device or a socket that nobody brings is a name alone
  if (ghost) return 'file'
  throw badPath(path, 'is a device, a pipe or a socket')
}

function sized<T>(values: readonly T[], count: number, tag: number): readonly T[] {
  if (values.length !== count) throw bad(`tag ${tag} has ${values.length} values for ${count} files`)
  return values
}

/** In the order in which rpm runs them. */
function scriptletsOf(header: Header): string[] {
  const found = (name: string, script: number, program: number): string[] => {
    if (header.has(script)) return [name]
    return header.has(program) ? [`${name}: ${header.strings(program).join(' ').slice(0, 200)}`] : []
  }
  return [
    ...found('pretrans', more.preTransaction, more.preTransactionProgram),
    ...found('pre', 1023, 1085),
    ...found('post', 1024, 1086),
    ...found('posttrans', 1152, 1154),
    ...(header.has(more.triggers) ? ['triggers'] : []),
    ...(header.has(more.fileTriggers) || header.has(more.transactionFileTriggers) ? ['file triggers'] : []),
  ]
}

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_HEADER', `an RPM's header can't be read: ${what}`, { exit: 'untrusted' })
}

function badPath(path: string, what: string): RfoError {
  return new RfoError('RFO_RPM_PATH', `${JSON.stringify(path.slice(0, 200))} ${what}`, { exit: 'untrusted' })
}
