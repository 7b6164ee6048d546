/** repodata/repomd.xml: which lists a repository has, and their digests. Its own signature is not looked at. */
import { type Digest, isDigest } from '../../oci/digest.ts'
import { badMetadata, readXml } from './xml.ts'

export interface MetadataFile {
  /** below the repository's address */
  readonly href: string
  readonly digest: Digest
  /** bytes, as it lies there; undefined when repomd.xml does not say */
  readonly size?: number
}

export interface Repomd {
  readonly revision: string
  /** `primary`, `filelists` → where */
  readonly files: ReadonlyMap<string, MetadataFile>
}

/** Throws RFO_RPM_METADATA; lists whose checksum is not SHA-256 are left out. */
export async function readRepomd(bytes: AsyncIterable<Uint8Array>): Promise<Repomd> {
  const files = new Map<string, MetadataFile>()
  let revision = ''
  let type: string | undefined
  let [href, digest, algorithm, size] = ['', '', '', '']
  await readXml(bytes, 'repomd.xml', {
    open(name, attributes) {
      if (name === 'data') {
        type = attributes['type'] ?? ''
        ;[href, digest, algorithm, size] = ['', '', '', '']
      } else if (name === 'location') href = attributes['href'] ?? ''
      else if (name === 'checksum') algorithm = attributes['type'] ?? ''
    },
    close(name, text) {
      if (name === 'revision') revision = text.trim().slice(0, 100)
      else if (name === 'checksum') digest = text.trim()
      else if (name === 'size') size = text.trim()
      else if (name === 'data' && type !== undefined) {
        const value = `sha256:${digest}`
        if (algorithm === 'sha256' && isDigest(value) && isInside(href))
          files.set(type, { href, digest: value, ...(/^\d{1,12}$/.test(size) ? { size: Number(size) } : {}) })
        type = undefined
      }
    },
  })
  if (!files.has('primary')) throw badMetadata('repomd.xml', 'it names no primary list with a SHA-256')
  return { revision, files }
}

/** A path below the repository: no host, no way up, nothing that a URL reads as something else. */
export function isInside(href: string): boolean {
  return (
    href.length < 1024 &&
    /^[^/\s?#:\\][^\s?#:\\]*$/.test(href) &&
    href.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  )
}
