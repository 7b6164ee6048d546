/** The texts under pipelines/ → what planRelease takes. Pure: whoever reads the files gives their texts. */
import { RfoError } from '../error.ts'
import { type Component, ComponentText, programPaths, ReleaseFile, UpstreamRelease } from './component.ts'
import { parseImageName } from './reference.ts'
import { fill, placeholders } from './template.ts'
import { variantOf, variantsOf } from './variant.ts'
import { parseUpstreamVersion, parseVersion } from './version.ts'
import { parseYaml } from './yaml.ts'

/** A file as it was read; `file` is how people see it: `pipelines/pause.yaml`. */
export interface FileText {
  readonly file: string
  readonly text: string
}

export interface Pipelines {
  readonly release: ReleaseFile
  /** upstream repository (`rancher/hardened-coredns`) → component */
  readonly components: ReadonlyMap<string, Component>
  readonly upstream: UpstreamRelease
}

/** Throws RFO_PLAN_YAML for a file that is not what it should be, RFO_PLAN_PIPELINE for files that don't fit together. */
export function assemblePipelines(input: {
  readonly release: FileText
  readonly components: readonly FileText[]
  readonly upstream: FileText
}): Pipelines {
  const release = parseYaml(ReleaseFile, input.release.text, input.release.file)
  for (const platform of release.platforms) {
    if (release.bases[platform] === undefined) throw complaint(`no base for ${platform}`, input.release.file, `add bases.${platform}`)
  }
  const upstream = parseYaml(UpstreamRelease, input.upstream.text, input.upstream.file)
  const version = parseUpstreamVersion(upstream.version)
  const components = new Map<string, Component>()
  const files = new Map<string, string>()
  for (const { file, text } of input.components.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    const written = parseYaml(ComponentText, text, file)
    for (const each of variantsOf(written)) checkComponent(each, file)
    const component = variantOf(written, version, file)
    const other = components.get(component.upstream)
    if (other !== undefined)
      throw complaint(`${component.upstream} is made by ${files.get(other.name)} already`, file, 'leave one of the two')
    components.set(component.upstream, component)
    files.set(component.name, file)
  }
  checkUpstream(upstream, components, input.upstream.file)
  for (const [name, file] of files) checkCollected(name, components, file)
  return { release, components, upstream }
}

function checkComponent(component: Component, file: string): void {
  const base = file.slice(file.lastIndexOf('/') + 1)
  if (base !== `${component.name}.yaml`)
    throw complaint(
      `it says name: ${component.name}`,
      file,
      `call the file ${component.name}.yaml, or the component ${base.replace(/\.yaml$/, '')}`,
    )
  if (component.action === 'rebuild') {
    if (component.source === undefined || component.build === undefined) {
      const missing = (['source', 'build'] as const).filter((key) => component[key] === undefined).join(' and ')
      throw complaint(`action: rebuild needs ${missing}`, file, `add ${missing}, or say action: mirror`)
    }
  } else if (component.source !== undefined || component.build !== undefined) {
    throw complaint('a mirrored image has neither source nor build', file, 'say action: rebuild, or drop them')
  }
  if (component.build?.kind === 'collect' && component.files.length > 0)
    throw complaint('what collects programs has no files of its own', file, 'drop files')
  if (component.source?.kind === 'go-module' && component.source.edit !== undefined && component.build?.kind !== 'go')
    throw complaint('only a Go build uses a go.mod', file, 'drop source.edit')
  const outputs = [...programPaths(component.build), ...component.files.map((each) => each.path)]
  const twice = outputs.find((output, at) => outputs.indexOf(output) !== at)
  if (twice !== undefined) throw complaint(`two things are put at ${twice}`, file, 'give each its own path')
  tryTemplates(component, file)
}

/** Placeholders are tried with any version, so that a misspelt one is found in its file and not during a release. */
function tryTemplates(component: Component, file: string): void {
  const values = placeholders('v1.0.0-build20200101', parseVersion('v1.0.0+rfor1'), parseUpstreamVersion('v1.0.0+rke2r1'))
  for (const text of JSON.stringify({ ...component, files: [], unsupported: {} }).matchAll(/\{[A-Za-z]+\}/g)) fill(text[0], values, file)
}

/** What a component collects must be made, and for every platform that the collector is made for. */
function checkCollected(name: string, components: ReadonlyMap<string, Component>, file: string): void {
  const all = [...components.values()]
  const collector = all.find((each) => each.name === name)
  if (collector?.build?.kind !== 'collect') return
  for (const { component, program } of collector.build.from) {
    const made = all.find((each) => each.name === component)
    if (made === collector || made?.build?.kind === 'collect' || !programPaths(made?.build).includes(program))
      throw complaint(`${component} makes no ${program}`, file, `name a program that pipelines/${component}.yaml makes`)
    const lacking = Object.keys(made?.unsupported ?? {}).find((architecture) => !(architecture in collector.unsupported))
    if (lacking !== undefined)
      throw complaint(
        `${component} is not made for ${lacking}`,
        file,
        `say why under unsupported.${lacking}, as pipelines/${component}.yaml does`,
      )
  }
}

function checkUpstream(upstream: UpstreamRelease, components: ReadonlyMap<string, Component>, file: string): void {
  for (const [group, references] of [...Object.entries(upstream.groups), ['unlisted', upstream.unlisted] as const]) {
    for (const [at, reference] of references.entries()) {
      const where = `${file}: ${group === 'unlisted' ? group : `groups.${group}`}.${at}`
      const { repository } = parseImageName(reference, where)
      if (references.indexOf(reference) !== at) throw complaint(`${reference} is twice in group ${group}`, where, 'name it once')
      if (!components.has(repository)) throw withoutPipeline(repository, reference, where)
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

function complaint(message: string, where: string, next: string): RfoError {
  return new RfoError('RFO_PLAN_PIPELINE', message, { exit: 'usage', where, next })
}
