/** A pipeline file's placeholders, filled for one image of one release. */
import type { Build, Component, ReleaseFile, Source } from './component.ts'
import type { Pin } from './lock.ts'
import { parseImageName, spellImageName } from './reference.ts'
import { fill, type Placeholders } from './template.ts'

export interface FilledComponent {
  /** as RFO names it */
  readonly reference: string
  readonly source?: Source
  readonly build?: Build
  readonly config: Component['config']
  readonly deviates?: { readonly from: string; readonly reason: string }
  readonly smoke?: { readonly argv: readonly string[]; readonly expect: string }
}

export function fillComponent(
  component: Component,
  upstream: string | undefined,
  release: ReleaseFile,
  values: Placeholders,
  pin?: Pin,
): FilledComponent {
  const where = `pipelines/${component.name}.yaml`
  const put = (template: string): string => fill(template, values, where)
  const each = (record: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(record).map(([key, text]) => [key, put(text)]))
  const { build, config, deviates, smoke } = component
  const source = component.source === undefined ? undefined : fillSource(component.source, put, each)
  const made = { ...values, commit: commitOf(source, pin) ?? values.commit }
  const putMade = (template: string): string => fill(template, made, where)
  return {
    reference: referenceOf(component, upstream, release, put(component.tag ?? defaultTag(component))),
    ...(source === undefined ? {} : { source }),
    ...(build === undefined ? {} : { build: fillBuild(build, putMade) }),
    config: {
      ...config,
      ...(config.env === undefined ? {} : { env: each(config.env) }),
      ...(config.labels === undefined ? {} : { labels: each(config.labels) }),
    },
    ...(deviates === undefined ? {} : { deviates: { from: put(deviates.from), reason: put(deviates.reason) } }),
    ...(smoke === undefined ? {} : { smoke: { argv: smoke.argv, expect: putMade(smoke.expect) } }),
  }
}

/** A git source is a commit once it is pinned; a module's is what the pipeline says, or empty. */
function commitOf(source: Source | undefined, pin: Pin | undefined): string | undefined {
  switch (source?.kind) {
    case 'git':
      return pin?.kind === 'git' ? pin.commit : undefined
    case 'go-module':
      return source.commits?.[source.version] ?? ''
    case 'archive':
    case undefined:
      return undefined
  }
}

/** docs/decisions/0012-a-tag-ends-with-the-day.md; what is made of nothing but this release is called by its version. */
function defaultTag({ action, own, source }: Component): string {
  return action === 'mirror' || (own !== undefined && source === undefined) ? '{tag}' : '{version}-build{date}'
}

/** Rebuilt: `docker.io/rfolabs/<last part of upstream's name>`; mirrored: upstream's own name; RFO's own: the component's name. */
function referenceOf(component: Component, upstream: string | undefined, release: ReleaseFile, tag: string): string {
  const name = parseImageName(upstream ?? `${release.registry}/${component.name}:${tag}`)
  const last = name.repository.slice(name.repository.lastIndexOf('/') + 1)
  const rule = component.action === 'rebuild' ? `${release.repository}/${last}` : name.repository
  const registry = component.action === 'rebuild' ? release.registry : name.registry
  return spellImageName(parseImageName(`${registry}/${component.image ?? rule}:${tag}`, `pipelines/${component.name}.yaml`))
}

function fillBuild(build: Build, put: (template: string) => string): Build {
  switch (build.kind) {
    case 'go':
      return { ...build, ldflags: build.ldflags.map(put) }
    case 'c':
      return { ...build, cflags: build.cflags.map(put) }
    case 'recipe':
    case 'collect':
    case 'files':
      return build
  }
}

function fillSource(
  source: Source,
  put: (template: string) => string,
  each: (record: Readonly<Record<string, string>>) => Record<string, string>,
): Source {
  switch (source.kind) {
    case 'go-module': {
      const { commits, ...own } = source
      const version = put(source.version)
      // other versions' commits decide nothing here, and move no pin
      const commit = commits?.[version]
      return {
        ...own,
        version,
        ...(commit === undefined ? {} : { commits: { [version]: commit } }),
        ...(source.edit === undefined ? {} : { edit: fillEdit(source.edit, put, each) }),
      }
    }
    case 'git':
      return { ...source, tag: put(source.tag), ...(source.edit === undefined ? {} : { edit: fillEdit(source.edit, put, each) }) }
    case 'archive':
      return { ...source, url: put(source.url) }
  }
}

type Edit = NonNullable<Extract<Source, { kind: 'git' }>['edit']>

function fillEdit<E extends Edit>(edit: E, put: (template: string) => string, each: (record: Edit['require']) => Edit['require']): E {
  const { require, replace, localReplaces } = edit
  return {
    ...edit,
    require: each(require),
    ...(replace === undefined ? {} : { replace: each(replace) }),
    ...(localReplaces === undefined ? {} : { localReplaces: put(localReplaces) }),
  }
}
