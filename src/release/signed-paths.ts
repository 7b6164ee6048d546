/** Where keys lie in a release, and which of its files carry a signature of their own. */

import { type Digest, hex } from '../oci/digest.ts'

export const keyPaths = {
  release: 'trust/cosign.pub',
  metadata: 'trust/trust.json',
  sm2: 'trust/sm2.pub',
  helm: 'trust/helm-keyring',
  rpm: 'rpm/RPM-GPG-KEY-rfo',
  /** who signs without a key, and by which root */
  identity: 'trust/identity.json',
  trustedRoot: 'trust/trusted_root.json',
} as const

export const sm2Statement = 'evidence/release.sm2'
export const keylessStatement = 'evidence/release.keyless.sigstore.json'

/** How a signature's name ends, `.sig` or another; '' = the file is none. */
export function signatureSuffix(path: string): string {
  return /\.(sig|sigstore\.json|sm2|prov|asc)$/.exec(path)?.[0] ?? ''
}

/** Where the bundle lies that says, of one file's digest alone, that the release's key signed it. */
export function fileBundlePath(digest: Digest): string {
  return `evidence/${hex(digest)}.sigstore.json`
}

/** Where the bundle lies that says how a program came to be. */
export function provenancePath(digest: Digest): string {
  return `evidence/${hex(digest)}.provenance.sigstore.json`
}

/** The platform's part of a program's name; undefined = the file is none. */
export function programArchitecture(path: string): string | undefined {
  return /^rfo\.linux-([a-z0-9]+)$/.exec(path)?.[1]
}

/** The files that carry a signature of their own, by kind. */
export function isChecksumList(path: string): boolean {
  return /^(sha256|sm3)sum-[a-z0-9]+\.txt$/.test(path)
}

export function isChart(path: string): boolean {
  return /^charts\/[^/]+\.tgz$/.test(path)
}

export function isRepositoryIndex(path: string): boolean {
  return /^rpm\/(.+\/)?repodata\/repomd\.xml$/.test(path)
}

/** A signature is inside of it. */
export function isPackage(path: string): boolean {
  return /^rpm\/(.+\/)?Packages\/[^/]+\.rpm$/.test(path)
}

/** It names the packages beside it by the digests that they have with their signatures. */
export function isRepositoryList(path: string): boolean {
  return /^rpm\/(.+\/)?repodata\/[0-9a-f]{64}-[a-z]+\.xml\.gz$/.test(path)
}

/** Keys of whoever signed, and the packages that put them on hosts. */
export function isKeyFile(path: string): boolean {
  return path.startsWith('trust/') || path === keyPaths.rpm || isReleasePackage(path)
}

/** rfo-release holds the key: it lies beside it, in no repository. */
export function isReleasePackage(path: string): boolean {
  return /^rpm\/rfo-release-[^/]+\.rpm$/.test(path)
}
