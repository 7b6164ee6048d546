/** A pipeline file holds for many versions of RKE2; this decides what of it holds for one. */
import { satisfies } from 'semver'
import { RfoError } from '../error.ts'
import { changedBy } from './changes.ts'
import { Build, type Component, type ComponentText, Source } from './component.ts'
import { type Version, versionCore } from './version.ts'

/** `where`: the file. Throws RFO_PLAN_PIPELINE when two variants fit. */
export function variantOf(text: ComponentText, upstream: Version, where: string): Component {
  const { when, ...own } = text
  const fitting = fittingVariant(when, upstream, where)
  return fitting === undefined ? own : replaced(own, fitting)
}

/** The variant whose range holds the version. `where`: the file. Throws RFO_PLAN_PIPELINE when two do. */
export function fittingVariant<T extends { readonly versions: string }>(
  when: readonly T[],
  upstream: Version,
  where: string,
): T | undefined {
  const fitting = when.filter(({ versions }) => satisfies(versionCore(upstream), versions, { includePrerelease: true }))
  if (fitting.length > 1) {
    throw new RfoError(
      'RFO_PLAN_PIPELINE',
      `two variants fit ${versionCore(upstream)}: ${fitting.map((one) => one.versions).join(' and ')}`,
      {
        exit: 'usage',
        where,
        next: 'make their ranges apart',
      },
    )
  }
  return fitting[0]
}

/**
 * What an image takes the place of in a version: a repository of RKE2's list, or `own:<name>` (no repository has a colon).
 * Undefined: there is no such image for the version.
 */
export function placeOf({ name, upstream, own }: Pick<Component, 'name' | 'upstream' | 'own'>): string | undefined {
  return upstream ?? (own === undefined ? undefined : `own:${name}`)
}

/** Every way in which the file can be read, for whoever checks it. */
export function variantsOf({ when, ...own }: ComponentText): readonly Component[] {
  return [own, ...when.map((variant) => replaced(own, variant))]
}

function replaced(own: Component, { versions: _, source, build, ...instead }: ComponentText['when'][number]): Component {
  return {
    ...own,
    ...(Object.fromEntries(Object.entries(instead).filter(([, value]) => value !== undefined)) as Partial<Component>),
    ...(source === undefined ? {} : { source: Source.parse(changedBy(own.source, source)) }),
    ...(build === undefined ? {} : { build: Build.parse(changedBy(own.build, build)) }),
  }
}
