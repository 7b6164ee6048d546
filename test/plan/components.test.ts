/**
 * Every rebuilt image of every recorded release against what RKE2's own build of it says: a row of a table that was read out of
 * its Dockerfiles. What differs stands below with its reason, or the test fails; what does not differ any more, too.
 */
import { readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { programPaths } from '../../src/plan/component.ts'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import type { ImagePlan } from '../../src/plan/release-plan.ts'
import { type Difference, differences } from './component-differences.ts'
import { inputFor, releases } from './project.ts'

/** What is null or absent was not to be seen in the Dockerfile: `null` = it says nothing, absent = nobody knows. */
interface Row {
  readonly image: string
  readonly tag: string
  readonly tags?: readonly string[]
  readonly boring?: boolean
  /** names of programs, without folders */
  readonly outputs?: readonly string[]
  /** SUSE's names */
  readonly packages?: readonly string[]
  readonly entrypoint?: readonly string[] | null
  readonly cmd?: readonly string[] | null
  readonly user?: string | null
  readonly workdir?: string | null
  /** arguments of `go mod edit` */
  readonly overrides?: readonly string[]
}

/** SUSE's package → openEuler's. */
const packageNames: Readonly<Record<string, string>> = {
  awk: 'gawk',
  'ca-certificates-bundle': 'ca-certificates',
  iproute2: 'iproute',
  'libcap-progs': 'libcap',
  libGeoIP1: 'GeoIP',
  libmaxminddb0: 'libmaxminddb',
  libmnl0: 'libmnl',
  libnetfilter_conntrack3: 'libnetfilter_conntrack',
  libnetfilter_cthelper0: 'libnetfilter_cthelper',
  libnetfilter_cttimeout1: 'libnetfilter_cttimeout',
  libnetfilter_queue1: 'libnetfilter_queue',
  libpcap1: 'libpcap',
  libyajl2: 'yajl',
  netcat: 'nmap',
  procps: 'procps-ng',
  python: 'python3',
  timezone: 'tzdata',
}
/** The same in both. */
const sameName: ReadonlySet<string> = new Set(
  'bash ca-certificates catatonit conntrack-tools crypto-policies-scripts gawk git gzip hostname hwdata ipset iputils jq kmod make mstflint net-tools strongswan tar wget which'.split(
    ' ',
  ),
)

function openEuler(name: string): string {
  const found = packageNames[name] ?? (sameName.has(name) ? name : undefined)
  if (found === undefined) throw new Error(`say what openEuler calls ${name}`)
  return found
}

const sorted = (list: readonly string[]): string => [...list].sort().join(' ')

/** What each side says of a field; undefined = the row does not know it. */
function fieldsOf(row: Row, image: ImagePlan): Readonly<Record<Difference['field'], readonly [row: string | undefined, own: string]>> {
  const { build, config } = image
  const go = build?.kind === 'go' ? build : undefined
  const edit = image.source !== undefined && 'edit' in image.source ? image.source.edit : undefined
  const replaced = Object.entries(edit?.replace ?? {}).map(([from, to]) => `-replace ${from}=${to}`)
  const list = (of: readonly string[] | undefined): string => of?.join(' ') ?? 'none'
  const asked = (value: readonly string[] | null | undefined): string | undefined =>
    value === undefined ? undefined : list(value ?? undefined)
  // `./x` is found in the working folder
  const entrypoint = row.entrypoint?.map((each) => (each.startsWith('./') ? posix.join(row.workdir ?? '/', each) : each)) ?? row.entrypoint
  return {
    tags: [go === undefined || row.tags === undefined ? undefined : sorted(row.tags), sorted(go?.tags ?? [])],
    boring: [go === undefined || row.boring === undefined ? undefined : String(row.boring), String(go?.boring?.includes('amd64') ?? false)],
    outputs: [row.outputs && sorted(row.outputs), sorted(programPaths(build).map((path) => basename(path)))],
    packages: [row.packages && sorted(row.packages.map(openEuler)), sorted(image.packages)],
    entrypoint: [asked(entrypoint), list(config.entrypoint)],
    cmd: [asked(row.cmd), list(config.cmd)],
    user: [row.user === undefined ? undefined : (row.user ?? 'none'), config.user ?? 'none'],
    workdir: [row.workdir === undefined ? undefined : (row.workdir ?? 'none'), config.workdir ?? 'none'],
    overrides: [sorted(row.overrides ?? []), sorted(replaced)],
  }
}

describe.each(releases)('$version', ({ version, upstream }) => {
  const kubernetes = upstream.replace('+rke2r1', '')
  const { rows } = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/components', `${kubernetes}.json`), 'utf8')) as {
    readonly rows: readonly Row[]
  }
  const rebuilt = planRelease(inputFor(version, emptyLock)).images.filter((image) => image.action === 'rebuild')
  const explained = differences.filter((each) => each.versions === undefined || each.versions.includes(kubernetes))

  test('each has a row, but pause and klipper-lb, which RKE2 does not build, and RFO’s own; no row is left over', () => {
    const others = ['pause', 'klipper-lb']
    const images = rebuilt.flatMap(({ component, upstream }) => (upstream === undefined || others.includes(component) ? [] : [upstream]))
    expect(images.sort()).toEqual(rows.map(({ image, tag }) => `docker.io/${image}:${tag}`).sort())
  })

  test.each(rows)('$image is built as its row says, but for what is explained', ({ image: repository, ...row }) => {
    const image = rebuilt.find((each) => each.upstream === `docker.io/${repository}:${row.tag}`)
    if (image === undefined) throw new Error('no such image')
    const found = Object.entries(fieldsOf({ image: repository, ...row }, image)).filter(
      ([, [said, own]]) => said !== undefined && said !== own,
    )
    const reasons = explained.filter((each) => each.components.includes(image.component)).map((each) => each.field)
    const told = found.map(([field, [said, own]]) => `${field}: RKE2 ${said}; RFO ${own}`)
    expect(found.map(([field]) => field).sort(), told.join('\n')).toEqual(reasons.sort())
  })
})

test('no explanation is of a component that no release rebuilds', () => {
  const components = new Set(
    releases.flatMap(({ version }) => planRelease(inputFor(version, emptyLock)).images.map((image) => image.component)),
  )
  expect(differences.flatMap((each) => each.components).filter((component) => !components.has(component))).toEqual([])
  expect(differences.every((each) => each.reason.length > 20)).toBe(true)
})
