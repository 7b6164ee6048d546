/** Package URLs: https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst. What has none gets none: names come from images. */
import { PackageURL } from 'packageurl-js'
import type { Inventory, InventoryRpm } from './inventory.ts'

/**
 * `pkg:rpm/openeuler/bash@5.2.21-1.oe2403sp1?arch=x86_64&distro=openeuler-24.03-lts-sp1&epoch=1&upstream=bash-….src.rpm`:
 * https://github.com/package-url/purl-spec/blob/main/types-doc/rpm-definition.md
 */
export function rpmPurl(
  one: Pick<InventoryRpm, 'name' | 'epoch' | 'version' | 'release' | 'arch' | 'sourceRpm'>,
  os: Inventory['os'],
): string | undefined {
  return purl('rpm', os?.id.toLowerCase(), one.name, `${one.version}-${one.release}`, {
    ...(one.arch === '' ? {} : { arch: one.arch }),
    ...(os === null ? {} : { distro: distro(os) }),
    ...(one.epoch === undefined ? {} : { epoch: String(one.epoch) }),
    ...(one.sourceRpm === '' ? {} : { upstream: one.sourceRpm }),
  })
}

/** openEuler's VERSION_ID lacks the service pack, and packages of two service packs must not be taken for one another. */
function distro(os: NonNullable<Inventory['os']>): string {
  const pack = /^openEuler\s+\d\d\.\d\d\s*\((LTS(?:[- ]SP\d+)?)\)/.exec(os.prettyName)?.[1]
  return [os.id, os.version, pack?.replace(' ', '-')]
    .filter((part) => part !== undefined && part !== '')
    .join('-')
    .toLowerCase()
}

/** `pkg:golang/github.com/coredns/coredns@v1.9.3`; the standard library is `stdlib`, as vulnerability databases call it. */
export function golangPurl(path: string, version: string): string | undefined {
  const slash = path.lastIndexOf('/')
  return purl('golang', slash < 0 ? undefined : path.slice(0, slash), path.slice(slash + 1), version === '' ? undefined : version, {})
}

/** `pkg:oci/name@sha256:…?repository_url=registry/path/name&tag=…`: https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md */
export function ociPurl(reference: string, digest: string, arch: string): string | undefined {
  const [, repository = reference, tag] = /^(.*?)(?::([^:/@]+))?(?:@.*)?$/.exec(reference) ?? []
  return purl('oci', undefined, repository.slice(repository.lastIndexOf('/') + 1), digest, {
    ...(arch === '' ? {} : { arch }),
    repository_url: repository,
    ...(tag === undefined ? {} : { tag }),
  })
}

/** `pkg:generic/name@version?checksum=sha256:…&download_url=…`: https://github.com/package-url/purl-spec/blob/main/types-doc/generic-definition.md */
export function archivePurl(name: string, version: string, url: string, digest: string): string | undefined {
  return purl('generic', undefined, name, version, { checksum: digest, download_url: url })
}

/** Of what has no ecosystem: `pkg:generic/name@version`. */
export function genericPurl(name: string, version: string, digest?: string): string | undefined {
  return purl('generic', undefined, name, version === '' ? undefined : version, digest === undefined ? {} : { checksum: digest })
}

function purl(
  type: string,
  namespace: string | undefined,
  name: string,
  version: string | undefined,
  qualifiers: Record<string, string>,
): string | undefined {
  try {
    return new PackageURL(type, namespace, name, version, qualifiers, undefined).toString()
  } catch {
    // a name or version that its ecosystem doesn't allow: the component stands without one
    return undefined
  }
}
