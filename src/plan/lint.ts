/** All that is wrong with a project's pipelines and lock, at its place, whatever release it would hurt. Text in, findings out. */
import type { z } from 'zod'
import { RfoError } from '../error.ts'
import { BundleText, bundleOf, bundleProblems, bundlesOf } from './bundle.ts'
import { type Build, type Component, ComponentText, othersPrograms, ReleaseFile, UpstreamRelease } from './component.ts'
import { Library } from './library.ts'
import { libraryProblems, linkProblems } from './link-problems.ts'
import { Lock } from './lock.ts'
import { emptyLock } from './lock-text.ts'
import {
  collectProblems,
  componentProblems,
  type FileText,
  inEveryReading,
  madeTwice,
  type Problem,
  problem,
  releaseProblems,
  upstreamProblems,
} from './pipelines.ts'
import { planRelease } from './plan-release.ts'
import { placeholderProblems } from './program.ts'
import { type BesideTexts, besideProblems, namedBeside } from './source-changes.ts'
import { tagClashes } from './tag-clashes.ts'
import { testKinds } from './test-kind.ts'
import { placeOf, variantOf, variantsOf } from './variant.ts'
import { parseUpstreamVersion, type Version } from './version.ts'
import { type Place, readYaml } from './yaml.ts'

export interface LintInput {
  readonly release: FileText
  /** absent in a project of images that nothing installs */
  readonly bundle?: FileText
  readonly components: readonly FileText[]
  readonly libraries: readonly FileText[]
  /** every recorded pipelines/upstream/*.yaml */
  readonly upstreams: readonly FileText[]
  readonly lock?: FileText
  /** patches and overrides, by path */
  readonly beside: BesideTexts
}

export interface Finding {
  readonly file: string
  /** from 1; absent = the file as a whole */
  readonly line?: number
  readonly column?: number
  readonly code: string
  readonly message: string
}

/** A text that is in form, and how its paths are found again. */
interface Read<T> {
  readonly file: string
  readonly value: T
  placeOf(path: readonly PropertyKey[]): Place
}
type Found = Finding[]

/** Each finding once, sorted by place. */
export function lintPipelines(input: LintInput): Finding[] {
  const found: Found = []
  const release = read(ReleaseFile, input.release, found)
  if (release !== undefined)
    add(found, release, [...releaseProblems(release.value, release.file), ...demandProblems(release.value, release.file)])
  const components = input.components.flatMap((text) => read(ComponentText, text, found) ?? [])
  for (const each of components) {
    add(found, each, [...componentProblems(each.value, each.file), ...cgoProblems(each.value, each.file)])
    add(
      found,
      each,
      inEveryReading(each.value, (component) => besideProblems(component, input.beside, each.file)),
    )
  }
  lintBeside(input, components, found)
  const libraries = lintLibraries(input, components, found)
  const bundle = input.bundle === undefined ? undefined : lintBundle(input.bundle, input, found)
  const lock = input.lock === undefined ? undefined : read(Lock, input.lock, found)
  if (lock !== undefined) add(found, lock, clashProblems(lock.value, lock.file))
  const unread = new Map(input.components.map(({ file, text }) => [baseName(file), text]))
  for (const each of components) unread.delete(baseName(each.file))
  for (const text of input.upstreams) {
    const upstream = read(UpstreamRelease, text, found)
    const planned =
      release === undefined || (bundle === undefined && input.bundle !== undefined) || libraries === undefined
        ? undefined
        : { release, bundle, libraries }
    if (upstream !== undefined) lintUpstream(upstream, components, unread, planned, found)
  }
  const unique = new Map(found.map((finding) => [findingText(finding), finding]))
  return [...unique.values()].sort(byPlace)
}

/** `pipelines/pause.yaml:3:1: RFO_PLAN_YAML what is wrong` */
export function findingText({ file, line, column, code, message }: Finding): string {
  return `${file}${line === undefined ? '' : `:${line}:${column}`}: ${code} ${message}`
}

function byPlace(a: Finding, b: Finding): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) || (findingText(a) < findingText(b) ? -1 : 1)
}

function read<T>(schema: z.ZodType<T>, { file, text }: FileText, found: Found): Read<T> | undefined {
  const reading = readYaml(schema, text)
  if (!('problems' in reading)) return { file, ...reading }
  for (const { line, column, message } of reading.problems) found.push({ file, line, column, code: 'RFO_PLAN_YAML', message })
  return undefined
}

