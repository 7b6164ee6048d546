import type { Digest } from './digest.ts'

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md. `platform` is looser than ours: an upstream index names others too. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** bytes */
  readonly size: number
  readonly artifactType?: string
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string }
  readonly annotations?: Readonly<Record<string, string>>
}
