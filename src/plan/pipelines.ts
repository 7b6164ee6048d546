/** The texts under pipelines/ → what planRelease takes. Pure: whoever reads the files gives their texts. */
import { RfoError } from '../error.ts'
import { type Component, ComponentText, othersPrograms, programPaths, ReleaseFile, UpstreamRelease } from './component.ts'
import { Library } from './library.ts'
import { goProblems, libraryProblems, linkProblems } from './link-problems.ts'
import { complaint, type Problem, problem } from './problem.ts'
import { parseImageName } from './reference.ts'
import { type BesideTexts, withChanges } from './source-changes.ts'
import { fill, placeholders } from './template.ts'
import { placeOf, variantOf, variantsOf } from './variant.ts'
import { parseUpstreamVersion, parseVersion } from './version.ts'
import { parseYaml } from './yaml.ts'

export { type Problem, problem }

/** A file as it was read; `file` is how people see it: `pipelines/pause.yaml`. */
export interface FileText {
  readonly file: string
  readonly text: string
}

export interface Pipelines {
  readonly release: ReleaseFile
  /** what it takes the place of (`rancher/hardened-coredns`, `own:helm-controller`) → component */
  readonly components: ReadonlyMap<string, Component>
  readonly libraries: readonly Library[]
  readonly upstream: UpstreamRelease
}

/** Throws RFO_PLAN_YAML for a file that is not what it should be, RFO_PLAN_PIPELINE for files that don't fit together. */
export function assemblePipelines(input: {
  readonly release: FileText
  readonly components: readonly FileText[]
  readonly libraries: readonly FileText[]
  readonly upstream: FileText
  /** patches and overrides, by path */
  readonly beside?: BesideTexts
}): Pipelines {
  const release = parseYaml(ReleaseFile, input.release.text, input.release.file)
  refuse(releaseProblems(release, input.release.file))
  const upstream = parseYaml(UpstreamRelease, input.upstream.text, input.upstream.file)
  const version = parseUpstreamVersion(upstream.version)
  const components = new Map<string, Component>()
  const files = new Map<string, string>()
  for (const { file, text } of input.components.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    const written = parseYaml(ComponentText, text, file)
    refuse(componentProblems(written, file))
    const component = withChanges(variantOf(written, version, file), input.beside ?? new Map(), file)
    const place = placeOf(component)
    if (place === undefined) continue
    const other = components.get(place)
    if (other !== undefined) refuse([madeTwice(component, files.get(other.name) ?? other.name, file)])
    components.set(place, component)
    files.set(component.name, file)
  }
  refuse(upstreamProblems(upstream, components, input.upstream.file))
  const libraries = input.libraries.map(({ file, text }) => {
    const library = parseYaml(Library, text, file)
    refuse(libraryProblems(library, file))
    return library
  })
  for (const [name, file] of files) refuse(collectProblems(name, components, file))
  for (const component of components.values()) refuse(linkProblems(component, libraries, files.get(component.name) ?? component.name))
  return { release, components, libraries, upstream }
}

function refuse(problems: Iterable<Problem>): void {
  for (const { error } of problems) throw error
}

export function* releaseProblems(release: ReleaseFile, file: string): Generator<Problem> {
  for (const [at, platform] of release.platforms.entries()) {
    if (release.bases[platform] === undefined) yield problem(['platforms', at], `no base for ${platform}`, file, `add bases.${platform}`)
  }
}

/** Of one file alone. */
export function* componentProblems(written: ComponentText, file: string): Generator<Problem> {
  if (variantsOf(written).every((component) => placeOf(component) === undefined))
    yield problem(['name'], 'it has neither upstream nor own', file, 'name the image that it takes the place of, or say own: {tag: …}')
  yield* inEveryReading(written, (component) => variantProblems(component, file))
}

/** A check of every way in which a file can be read; what a variant says is placed in the variant. */
export function* inEveryReading(written: ComponentText, check: (component: Component) => Iterable<Problem>): Generator<Problem> {
  for (const [at, component] of variantsOf(written).entries()) {
    // the first reading is the file without its variants
    const variant = at === 0 ? undefined : written.when[at - 1]
    for (const { error, at: path } of check(component)) {
      yield { error, at: variant !== undefined && says(variant, path) ? ['when', at - 1, ...path] : path }
    }
  }
}

