/** Files beside the pipelines that change a component's source: patches, and overrides of go.mod. Texts in, values out. */
import { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { Component, Source } from './component.ts'
import { parseOverrides } from './go-overrides.ts'
import { type PinnedChanges, prebuiltOf } from './lock.ts'
import { parsePatch } from './patch.ts'
import type { ImagePlan } from './release-plan.ts'

/** A file below the project, as it was read. */
export interface BesideText {
  /** `pipelines/patches/hardened-etcd/0001-log.patch` */
  readonly file: string
  readonly text: string
}

/** It is part of the plan, so that whoever has the release has its bytes. */
export interface BesideFile extends BesideText {
  readonly digest: Digest
}

export interface SourceChanges {
  /** in the order in which they are applied */
  readonly patches?: readonly BesideFile[]
  readonly overrides?: BesideFile
}

/** Below the project; what lies there and is named by no component is somebody's slip. */
export const besideFolders = ['pipelines/patches', 'pipelines/overrides'] as const

export type BesideTexts = ReadonlyMap<string, string>

/** The files that a component's source names, and the path of the setting that names each. */
export function namedBeside(
  name: string,
  source: Source | undefined,
): readonly { readonly file: string; readonly kind: 'patch' | 'overrides'; readonly at: readonly PropertyKey[] }[] {
  const overrides = source !== undefined && 'edit' in source ? source.edit?.overrides : undefined
  return [
    ...(source?.patches ?? []).map((each, index) => ({
      file: `pipelines/patches/${name}/${each}`,
      kind: 'patch' as const,
      at: ['source', 'patches', index],
    })),
    ...(overrides === undefined
      ? []
      : [{ file: `pipelines/overrides/${name}/${overrides}`, kind: 'overrides' as const, at: ['source', 'edit', 'overrides'] }]),
  ]
}

/** What is wrong with the files that a component names. */
export function* besideProblems(
  component: Component,
  texts: BesideTexts,
  where: string,
): Generator<{ readonly error: RfoError; readonly at: readonly PropertyKey[] }> {
  const named = namedBeside(component.name, component.source)
  for (const [index, { file, kind, at }] of named.entries()) {
    const text = texts.get(file)
    try {
      if (named.findIndex((each) => each.file === file) !== index) throw slip(`${file} is named twice`, where, 'name it once')
      if (text === undefined) throw slip(`there is no ${file}`, where, 'put the file there, or drop its name')
      if (kind === 'patch') parsePatch(text, file)
      else withOverrides(component.source, parseOverrides(text, file), file)
    } catch (thrown) {
      if (!(thrown instanceof RfoError)) throw thrown
      yield { error: thrown, at }
    }
  }
}

/** The component with the files that it names, and with the overrides in its edit. Throws the first of `besideProblems`. */
export function withChanges(component: Component, texts: BesideTexts, where: string): Component {
  for (const { error } of besideProblems(component, texts, where)) throw error
  const files = namedBeside(component.name, component.source).map(({ file, kind }) => {
    const text = texts.get(file) ?? ''
    return { kind, beside: { file, digest: digestOf(text), text } }
  })
  if (files.length === 0) return component
  const patches = files.filter(({ kind }) => kind === 'patch').map(({ beside }) => beside)
  const overrides = files.find(({ kind }) => kind === 'overrides')?.beside
  const changes = { ...(patches.length === 0 ? {} : { patches }), ...(overrides === undefined ? {} : { overrides }) }
  if (overrides === undefined) return { ...component, changes }
  return { ...component, source: withOverrides(component.source, parseOverrides(overrides.text, overrides.file), overrides.file), changes }
}

function withOverrides(source: Source | undefined, overrides: ReturnType<typeof parseOverrides>, file: string): Source | undefined {
  if (source === undefined || !('edit' in source) || source.edit === undefined) return source
  const { edit } = source
  for (const key of ['replace', 'require'] as const) {
    const twice = Object.keys(overrides[key]).find((path) => Object.hasOwn(edit[key] ?? {}, path))
    if (twice !== undefined) throw slip(`source.edit.${key} names ${twice} too`, file, 'leave it in one of the two')
  }
  return {
    ...source,
    edit: {
      ...edit,
      dropReplace: [...new Set([...edit.dropReplace, ...overrides.dropReplace])],
      require: { ...edit.require, ...overrides.require },
      replace: { ...edit.replace, ...overrides.replace },
    },
  } as Source
}

/** What the lock keeps of them. */
export function pinnedChanges({ patches, overrides }: SourceChanges): PinnedChanges {
  const pinned = ({ file, digest }: BesideFile): { file: string; digest: Digest } => ({ file, digest })
  return {
    ...(patches === undefined ? {} : { patches: patches.map(pinned) }),
    ...(overrides === undefined ? {} : { overrides: pinned(overrides) }),
  }
}

export function changedFiles({ patches, overrides }: SourceChanges = {}): readonly BesideFile[] {
  return [...(patches ?? []), ...(overrides === undefined ? [] : [overrides])]
}

/** The files that changed an image's source; a source that stands in for it, its programs compiled in it, is not changed. */
export function appliedFiles(image: Pick<ImagePlan, 'changes' | 'locked'>): readonly BesideFile[] {
  return prebuiltOf(image.locked?.pin) === undefined ? changedFiles(image.changes) : []
}

/** Where a release has the file: `patches/hardened-etcd/0001-log.patch`. */
export function shippedPath({ file }: BesideText): string {
  return file.slice('pipelines/'.length)
}

function slip(message: string, where: string, next: string): RfoError {
  return new RfoError('RFO_PLAN_PIPELINE', message, { exit: 'usage', where, next })
}
