/** Which files of an image are looked into, and what is remembered of them. */
import { RfoError } from '../error.ts'
import { elfMagic, elfTypes, readElf } from './elf.ts'
import { type GoBuildInfo, readGoBuildInfo } from './go-buildinfo.ts'
import { rpmFileNames } from './rpmdb/index.ts'
import type { SeenFile, Visitor } from './spool.ts'

export type Found =
  | { readonly kind: 'elf'; readonly machine: number; readonly sha512: string; readonly buildInfo: GoBuildInfo | undefined }
  /** rpm databases and os-release: whole, since they are read together with others once all layers are known */
  | { readonly kind: 'bytes'; readonly bytes: Buffer }

/** bytes of all rpm databases in all layers of an image together; a full server's is about 100 MB */
const mostDatabase = 256 * 1024 * 1024
const mostOsRelease = 64 * 1024

const databaseNames: ReadonlySet<string> = new Set(rpmFileNames.flatMap((name) => [name, `${name}-wal`]))

/** A visitor for one image. */
export function lookInside(): Visitor<Found> {
  let kept = 0
  return {
    wants: (file, head) => head.subarray(0, elfMagic.length).equals(elfMagic) || isDatabase(file) || isOsRelease(file),
    async visit(file, content, { sha512 }) {
      const read = (offset: number, length: number): Promise<Buffer> => content.read(offset, length)
      const elf = await readElf(read)
      if (elf !== undefined) {
        const code = elf.type === elfTypes.executable || elf.type === elfTypes.sharedObject
        if (!code) return undefined
        return { kind: 'elf', machine: elf.machine, sha512, buildInfo: await readGoBuildInfo(read, content.size) }
      }
      if (!isDatabase(file) && !isOsRelease(file)) return undefined
      kept += content.size
      if (kept > mostDatabase) {
        throw new RfoError('RFO_INSPECT_LIMIT', `the image has more than ${mostDatabase} bytes of rpm databases`, { exit: 'untrusted' })
      }
      return { kind: 'bytes', bytes: Buffer.from(await content.read(0, content.size)) }
    },
  }
}

/** By the file's own name alone: the directory may be reached through links. */
function isDatabase(file: SeenFile): boolean {
  return databaseNames.has(baseName(file))
}

/** Links to it are followed later, and every distribution's own name for it ends the same. */
function isOsRelease(file: SeenFile): boolean {
  return baseName(file).includes('os-release') && file.size <= mostOsRelease
}

function baseName(file: SeenFile): string {
  return file.path.slice(file.path.lastIndexOf('/') + 1)
}