/** Whether a variant says a setting itself: of a source or build it may say some members alone. */
function says(variant: ComponentText['when'][number], [setting, member]: readonly PropertyKey[]): boolean {
  if (setting === undefined || !Object.hasOwn(variant, setting)) return false
  const said = setting === 'source' || setting === 'build' ? variant[setting] : undefined
  return said === undefined || 'kind' in said || member === undefined || Object.hasOwn(said, member)
}

function* variantProblems(component: Component, file: string): Generator<Problem> {
  const base = file.slice(file.lastIndexOf('/') + 1)
  if (base !== `${component.name}.yaml`)
    yield problem(
      ['name'],
      `it says name: ${component.name}`,
      file,
      `call the file ${component.name}.yaml, or the component ${base.replace(/\.yaml$/, '')}`,
    )
  if (component.upstream !== undefined && component.own !== undefined)
    yield problem(['own'], 'an image of RFO’s own takes no upstream image’s place', file, 'drop upstream or own')
  if (component.own !== undefined && component.action === 'mirror')
    yield problem(['action'], 'an image of RFO’s own is made, not mirrored', file, 'say action: rebuild')
  if (component.action === 'rebuild') {
    const needed = ['source', 'build'] as const
    const missing = needed.filter((key) => component[key] === undefined && (key === 'build' || takesSource(component))).join(' and ')
    if (missing !== '') yield problem(['action'], `action: rebuild needs ${missing}`, file, `add ${missing}, or say action: mirror`)
    if (component.source !== undefined && component.build !== undefined && !takesSource(component))
      yield problem(['source'], 'nothing of the source is used', file, 'drop source, or take files from it')
  } else if (component.source !== undefined || component.build !== undefined) {
    yield problem(['action'], 'a mirrored image has neither source nor build', file, 'say action: rebuild, or drop them')
  }
  if (component.action === 'rebuild' && component.upstreamKey !== undefined)
    yield problem(['upstreamKey'], 'upstream signs nothing that is rebuilt here', file, 'drop upstreamKey')
  if (component.build?.kind === 'collect' && component.files.some((each) => 'from' in each))
    yield problem(['files'], 'what collects programs has no source to take files from', file, 'write their text here')
  if (component.build?.kind === 'files' && component.charts)
    yield problem(['charts'], 'what only lays files together carries no charts', file, 'drop charts')
  if (
    component.build?.kind === 'files' &&
    component.build.release === undefined &&
    component.build.from.length + component.files.length === 0
  )
    yield problem(['build'], 'nothing is put into the image', file, 'name files, programs of others, or the release’s own')
  const { source } = component
  if (source !== undefined && 'edit' in source && source.edit !== undefined && component.build?.kind !== 'go')
    yield problem(['source', 'edit'], 'only a Go build uses a go.mod', file, 'drop source.edit')
  if (component.packages.length > 0 && (component.action === 'mirror' || component.base === 'scratch'))
    yield problem(['packages'], 'packages are installed into a rebuilt image on its base alone', file, 'drop packages')
  const unread = source?.kind === 'archive' ? /\.(t?xz|txz|t?bz2|tbz|lz|lzma|zip|7z|rar)$/.exec(source.url)?.[0] : undefined
  if (unread !== undefined)
    yield problem(['source', 'url'], `${unread} is not read`, file, 'name the .tar, .tar.gz or .tar.zst of the same source')
  if (component.build?.kind === 'go') yield* goProblems(component.build, file)
  const outputs = [...programPaths(component.build), ...component.files.map((each) => each.path)]
  const twice = outputs.find((output, at) => outputs.indexOf(output) !== at)
  if (twice !== undefined) {
    const path = component.files.some((each) => each.path === twice) ? ['files'] : ['build']
    yield problem(path, `two things are put at ${twice}`, file, 'give each its own path')
  }
  yield* templateProblems(component, file)
}

/** Whether there is anything to open a source for: a build that only lays files together may write them all itself. */
function takesSource({ build, files }: Component): boolean {
  return build?.kind !== 'files' || files.some((file) => 'from' in file)
}

