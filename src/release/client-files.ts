/** The files that clients of a served release are given: for nodes, for dnf, and the certificate that both trust. */
import type { ReleasePredicate } from '../attest/release.ts'
import { parseReference } from '../oci/reference.ts'
import { type RepositoryPlace, repositoryConfig } from '../rpm/repository.ts'
import { type ClientFile, registriesYaml, trustAnchor, withCertificate } from '../serve/client-files.ts'
import { keyPaths } from './signed-paths.ts'

/** `url`: as clients reach the server; `chain`: its certificates, PEM, when it speaks TLS. */
export function clientFiles(predicate: ReleasePredicate, url: string, chain: string | undefined): ClientFile[] {
  const ca = chain === undefined ? undefined : trustAnchor(chain)
  const registries = predicate.images.map(({ reference }) => parseReference(reference).registry)
  const repo = repositoryFiles(predicate, url)
  return [
    { name: 'registries.yaml', text: registriesYaml(url, registries, ca !== undefined) },
    ...(repo === '' ? [] : [{ name: 'rfo.repo', text: ca === undefined ? repo : withCertificate(repo) }]),
    ...(ca === undefined ? [] : [{ name: 'rfo-serve-ca.crt', text: ca }]),
  ]
}

function repositoryFiles(predicate: ReleasePredicate, url: string): string {
  const paths = predicate.files.map(({ path }) => path)
  const key = paths.includes(keyPaths.rpm) ? { key: `${url}/${keyPaths.rpm}` } : {}
  const places = new Map<string, RepositoryPlace>()
  for (const path of paths) {
    const [, channel, minor, os] = /^rpm\/([^/]+)\/([^/]+)\/openeuler\/([^/]+)\/[^/]+\/repodata\/repomd\.xml$/.exec(path) ?? []
    if (channel === undefined || minor === undefined || os === undefined) continue
    places.set(`rfo-${minor}-${channel}-openeuler-${os}`, { channel, minor, os })
  }
  return [...places]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, place]) => repositoryConfig({ id, name: `RFO ${place.minor} (${place.channel})`, url, place, ...key }))
    .join('\n')
}
