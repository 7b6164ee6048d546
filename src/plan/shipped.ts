/** Whether two RKE2 releases ship the same, as far as RFO's share of them goes. */
import type { UpstreamRelease } from './component.ts'
import { parseImageName } from './reference.ts'

/**
 * True only when both are recorded and have the same images in the same groups and the same charts by digest. `ignoring` names
 * repositories (`rancher/rke2-runtime`) whose tag does not count. Throws RFO_PLAN_REFERENCE.
 */
export function sameShipped(a: UpstreamRelease | undefined, b: UpstreamRelease | undefined, ignoring: readonly string[]): boolean {
  if (a === undefined || b === undefined) return false
  // a chart without a known digest is not known to be the same
  if ([...a.charts, ...b.charts].some(({ digest }) => digest === null)) return false
  return contentOf(a, ignoring) === contentOf(b, ignoring)
}

function contentOf({ groups, charts }: UpstreamRelease, ignoring: readonly string[]): string {
  const images = Object.entries(groups).flatMap(([group, references]) =>
    references.map((reference) => {
      const { registry, repository, tag } = parseImageName(reference)
      return JSON.stringify([group, registry, repository, ignoring.includes(repository) ? '' : tag])
    }),
  )
  const sums = charts.map(({ name, version, digest }) => JSON.stringify([name, version, digest]))
  return [...images.sort(), ...sums.sort()].join('\n')
}
