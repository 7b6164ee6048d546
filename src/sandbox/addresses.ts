/** Which public addresses lead to the sandbox's servers: only what is replaced, and everything when everything is. */
import type { Scope, World } from './world.ts'

/** The registry that Docker's short names mean; its repositories lie at the root of ours, those of other hosts below the host's name. */
const rootRegistry = 'docker.io'

/** Where the registry server has a repository: `docker.io/openeuler/openeuler` → `openeuler/openeuler`. */
export function repositoryPath(repository: string): string {
  return repository.startsWith(`${rootRegistry}/`) ? repository.slice(rootRegistry.length + 1) : repository
}

/** `docker.io/rancher/klipper-lb:v0.3.5` → repository and tag. */
export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  const colon = reference.lastIndexOf(':')
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}

/** `registry` and `files` are the servers' URLs, without a slash at the end. */
export function sandboxAddresses(world: World, scope: Scope, registry: string, files: string): Readonly<Record<string, string>> {
  const addresses: Record<string, string> = {}
  const image = (prefix: string): void => {
    addresses[prefix] = `${registry}/${repositoryPath(prefix)}`
  }
  const web = (prefix: string): void => {
    addresses[prefix] = `${files}/${prefix.replace(/^https?:\/\//, '')}`
  }
  for (const reference of world.bases.keys()) {
    const { repository } = splitReference(reference)
    image(repository.slice(0, repository.lastIndexOf('/') + 1)) // the namespace: openEuler's images all together
  }
  for (const mirror of world.mirrors.values()) image(splitReference(mirror.reference).repository)
  for (const repository of world.sources.repositories) web(repository.url)
  for (const url of world.sources.archives.keys()) web(url)
  for (const repositories of world.packages.repositories.values()) for (const { url } of repositories.values()) web(url)
  for (const url of world.chartIndexes.keys()) web(url.slice(0, url.lastIndexOf('/') + 1))
  if (world.advisories !== undefined) web(world.advisories.url)
  if (scope.everything) {
    // nothing of these hosts is reached any more, not even what the sandbox lacks
    for (const prefix of Object.keys(addresses)) {
      if (prefix.startsWith('https://')) web(`${new URL(prefix).origin}/`)
    }
    addresses[rootRegistry] = registry
  }
  return addresses
}