function add(found: Found, { file, placeOf }: Pick<Read<unknown>, 'file' | 'placeOf'>, problems: Iterable<Problem>): void {
  for (const { error, at } of problems) found.push({ file, ...placeOf(at), code: error.code, message: error.message })
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1).replace(/\.yaml$/, '')
}

/** What a merge of two branches can bring together that `lock` keeps apart. */
function clashProblems(lock: Lock, file: string): Problem[] {
  return tagClashes(lock).map(({ component, reference, releases: [first, second] }) =>
    problem(
      ['releases', second, 'components', component, 'image'],
      `${reference} is another image in ${first}`,
      file,
      `rfo-build lock ${second} --rebuild ${component}`,
    ),
  )
}

/** Evidence can be demanded only of what is made, and a failure is excused once. */
function* demandProblems(release: ReleaseFile, file: string): Generator<Problem> {
  const specs = release.demands.knownFailures.map(({ spec }) => spec)
  for (const [at, spec] of specs.entries()) {
    if (specs.indexOf(spec) !== at)
      yield problem(['demands', 'knownFailures', at, 'spec'], `${spec} is excused twice`, file, 'keep one of them')
  }
  for (const kind of testKinds) {
    for (const [at, platform] of release.demands[kind].entries()) {
      if (!release.platforms.includes(platform))
        yield problem(['demands', kind, at], `${platform} is not a platform of the release`, file, 'drop it, or add it to platforms')
    }
  }
}

/** A C compiler for an architecture for which nothing is made is a slip of one of the two lists. */
function cgoProblems(written: ComponentText, file: string): Iterable<Problem> {
  return inEveryReading(written, function* (component) {
    if (component.build?.kind !== 'go') return
    for (const list of ['cgo', 'boring', 'pie'] as const) {
      const named = component.build[list] ?? []
      for (const [at, architecture] of named === 'all' ? [] : named.entries()) {
        if (architecture in component.unsupported)
          yield problem(['build', list, at], `${list} names ${architecture}, which is unsupported`, file, 'drop it from one of the two')
      }
    }
  })
}

/** A patch that nobody names is applied nowhere, whatever its folder is called. */
function lintBeside(input: LintInput, components: readonly Read<ComponentText>[], found: Found): void {
  const named = new Set(
    components.flatMap(({ value }) => variantsOf(value).flatMap(({ name, source }) => namedBeside(name, source).map(({ file }) => file))),
  )
  const unread = input.components.length > components.length
  for (const file of unread ? [] : input.beside.keys()) {
    if (!named.has(file)) found.push({ file, code: 'RFO_PLAN_PIPELINE', message: 'no component names this file' })
  }
}

/** Undefined where a file is not in form or a name has none: no release can be planned then. */
function lintLibraries(input: LintInput, components: readonly Read<ComponentText>[], found: Found): Library[] | undefined {
  const before = found.length
  const libraries = input.libraries.flatMap((text) => read(Library, text, found) ?? [])
  for (const each of libraries) add(found, each, libraryProblems(each.value, each.file))
  // one whose file is not in form has a file
  const named = input.libraries.map(({ file }) => ({ name: baseName(file) }))
  for (const each of components)
    add(
      found,
      each,
      inEveryReading(each.value, (component) => linkProblems(component, named, each.file)),
    )
  return found.length > before ? undefined : libraries.map(({ value }) => value)
}

function lintBundle(text: FileText, input: LintInput, found: Found): Read<BundleText> | undefined {
  const bundle = read(BundleText, text, found)
  if (bundle === undefined) return undefined
  const { file, value } = bundle
  const complaint = (message: string): RfoError => new RfoError('RFO_PLAN_BUNDLE', message, { exit: 'usage', where: file })
  for (const [index, reading] of bundlesOf(value).entries()) {
    // the first reading is the file without its variants
    const variant = index === 0 ? undefined : value.when[index - 1]
    const placed = (at: readonly PropertyKey[]): readonly PropertyKey[] =>
      variant !== undefined && at[0] !== undefined && Object.hasOwn(variant, at[0]) ? ['when', index - 1, ...at] : at
    const problems = [
      ...[...bundleProblems(reading)].map(({ at, message }) => ({ at, error: complaint(message) })),
      ...placeholderProblems(reading),
    ]
    add(
      found,
      bundle,
      problems.map(({ at, error }) => ({ at: placed(at), error })),
    )
  }
  if (!input.components.some((each) => baseName(each.file) === value.sourceOf))
    add(found, bundle, [{ error: complaint(`no component ${value.sourceOf}`), at: ['sourceOf'] }])
  return bundle
}

