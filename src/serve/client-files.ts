/** What clients are told: files that a node, or a machine with dnf, is given once. Pure. */
import { X509Certificate } from 'node:crypto'
import { stringify } from 'yaml'

export interface ClientFile {
  readonly name: string
  readonly text: string
}

/** Where a node keeps the certificate. */
const caFile = '/etc/rancher/rfo/rfo-serve-ca.crt'

/**
 * RKE2's registries.yaml (https://docs.rke2.io/install/private_registry): whatever a node asks `registries` for, it asks the server for first.
 * `url`: as nodes reach it. A password is nobody's to write here: `auth` is left to who gives the file to a node.
 */
export function registriesYaml(url: string, registries: readonly string[], ca: boolean): string {
  const mirrors = Object.fromEntries([...new Set(registries)].sort().map((registry) => [registry, { endpoint: [url] }]))
  const configs = ca ? { configs: { [new URL(url).host]: { tls: { ca_file: caFile } } } } : {}
  return stringify({ mirrors, ...configs }, { lineWidth: 0 })
}

/** The certificate that clients trust: the last of the chain, by which the others are signed. undefined = a file with none in it. */
export function trustAnchor(chain: string): string | undefined {
  const last = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)?.at(-1)
  return last === undefined ? undefined : `${last}\n`
}

/** The first name that the certificate is for, of a host or an address. */
export function nameIn(chain: string): string | undefined {
  return /(?:DNS|IP Address):([^\s,*]+)/.exec(new X509Certificate(chain).subjectAltName ?? '')?.[1]
}

/** A .repo file whose connection is checked against the same certificate. */
export function withCertificate(repo: string): string {
  return repo.replace(/^enabled=1$/gm, `enabled=1\nsslcacert=${caFile}`)
}
