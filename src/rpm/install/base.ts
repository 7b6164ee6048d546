/** What is asked of the image that packages are installed on. Whoever reads images gives it. */

export type BaseEntry =
  | { readonly kind: 'directory' | 'special' }
  /** hex */
  | { readonly kind: 'file'; readonly sha256: string }
  | { readonly kind: 'symlink'; readonly target: string }

export interface BaseView {
  /** The path without symlinks, the last component followed too; undefined = nothing there. */
  resolve(path: string): string | undefined
  /** What is at a path whose parents hold no symlinks; itself it may be one. */
  entry(path: string): BaseEntry | undefined
  /** every rpm database: in an image to which packages are added there is one */
  readonly databases: readonly { readonly path: string; readonly bytes: Buffer }[]
  /** Header blobs of the databases, keys among them. */
  readonly headers: readonly Buffer[]
  /** of /etc/passwd and /etc/group; '' = no such file */
  readonly passwd: string
  readonly group: string
}
