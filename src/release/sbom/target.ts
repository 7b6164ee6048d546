/** What an SBOM can be made of, wherever it lies: told by what it is, never by its name. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../../error.ts'
import { elfMagic } from '../../inspect/elf.ts'
import { rpmMagic } from '../../inspect/rpm-file.ts'
import { indexName } from '../archive/form.ts'
import { statementPath } from '../verify/files.ts'

export type TargetKind = 'registry' | 'layout' | 'release' | 'release archive' | 'folder' | 'rpm' | 'tar' | 'document' | 'program'

export type Packing = 'none' | 'gzip' | 'zstd'

export interface FileTarget {
  readonly kind: Exclude<TargetKind, 'registry'>
  readonly path: string
  readonly packing: Packing
}

const headBytes = 512

/** Throws RFO_SBOM_TARGET (usage) for what is none of these. */
export async function fileTarget(path: string): Promise<FileTarget> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_SBOM_TARGET', `can't read it: ${cause.code}`, { exit: 'usage', where: path, cause })
  })
  if (found.isDirectory()) {
    const kind = (await isThere(join(path, statementPath))) ? 'release' : (await isThere(join(path, 'oci-layout'))) ? 'layout' : 'folder'
    return { kind, path, packing: 'none' }
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) throw unknown(path)
    return { path, ...told(await headOf(file), path) }
  } finally {
    await file.close()
  }
}

function told(head: Buffer, path: string): Pick<FileTarget, 'kind' | 'packing'> {
  const begins = (...bytes: readonly number[]): boolean => bytes.every((byte, at) => head[at] === byte)
  if (head.subarray(0, 4).equals(rpmMagic)) return { kind: 'rpm', packing: 'none' }
  if (head.subarray(0, 4).equals(elfMagic)) return { kind: 'program', packing: 'none' }
  // the first bytes of RFC 1952 and of RFC 8878
  if (begins(0x1f, 0x8b)) return { kind: 'tar', packing: 'gzip' }
  // or a frame that is skipped
  if (begins(0x28, 0xb5, 0x2f, 0xfd) || (head.length >= 4 && head.readUInt32LE(0) >>> 4 === 0x184d2a5))
    return { kind: 'tar', packing: 'zstd' }
  if (/^\s*\{/.test(head.toString('latin1'))) return { kind: 'document', packing: 'none' }
  if (head.toString('latin1', 257, 262) === 'ustar') {
    const first = head.toString('latin1', 0, 100).replace(/\0.*$/s, '')
    return { kind: first === indexName ? 'release archive' : 'tar', packing: 'none' }
  }
  throw unknown(path)
}

async function headOf(file: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0)
  return buffer.subarray(0, bytesRead)
}

export async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  )
}

function unknown(path: string): RfoError {
  return new RfoError('RFO_SBOM_TARGET', 'no image, layout, archive, directory, release, RPM, program or CycloneDX document', {
    exit: 'usage',
    where: path,
    next: 'rfo-build sbom --help',
  })
}
