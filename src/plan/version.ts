/**
 * The one place that orders and spells versions. `+rforN` is semver build metadata, which semver ignores when it orders
 * (https://semver.org/#spec-item-10), and `+` is illegal in an image tag: nobody else compares or spells a version.
 */
import { RfoError } from '../error.ts'

export interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** `rc2` of `v1.24.8-rc2+rfor1`; RFO makes rc alone, RKE2 made alpha and beta too */
  readonly pre?: { readonly kind: 'alpha' | 'beta' | 'rc'; readonly number: number }
  readonly by: 'rfor' | 'rke2r'
  readonly revision: number
}

const number = '(0|[1-9][0-9]{0,8})'
const form = new RegExp(`^v${number}\\.${number}\\.${number}(?:-(alpha|beta|rc)${number})?\\+(rfor|rke2r)${number}$`)
const kinds = ['alpha', 'beta', 'rc'] as const

function parse(text: string): Version | undefined {
  const found = form.exec(text)
  if (found === null) return undefined
  const [, major, minor, patch, kind, pre, by, revision] = found
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    ...(kind === undefined ? {} : { pre: { kind: kind as (typeof kinds)[number], number: Number(pre) } }),
    by: by as Version['by'],
    revision: Number(revision),
  }
}

/** `1.24.8`, or `1.24.8-rc.2`: what a range of versions is compared with. */
export function versionCore({ major, minor, patch, pre }: Version): string {
  return `${major}.${minor}.${patch}${pre === undefined ? '' : `-${pre.kind}.${pre.number}`}`
}

/** A version of RFO: `vX.Y.Z[-rcN]+rforN`. Throws RFO_PLAN_VERSION. */
export function parseVersion(text: string): Version {
  const version = parse(text)
  if (version?.by === 'rfor' && version.revision > 0 && (version.pre === undefined || version.pre.kind === 'rc')) return version
  throw new RfoError('RFO_PLAN_VERSION', `not a version of RFO: ${JSON.stringify(text.slice(0, 100))}`, {
    exit: 'usage',
    next: 'give it as vX.Y.Z[-rcN]+rforN, for example v1.24.8+rfor1',
  })
}

/** A version of RKE2: `vX.Y.Z[-rcN]+rke2rN` (also `-alphaN`, `-betaN`). Throws RFO_PLAN_VERSION. */
export function parseUpstreamVersion(text: string): Version {
  const version = parse(text)
  if (version?.by === 'rke2r' && version.revision > 0) return version
  throw new RfoError('RFO_PLAN_VERSION', `not a version of RKE2: ${JSON.stringify(text.slice(0, 100))}`, {
    exit: 'usage',
    next: 'give it as vX.Y.Z[-rcN]+rke2rN, for example v1.24.8+rke2r1',
  })
}

/** Negative: a is older. Release candidates come before their release, rfor2 after rfor1, rfor10 after rfor9. */
export function compareVersions(a: Version, b: Version): number {
  return (
    a.major - b.major ||
    a.minor - b.minor ||
    a.patch - b.patch ||
    rank(a) - rank(b) ||
    (a.pre?.number ?? 0) - (b.pre?.number ?? 0) ||
    a.revision - b.revision ||
    (a.by === b.by ? 0 : a.by < b.by ? -1 : 1)
  )
}

function rank(version: Version): number {
  return version.pre === undefined ? kinds.length : kinds.indexOf(version.pre.kind)
}

function pieces(version: Version): { readonly kubernetes: string; readonly pre: string; readonly by: string } {
  return {
    kubernetes: `${version.major}.${version.minor}.${version.patch}`,
    pre: version.pre === undefined ? '' : `${version.pre.kind}${version.pre.number}`,
    by: `${version.by}${version.revision}`,
  }
}

/** `v1.24.8-rc1+rfor1`: the canonical spelling. */
export function spell(version: Version): string {
  const { kubernetes, pre, by } = pieces(version)
  return `v${kubernetes}${pre && `-${pre}`}+${by}`
}

/** `v1.24.8-rfor1`: in image tags, where `+` is illegal. */
export function spellTag(version: Version): string {
  return spell(version).replace('+', '-')
}

/** `1.24.8~rc1~rfor1`: an RPM version. https://rpm.org/docs/4.20.x/manual/dependencies.html: `~` sorts before everything. */
export function spellRpm(version: Version): string {
  const { kubernetes, pre, by } = pieces(version)
  return [kubernetes, pre, by].filter((piece) => piece !== '').join('~')
}

/** `v1.24.8%2Brfor1`: in URLs. */
export function spellUrl(version: Version): string {
  return spell(version).replace('+', '%2B')
}

/** `v1.24`: the line that a version belongs to. */
export function minorLine(version: Version): string {
  return `v${version.major}.${version.minor}`
}

/** The upstream release that an RFO version follows when nobody says otherwise: the same Kubernetes, `+rke2r1`. */
export function defaultUpstream(version: Version): Version {
  return { ...version, by: 'rke2r', revision: 1 }
}
