/** Where a repository is really reached. */
import { RfoError } from '../error.ts'
import { isRegistry, isRepository } from '../oci/reference.ts'
import { type Addresses, reach } from '../plan/addresses.ts'
import { isLoopback } from './exchange.ts'

export interface Endpoint {
  /** Origin alone: `https://registry-1.docker.io/` */
  readonly base: URL
  /** At that origin; an address may have put a prefix before the one that was asked for. */
  readonly repository: string
  /** Whose credentials it takes: the host that is spoken to, `docker.io` for Docker Hub. */
  readonly login: string
}

/**
 * https, except on loopback and where an address says `http://`. Docker Hub's API is at registry-1.docker.io
 * (https://docs.docker.com/docker-hub/image-library/mirror/).
 */
export function endpointOf(target: { readonly registry: string; readonly repository: string }, addresses: Addresses): Endpoint {
  const { registry, repository } = target
  if (!isRegistry(registry) || !isRepository(repository)) throw malformed(`${registry}/${repository}`)
  const asked = `${registry}/${repository}`
  const reached = reach(addresses, asked)
  if (reached === asked && registry === 'docker.io') {
    return { base: new URL('https://registry-1.docker.io/'), repository, login: 'docker.io' }
  }
  const scheme = /^https?:\/\//.exec(reached)?.[0]
  const slash = reached.indexOf('/', scheme?.length ?? 0)
  const host = reached.slice(scheme?.length ?? 0, slash)
  const path = reached.slice(slash + 1)
  if (!isRegistry(host) || !isRepository(path)) throw malformed(reached)
  const base = new URL(`${scheme ?? (isLoopback(host.replace(/:\d+$/, '')) ? 'http://' : 'https://')}${host}/`)
  return { base, repository: path, login: host }
}

function malformed(text: string): RfoError {
  return new RfoError('RFO_CONTENT_ADDRESS', `not a registry and repository: ${JSON.stringify(text.slice(0, 200))}`, { exit: 'usage' })
}
