/** A repository's primary list: what it has, and what that provides and requires. And the long list of files, for a few paths. */

import type { Capability, Relation } from './capability.ts'
import { isInside } from './repomd.ts'
import type { Candidate } from './universe.ts'
import { badMetadata, readXml } from './xml.ts'

/** openEuler's largest repository has about 30 000 */
const mostPackages = 500_000
/** of one package */
const mostEntries = 100_000

const relations: ReadonlyMap<string, Relation> = new Map([
  ['LT', '<'],
  ['LE', '<='],
  ['EQ', '='],
  ['GE', '>='],
  ['GT', '>'],
])
const lists = new Map([
  ['rpm:provides', 'provides'],
  ['rpm:requires', 'requires'],
  ['rpm:conflicts', 'conflicts'],
  ['rpm:obsoletes', 'obsoletes'],
] as const)

interface Draft {
  name: string
  arch: string
  evr: string
  sha256: string
  url: string
  size: number
  readonly provides: Capability[]
  readonly requires: Capability[]
  readonly conflicts: Capability[]
  readonly obsoletes: Capability[]
  readonly files: string[]
}

/** `address` ends with a slash. Packages of other architectures are left out; throws RFO_RPM_METADATA. */
export async function readPrimary(bytes: AsyncIterable<Uint8Array>, address: string, arch: string): Promise<Candidate[]> {
  const bad = (what: string): Error => badMetadata('primary list', what)
  const found: Candidate[] = []
  let count = 0
  let draft: Draft | undefined
  let list: Capability[] | undefined
  let algorithm = ''
  await readXml(bytes, 'primary list', {
    open(name, attributes) {
      if (name === 'package') {
        if (++count > mostPackages) throw bad(`more than ${mostPackages} packages`)
        draft = {
          name: '',
          arch: '',
          evr: '',
          sha256: '',
          url: '',
          size: -1,
          provides: [],
          requires: [],
          conflicts: [],
          obsoletes: [],
          files: [],
        }
      }
      if (draft === undefined) return
      if (name === 'version') draft.evr = evrOf(attributes) ?? ''
      else if (name === 'checksum') algorithm = attributes['type'] ?? ''
      else if (name === 'size') draft.size = Number(attributes['package'] ?? -1)
      else if (name === 'location') {
        const href = attributes['href'] ?? ''
        if (attributes['xml:base'] === undefined && isInside(href)) draft.url = address + href
      } else if (listOf(name) !== undefined) list = draft[listOf(name) ?? 'provides']
      else if (name === 'rpm:entry' && list !== undefined) {
        if (list.push(capabilityOf(attributes)) > mostEntries) throw bad(`${draft.name} has too many dependencies`)
      }
    },
    close(name, text) {
      if (draft === undefined) return
      if (name === 'name') draft.name = text
      else if (name === 'arch') draft.arch = text
      else if (name === 'checksum') draft.sha256 = algorithm === 'sha256' ? text.trim() : ''
      else if (name === 'file') {
        if (draft.files.push(text) > mostEntries) throw bad(`${draft.name} has too many files`)
      } else if (listOf(name) !== undefined) list = undefined
      else if (name === 'package') {
        const { arch: own } = draft
        if (own === arch || own === 'noarch') found.push(checked(draft, bad))
        draft = undefined
      }
    },
  })
  return found
}

function listOf(element: string): 'provides' | 'requires' | 'conflicts' | 'obsoletes' | undefined {
  return (lists as ReadonlyMap<string, 'provides' | 'requires' | 'conflicts' | 'obsoletes'>).get(element)
}

function checked(draft: Draft, bad: (what: string) => Error): Candidate {
  const named = /^[A-Za-z0-9_][\w.+-]*$/.test(draft.name) && /^(\d+:)?[\w.+~^]+-[\w.+~^]+$/.test(draft.evr)
  if (!named) throw bad(`a package called ${JSON.stringify(`${draft.name}-${draft.evr}`.slice(0, 200))}`)
  if (!/^[0-9a-f]{64}$/.test(draft.sha256)) throw bad(`${draft.name} has no SHA-256`)
  if (draft.url === '') throw bad(`${draft.name} lies at no path below the repository`)
  if (!Number.isSafeInteger(draft.size) || draft.size < 0) throw bad(`${draft.name} has no size`)
  return draft
}

function capabilityOf(attributes: Readonly<Record<string, string>>): Capability {
  const name = attributes['name'] ?? ''
  const relation = relations.get(attributes['flags'] ?? '')
  const evr = relation === undefined ? undefined : evrOf(attributes)
  return relation === undefined || evr === undefined ? { name } : { name, is: { relation, evr } }
}

/** `[epoch:]version[-release]`; an epoch of 0 is left out */
function evrOf({ epoch, ver, rel }: Readonly<Record<string, string>>): string | undefined {
  if (ver === undefined || ver === '') return undefined
  return `${epoch === undefined || epoch === '0' || epoch === '' ? '' : `${epoch}:`}${ver}${rel === undefined ? '' : `-${rel}`}`
}

/** path → `name-[epoch:]version-release.arch` of the packages that have it, for the paths of `wanted` alone. */
export async function readFilelists(
  bytes: AsyncIterable<Uint8Array>,
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  let [name, arch, evr] = ['', '', '']
  await readXml(bytes, 'list of files', {
    open(element, attributes) {
      if (element === 'package') [name, arch] = [attributes['name'] ?? '', attributes['arch'] ?? '']
      else if (element === 'version') evr = evrOf(attributes) ?? ''
    },
    close(element, text) {
      if (element === 'file' && wanted.has(text)) found.set(text, [...(found.get(text) ?? []), `${name}-${evr}.${arch}`])
    },
  })
  return found
}
