/** The documents that a release holds. Each is verified against the release's statement; `verify` says who signed that. */
import { RfoError } from '../../error.ts'
import { openArchive } from '../archive/open.ts'
import { maxSbomBytes, releaseSbom } from '../lists.ts'
import { folderFiles, type ReleaseFiles, smallFile } from '../shelf.ts'
import type { FileTarget } from './target.ts'

export interface ReleasedDocument {
  readonly name: string
  readonly platform: string
  readonly cyclonedx: string
  readonly spdx?: string
}

/** That of the release itself; `all`: of each image, archive and package, too. */
export async function* releaseDocuments(file: FileTarget, all: boolean): AsyncGenerator<ReleasedDocument> {
  const files = file.kind === 'release' ? await folderFiles(file.path) : await openArchive(file.path)
  try {
    const text = await textOf(files, releaseSbom.cyclonedx)
    const other = await textOf(files, releaseSbom.spdx)
    if (text === undefined || other === undefined)
      throw new RfoError('RFO_SBOM_ABSENT', 'this release was made before releases had an SBOM of their own', {
        exit: 'usage',
        where: file.path,
        next: `rfo-build sbom ${file.path}/oci -o <folder>`,
      })
    yield { name: releaseSbom.cyclonedx, platform: 'any', cyclonedx: text, spdx: other }
    if (!all) return
    for (const { path } of files.files) {
      if (!/^sbom\/[^/]+\.cdx\.json$/.test(path) || path === releaseSbom.cyclonedx) continue
      yield { name: path, platform: 'any', cyclonedx: (await textOf(files, path)) ?? '' }
    }
  } finally {
    await files.close()
  }
}

async function textOf(files: ReleaseFiles, path: string): Promise<string | undefined> {
  return (await smallFile(files, path, maxSbomBytes))?.toString('utf8')
}
