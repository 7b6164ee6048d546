/** Matches × policy × VEX → a verdict of one image. Pure: the date comes in, and nothing is forgotten: what is suppressed stays, with who said so. */
import { PackageURL } from 'packageurl-js'
import { type ReleaseGate, severities, timeOfDay } from '../plan/gate.ts'
import type { GoComponent, Match, Matcher, RpmComponent } from './match.ts'
import type { VexStatement } from './openvex.ts'

/** What is inside one image, as far as advisories can speak of it. */
export interface Inside {
  /** component of the release, or what a person calls it */
  readonly name: string
  /** `sha256:…` of the manifest; '' = none */
  readonly digest: string
  /** null = it says of no system */
  readonly os: { readonly id: string; readonly prettyName: string } | null
  readonly rpmDatabase: string
  readonly rpms: readonly RpmComponent[]
  readonly go: readonly GoComponent[]
  /** programs and libraries that neither an rpm nor Go's build info explains, and all of them */
  readonly unexplained: number
  readonly programs: number
}

/** `fails`: may not be shipped. The others say why it may. */
export type FindingState = 'fails' | 'grace' | 'no-fix' | 'below' | 'suppressed' | 'unjudged'

export interface Finding extends Match {
  readonly state: FindingState
  /** the day on which grace ends */
  readonly until?: string
  /** what suppressed it */
  readonly statement?: Pick<VexStatement, 'id' | 'author' | 'status' | 'justification' | 'impact'>
}

export interface ImageVerdict {
  readonly name: string
  readonly digest: string
  readonly verdict: 'pass' | 'fail' | 'undecided' | 'unjudged'
  /** `24.03-LTS-SP1`; absent = no openEuler inside */
  readonly stream?: string
  /** why it is undecided or unjudged */
  readonly why?: string
  /** who ships it all the same */
  readonly listed?: { readonly author: string; readonly reason: string; readonly expires: string }
  readonly packages: number
  readonly modules: number
  /** modules of which no version is known, sorted */
  readonly unversioned: readonly string[]
  readonly findings: readonly Finding[]
}

export interface Judge {
  readonly matcher: Matcher
  readonly gate: ReleaseGate
  /** milliseconds since 1970: the day that is judged */
  readonly date: number
  /** of ourselves and of vendors; only those whose author the gate names count */
  readonly vex: readonly VexStatement[]
}

export function judgeImage(inside: Inside, { matcher, gate, date, vex }: Judge): ImageVerdict {
  const { name, digest } = inside
  const stream = streamOfSystem(inside.os)
  const matches = [
    ...(stream === undefined ? [] : inside.rpms.flatMap((each) => matcher.rpm(each, stream))),
    ...inside.go.flatMap((each) => matcher.go(each)),
  ]
  const believed = vex.filter(({ author }) => gate.vex.some((each) => each.author === author && date < timeOfDay(each.expires)))
  const judged = matches.map((match) => judgeMatch(match, inside, believed, gate, date)).sort(bySeverity(gate))
  const common = {
    name,
    digest,
    ...(stream === undefined ? {} : { stream }),
    packages: inside.rpms.length,
    modules: inside.go.length,
    unversioned: inside.go.filter(({ version }) => version === '').map(({ module }) => module),
  }
  const silence = silenceOf(inside, stream, matcher)
  if (silence?.kind === 'unjudged') {
    const listed = gate.unjudged.find((each) => each.images.includes(name))
    const findings = judged.map((each): Finding => (each.state === 'fails' ? { ...each, state: 'unjudged' } : each))
    if (listed === undefined) return { ...common, verdict: 'undecided', why: `${silence.why}; release.yaml does not list it`, findings }
    const { author, reason, expires } = listed
    if (date >= timeOfDay(expires))
      return { ...common, verdict: 'undecided', why: `${silence.why}; its entry ended on ${expires}`, findings }
    return { ...common, verdict: 'unjudged', why: silence.why, listed: { author, reason, expires }, findings }
  }
  const fails = judged.some(({ state }) => state === 'fails')
  const verdict = fails ? 'fail' : silence === undefined ? 'pass' : 'undecided'
  return { ...common, verdict, ...(silence === undefined ? {} : { why: silence.why }), findings: judged }
}

/** Why nothing found would prove nothing. undefined = advisories speak of all that is inside. */
function silenceOf(
  { os, rpmDatabase, rpms, go, unexplained, programs }: Inside,
  stream: string | undefined,
  matcher: Matcher,
): { readonly kind: 'unjudged' | 'undecided'; readonly why: string } | undefined {
  if (os !== null && os.id.toLowerCase() === 'openeuler') {
    if (stream === undefined)
      return { kind: 'undecided', why: `no stream of openEuler is known as ${JSON.stringify(os.prettyName.slice(0, 80))}` }
    if (rpmDatabase === 'none' || rpms.length === 0) return { kind: 'undecided', why: 'openEuler without a database of its packages' }
    if (!matcher.knows(stream)) return { kind: 'undecided', why: `the snapshot holds nothing of openEuler ${stream}` }
    return undefined
  }
  if (os !== null) return { kind: 'unjudged', why: `no advisories are read of ${os.prettyName.slice(0, 80)}` }
  if (rpms.length > 0) return { kind: 'unjudged', why: 'packages of a system that it does not name' }
  // nothing but programs: Go's say what they are made of
  if (unexplained > 0) return { kind: 'unjudged', why: `${unexplained} of ${programs} programs do not say what they are made of` }
  return go.length === 0 ? { kind: 'unjudged', why: 'nothing inside says what it is made of' } : undefined
}

