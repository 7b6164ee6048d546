/** The placeholders that pipelines/*.yaml may hold, and how they are filled when a release is planned. */
import { RfoError } from '../error.ts'
import { spell, spellTag, type Version } from './version.ts'

export interface Placeholders {
  /** the whole upstream image tag: `v3.5.4-k3s1-build20221011` */
  readonly tag: string
  /** upstream version: the tag without `-build<date>`: `v3.5.4-k3s1` */
  readonly version: string
  /** the first dotted number of the version, with its `v` if it has one: `v3.5.4` */
  readonly core: string
  /** the core without `v`: `3.5.4` */
  readonly number: string
  /** the core with 0 for its first number, `v0.25.4`: how Kubernetes publishes its parts */
  readonly staging: string
  /** the first two numbers of the core: `3` and `5` */
  readonly major: string
  readonly minor: string
  /** the release's time stamp: `2022-11-14T13:25:00Z` */
  readonly epochDate: string
  /** `v1.24.8+rfor1` */
  readonly rfo: string
  /** `v1.24.8-rfor1` */
  readonly rfoTag: string
  /** `v1.24.8+rke2r1` */
  readonly upstream: string
  /** the day of the lock entry, `20261123`; `YYYYMMDD` as long as there is none */
  readonly date: string
  /** of the source, where it is compiled in or looked for; stays as long as nobody knows it: plan/fill.ts */
  readonly commit: string
}
const names = [
  'tag',
  'version',
  'core',
  'number',
  'staging',
  'major',
  'minor',
  'epochDate',
  'rfo',
  'rfoTag',
  'upstream',
  'date',
  'commit',
] as const satisfies readonly (keyof Placeholders)[]

/** Days and times of a release: `epoch` in seconds; `date` of the lock entry, absent as long as there is none. */
export interface Times {
  readonly epoch: number
  readonly date?: string | undefined
}

export function placeholders(tag: string, rfo: Version, upstream: Version, { epoch, date = 'YYYYMMDD' }: Times): Placeholders {
  const version = tag.replace(/-build[0-9]{8}$/, '')
  const core = /v?[0-9]+(?:\.[0-9]+)+/.exec(version)?.[0] ?? version
  const staging = core.replace(/^v?[0-9]+/, 'v0')
  const number = core.replace(/^v/, '')
  const [major = '', minor = ''] = number.split('.')
  return {
    tag,
    version,
    core,
    number,
    staging,
    major,
    minor,
    epochDate: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z'),
    rfo: spell(rfo),
    rfoTag: spellTag(rfo),
    upstream: spell(upstream),
    date,
    commit: '{commit}',
  }
}

/** Throws RFO_PLAN_TEMPLATE for a placeholder that does not exist; `where` is the file or component. */
export function fill(template: string, values: Placeholders, where: string): string {
  return template.replaceAll(/\{([A-Za-z]*)\}/g, (whole, name: string) => {
    const known = names.find((each) => each === name)
    if (known !== undefined) return values[known]
    throw new RfoError('RFO_PLAN_TEMPLATE', `no such placeholder: ${whole}`, {
      exit: 'usage',
      where,
      next: `use one of ${names.map((each) => `{${each}}`).join(' ')}`,
    })
  })
}
