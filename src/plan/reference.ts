/** `docker.io/rancher/pause:3.6`: the only form in which RKE2's lists and our pipelines name an image. */
import { RfoError } from '../error.ts'

export interface ImageName {
  /** `docker.io` */
  readonly registry: string
  /** `rancher/pause` */
  readonly repository: string
  readonly tag: string
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests: `<name>` and `<reference>` as a tag */
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const form = new RegExp(`^([a-z0-9.-]+(?::[0-9]{1,5})?)/(${component}(?:/${component})*):([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})$`)

/** Throws RFO_PLAN_REFERENCE. */
export function parseImageName(text: string, where?: string): ImageName {
  const found = text.length > 512 ? null : form.exec(text)
  const [, registry, repository, tag] = found ?? []
  if (registry === undefined || repository === undefined || tag === undefined) {
    throw new RfoError('RFO_PLAN_REFERENCE', `not an image with registry and tag: ${JSON.stringify(text.slice(0, 200))}`, {
      exit: 'usage',
      ...(where === undefined ? {} : { where }),
      next: 'write it as registry/repository:tag',
    })
  }
  return { registry, repository, tag }
}

export function spellImageName(name: ImageName): string {
  return `${name.registry}/${name.repository}:${name.tag}`
}