/** `openEuler 24.03 (LTS-SP1)`, `openEuler 22.03 LTS`: VERSION_ID alone lacks the service pack. */
export function streamOfSystem(os: Inside['os']): string | undefined {
  if (os === null || os.id.toLowerCase() !== 'openeuler') return undefined
  const [, version, pack] = /^openEuler\s+(\d\d\.\d\d)[\s(]+LTS(?:[-\s](SP\d{1,2}))?\)?\s*$/i.exec(os.prettyName) ?? []
  return version === undefined ? undefined : `${version}-LTS${pack === undefined ? '' : `-${pack.toUpperCase()}`}`
}

function judgeMatch(match: Match, inside: Inside, vex: readonly VexStatement[], gate: ReleaseGate, date: number): Finding {
  const statement = suppression(match, inside, vex)
  if (statement !== undefined) {
    const { id, author, status, justification, impact } = statement
    return {
      ...match,
      state: 'suppressed',
      statement: {
        id,
        author,
        status,
        ...(justification === undefined ? {} : { justification }),
        ...(impact === undefined ? {} : { impact }),
      },
    }
  }
  if (!gate.fail.includes(match.severity)) return { ...match, state: 'below' }
  if (gate.fixAvailable && match.fixed === undefined) return { ...match, state: 'no-fix' }
  const ends = match.published === '' ? date : Date.parse(match.published) + gate.graceDays * 86_400_000
  if (date < ends) return { ...match, state: 'grace', until: new Date(ends).toISOString().slice(0, 10) }
  return { ...match, state: 'fails' }
}

/** An advisory is answered when it is named itself, or each of its CVEs is. The newest statement about one counts, and of two at once the one that does not suppress. */
function suppression(match: Match, inside: Inside, vex: readonly VexStatement[]): VexStatement | undefined {
  const about = vex.filter(({ products }) => products.some((product) => covers(product, match, inside)))
  const verdictOn = (name: string): VexStatement | undefined => {
    const named = about.filter(({ vulnerabilities }) => vulnerabilities.includes(name))
    const newest = named
      .map(({ timestamp }) => timestamp)
      .sort()
      .at(-1)
    const last = named.filter(({ timestamp }) => timestamp === newest)
    const open = last.find(({ status }) => status !== 'not_affected' && status !== 'fixed')
    return open === undefined ? last.sort((a, b) => (a.id < b.id ? -1 : 1))[0] : undefined
  }
  const whole = verdictOn(match.advisory)
  if (whole !== undefined || about.some(({ vulnerabilities }) => vulnerabilities.includes(match.advisory))) return whole
  const cves = match.aliases.filter((alias) => alias.startsWith('CVE-'))
  const each = (cves.length > 0 ? cves : match.aliases).map(verdictOn)
  return each.length > 0 && each.every((found) => found !== undefined) ? each[0] : undefined
}

/** A product is the image, and its subcomponents what is in it; or it is the component itself. */
function covers(product: VexStatement['products'][number], match: Match, { name, digest }: Inside): boolean {
  const image = parsePurl(product.id)
  if (image?.type !== 'oci') return samePackage(product.id, match.purl)
  if (image.name !== name && image.name !== name.slice(name.lastIndexOf('/') + 1).replace(/[:@].*$/, '')) return false
  if (image.version !== undefined && image.version !== digest) return false
  return product.subcomponents.length === 0 || product.subcomponents.some((part) => samePackage(part, match.purl))
}

/** https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#product : what a statement leaves out (version, qualifiers), it leaves open. */
function samePackage(said: string, installed: string): boolean {
  const [a, b] = [parsePurl(said), parsePurl(installed)]
  if (a === undefined || b === undefined) return said === installed
  const sameName = a.type === b.type && (a.namespace ?? '').toLowerCase() === (b.namespace ?? '').toLowerCase() && a.name === b.name
  if (!sameName || (a.version !== undefined && a.version !== b.version)) return false
  return Object.entries(a.qualifiers ?? {}).every(([key, value]) => b.qualifiers?.[key] === value)
}

function parsePurl(text: string): PackageURL | undefined {
  if (!text.startsWith('pkg:')) return undefined
  try {
    return PackageURL.fromString(text)
  } catch {
    return undefined
  }
}

/** What fails first, then by severity, then by name: the same on every machine. */
function bySeverity({ fail }: ReleaseGate): (a: Finding, b: Finding) => number {
  const states: readonly FindingState[] = ['fails', 'unjudged', 'grace', 'no-fix', 'suppressed', 'below']
  const key = (each: Finding): string =>
    [states.indexOf(each.state), fail.includes(each.severity) ? 0 : 1, severities.indexOf(each.severity), each.advisory, each.purl].join(
      '\0',
    )
  return (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)
}

/** Of several images: the worst. What is known to be bad comes before what is not known. */
export function overall(images: readonly Pick<ImageVerdict, 'verdict'>[]): 'pass' | 'fail' | 'undecided' {
  if (images.some(({ verdict }) => verdict === 'fail')) return 'fail'
  return images.length === 0 || images.some(({ verdict }) => verdict === 'undecided') ? 'undecided' : 'pass'
}
