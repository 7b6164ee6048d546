/**
 * Image references: `registry/repository:tag@digest`. A name without a registry is Docker Hub's, as everywhere
 * (https://github.com/distribution/reference/blob/v0.6.0/normalize.go): `rancher/x` is `docker.io/rancher/x`, `x` is `docker.io/library/x`.
 */
import { RfoError } from '../error.ts'
import { type Digest, isDigest } from './digest.ts'

export interface Reference {
  /** host[:port], `docker.io` for Docker Hub */
  readonly registry: string
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

/** `<name>`: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests; clients cap registry and name at 255 together */
const repositoryForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const registryForm =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?$/

export function isRepository(text: string): boolean {
  return text.length <= 255 && repositoryForm.test(text)
}

export function isTag(text: string): boolean {
  return tagForm.test(text)
}

export function isRegistry(text: string): boolean {
  return text.length <= 255 && registryForm.test(text)
}

export function parseReference(text: string): Reference {
  if (text.length > 1024) refuse(text, 'longer than 1024 characters')
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) refuse(text, 'what follows @ is not a sha256 digest')
  const name = at < 0 ? text : text.slice(0, at)
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1)
  // `host:5000` alone has no repository: the colon is a tag's then, and `5000` a fine tag of `docker.io/library/host`
  const tag = colon < 0 ? undefined : name.slice(colon + 1)
  if (tag !== undefined && !isTag(tag)) refuse(text, 'the tag is malformed')
  const path = colon < 0 ? name : name.slice(0, colon)
  const slash = path.indexOf('/')
  const first = slash < 0 ? '' : path.slice(0, slash)
  const hosted = first === 'localhost' || /[.:[]/.test(first) || first !== first.toLowerCase()
  const given = hosted ? first : 'docker.io'
  const registry = given === 'index.docker.io' || given === 'registry-1.docker.io' ? 'docker.io' : given
  const rest = hosted ? path.slice(slash + 1) : path
  const repository = registry === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest
  if (!isRegistry(registry)) refuse(text, 'the registry is malformed')
  if (!isRepository(repository) || registry.length + 1 + repository.length > 255) refuse(text, 'the repository is malformed')
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** The full spelling, nothing left out: parseReference(formatReference(r)) is r. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.registry}/${reference.repository}${tag}${digest}`
}

function refuse(text: string, why: string): never {
  throw new RfoError('RFO_OCI_REFERENCE', `not an image reference: ${JSON.stringify(text.slice(0, 200))}: ${why}`, { exit: 'usage' })
}
