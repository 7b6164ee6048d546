/** What went into an image besides its own source, as provenance names it. */
import { hex } from '../oci/digest.ts'
import type { SaidCommit } from '../plan/lock.ts'
import type { BesideFile } from '../plan/source-changes.ts'
import type { DownloadedModule } from './go-command.ts'
import type { ModuleSum } from './go-tree.ts'

/** https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/digest_set.md */
export interface Material {
  readonly uri: string
  readonly digest: Readonly<Record<string, string>>
  readonly name?: string
  /** https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/resource_descriptor.md: what no digest covers */
  readonly annotations?: Readonly<Record<string, string>>
}

/** `dirHash`: "The directory Hash1 function, omitting the "h1:" prefix and output in lowercase hexadecimal instead of base64." */
export function moduleMaterial(module: Pick<DownloadedModule, 'Path' | 'Version' | 'Sum'>, commit?: SaidCommit): Material {
  return {
    uri: golangPurl(module.Path, module.Version),
    digest: { dirHash: Buffer.from(module.Sum.slice('h1:'.length), 'base64').toString('hex') },
    name: `${module.Path}@${module.Version}`,
    // no digest: that would be a claim that the files are the commit's
    ...(commit === undefined ? {} : { annotations: { commit: commit.hash, commitSaidBy: commit.saidBy } }),
  }
}

export function usedModule({ path, version, h1 }: ModuleSum): Material {
  return moduleMaterial({ Path: path, Version: version, Sum: h1 })
}

/** A file of the project, wherever its repository is: the release carries it. https://github.com/package-url/purl-spec/blob/main/types-doc/generic-definition.md */
export function besideMaterial({ file, digest }: BesideFile): Material {
  const sha256 = hex(digest)
  return {
    uri: `pkg:generic/${file.split('/').map(encodeURIComponent).join('/')}?checksum=sha256:${sha256}`,
    digest: { sha256 },
    name: file,
  }
}

/** https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md */
export function golangPurl(module: string, version: string): string {
  return `pkg:golang/${module.split('/').map(encodeURIComponent).join('/')}@${encodeURIComponent(version)}`
}