/** `unread`: components whose files are not in form, and their texts; that nothing makes what they make is not said once more. */
function lintUpstream(
  upstream: Read<UpstreamRelease>,
  written: readonly Read<ComponentText>[],
  unread: ReadonlyMap<string, string>,
  planned:
    | { readonly release: Read<ReleaseFile>; readonly bundle: Read<BundleText> | undefined; readonly libraries: readonly Library[] }
    | undefined,
  found: Found,
): void {
  const version = upstreamVersion(upstream, found)
  if (version === undefined) return
  const before = found.length
  const components = new Map<string, Component>()
  const sources = new Map<string, Read<ComponentText>>()
  for (const each of written) {
    attempt(
      () => {
        const component = variantOf(each.value, version, each.file)
        const place = placeOf(component)
        if (place === undefined) return
        const other = components.get(place)
        if (other !== undefined) add(found, each, [madeTwice(component, sources.get(other.name)?.file ?? other.name, each.file)])
        else components.set(place, component)
        sources.set(component.name, each)
      },
      (error) => add(found, each, [{ error, at: ['when'] }]),
    )
  }
  add(
    found,
    upstream,
    [...upstreamProblems(upstream.value, components, upstream.file)].filter(({ at }) => !namedIn(unread, upstream.value, at)),
  )
  for (const [name, source] of sources) {
    const { build } = [...components.values()].find((each) => each.name === name) ?? {}
    add(
      found,
      source,
      [...collectProblems(name, components, source.file)].filter(({ at }) => !unread.has(otherOf(build, at))),
    )
  }
  // names and dates are seen only where a release is planned, and nothing is planned of what does not fit together
  if (planned === undefined || unread.size > 0 || found.length > before) return
  const { major, minor, patch } = version
  const { release, bundle, libraries } = planned
  attempt(
    () =>
      planRelease({
        version: `v${major}.${minor}.${patch}+rfor1`,
        release: release.value,
        components: [...components.values()],
        ...(bundle === undefined ? {} : { bundle: bundleOf(bundle.value, version, bundle.file) }),
        upstream: upstream.value,
        libraries,
        lock: emptyLock,
      }),
    (error) => {
      const file = [...written, ...(bundle === undefined ? [] : [bundle])].find((each) => each.file === error.where)?.file ?? upstream.file
      if (error.where !== release.file) found.push({ file, code: error.code, message: error.message })
    },
  )
}

function upstreamVersion(upstream: Read<UpstreamRelease>, found: Found): Version | undefined {
  const { version } = upstream.value
  if (baseName(upstream.file) !== version)
    add(found, upstream, [problem(['version'], `it says version: ${version}`, upstream.file, `call the file ${version}.yaml`)])
  let parsed: Version | undefined
  attempt(
    () => {
      parsed = parseUpstreamVersion(version)
    },
    (error) => add(found, upstream, [{ error, at: ['version'] }]),
  )
  return parsed
}

/** Whether a file that is not in form says that it makes an entry of the image list. */
function namedIn(unread: ReadonlyMap<string, string>, upstream: UpstreamRelease, path: readonly PropertyKey[]): boolean {
  const [list, group, at] = path
  const reference = list === 'unlisted' ? upstream.unlisted[Number(group)] : upstream.groups[String(group)]?.[Number(at)]
  const repository = /^[^/]+\/([^:@]+)/.exec(reference ?? '')?.[1]
  // a repository's name may be the beginning of another's
  return repository !== undefined && [...unread.values()].some((text) => text.split(/[\s'"]+/).includes(repository))
}

/** The component whose program a problem of a build is about. */
function otherOf(build: Build | undefined, path: readonly PropertyKey[]): string {
  return othersPrograms(build)[Number(path.at(-1))]?.component ?? ''
}

function attempt(check: () => void, refused: (error: RfoError) => void): void {
  try {
    check()
  } catch (thrown) {
    if (!(thrown instanceof RfoError)) throw thrown
    refused(thrown)
  }
}