/** Placeholders are tried with any version, so that a misspelt one is found in its file and not during a release. */
function* templateProblems(component: Component, file: string): Generator<Problem> {
  const values = placeholders('v1.0.0-build20200101', parseVersion('v1.0.0+rfor1'), parseUpstreamVersion('v1.0.0+rke2r1'), { epoch: 0 })
  for (const { text, at } of textsIn({ ...component, files: [], unsupported: {} }, [])) {
    for (const [placeholder] of text.matchAll(/\{[A-Za-z]+\}/g)) {
      yield* caught(at, () => fill(placeholder, values, file))
      if (placeholder === '{commit}') yield* commitProblems(component, at, file)
    }
  }
}

/** It is known of what is compiled, once the source is. */
function* commitProblems({ source }: Component, at: readonly PropertyKey[], file: string): Generator<Problem> {
  if (at[0] !== 'build' && at[0] !== 'smoke') yield problem(at, '{commit} is known to build and smoke alone', file, 'leave it out here')
  else if (source?.kind !== 'git' && (source?.kind !== 'go-module' || source.commits === undefined))
    yield problem(at, 'nothing says which {commit} this is', file, 'say it under source.commits, or leave it out')
}

/** Every text below a value, with its path. */
function* textsIn(value: unknown, at: readonly PropertyKey[]): Generator<{ readonly text: string; readonly at: readonly PropertyKey[] }> {
  if (typeof value === 'string') yield { text: value, at }
  else if (Array.isArray(value)) for (const [index, each] of value.entries()) yield* textsIn(each, [...at, index])
  else if (typeof value === 'object' && value !== null) for (const [key, each] of Object.entries(value)) yield* textsIn(each, [...at, key])
}

/** What a check throws, as a problem. */
function* caught(at: readonly PropertyKey[], check: () => unknown): Generator<Problem> {
  try {
    check()
  } catch (thrown) {
    if (!(thrown instanceof RfoError)) throw thrown
    yield { error: thrown, at }
  }
}

export function madeTwice(component: Component, other: string, file: string): Problem {
  return problem(
    [component.own === undefined ? 'upstream' : 'own'],
    `${component.upstream ?? component.name} is made by ${other} already`,
    file,
    'leave one of the two',
  )
}

/** What a component collects must be made, and for every platform that the collector is made for. */
export function* collectProblems(name: string, components: ReadonlyMap<string, Component>, file: string): Generator<Problem> {
  const all = [...components.values()]
  const collector = all.find((each) => each.name === name)
  for (const [at, { component, program }] of othersPrograms(collector?.build).entries()) {
    const path = ['build', 'from', at]
    const made = all.find((each) => each.name === component)
    const taken = made?.build?.kind === 'collect' || made?.build?.kind === 'files'
    if (taken || !programPaths(made?.build).includes(program)) {
      yield problem(path, `${component} makes no ${program}`, file, `name a program that pipelines/${component}.yaml makes`)
      continue
    }
    const lacking = Object.keys(made?.unsupported ?? {}).find((architecture) => !(architecture in (collector?.unsupported ?? {})))
    if (lacking !== undefined)
      yield problem(
        path,
        `${component} is not made for ${lacking}`,
        file,
        `say why under unsupported.${lacking}, as pipelines/${component}.yaml does`,
      )
  }
}

export function* upstreamProblems(upstream: UpstreamRelease, components: ReadonlyMap<string, Component>, file: string): Generator<Problem> {
  for (const [group, references] of [...Object.entries(upstream.groups), ['unlisted', upstream.unlisted] as const]) {
    for (const [at, reference] of references.entries()) {
      const path = group === 'unlisted' ? [group, at] : ['groups', group, at]
      const where = `${file}: ${path.join('.')}`
      yield* caught(path, () => {
        const { repository } = parseImageName(reference, where)
        if (references.indexOf(reference) !== at) throw complaint(`${reference} is twice in group ${group}`, where, 'name it once')
        if (!components.has(repository)) throw withoutPipeline(repository, reference, where)
      })
    }
  }
}

/** An image of RKE2's list that no pipeline file makes. */
export function withoutPipeline(repository: string, reference: string, where: string): RfoError {
  return complaint(
    `no pipeline makes ${reference}`,
    where,
    `create pipelines/${repository.slice(repository.lastIndexOf('/') + 1)}.yaml with upstream: ${repository}`,
  )
}
