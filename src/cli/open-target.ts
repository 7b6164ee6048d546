/** What a person names when a release is meant, opened: a file is an archive, everything else a folder. */
import { stat } from 'node:fs/promises'
import type { ReleaseFiles } from '../release/shelf.ts'
import { folderPlace, type ReleasePlace } from '../release/verify/place.ts'
import type { CliContext } from './context.ts'
import { releaseFolder } from './target.ts'

export interface OpenTarget {
  readonly place: ReleasePlace
  /** Its files as they are read one by one; closing them closes all of it. */
  files(): Promise<ReleaseFiles>
  close(): Promise<void>
}

/** Throws RFO_ARCHIVE_INDEX (untrusted) for a file that is no archive. */
export async function openTarget(context: Pick<CliContext, 'outDir' | 'cwd'>, target: string): Promise<OpenTarget> {
  const path = releaseFolder(context, target)
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true)
    return { place: folderPlace(path), files: async () => (await import('../release/shelf.ts')).folderFiles(path), close: async () => {} }
  const { openArchive } = await import('../release/archive/open.ts')
  const { archivePlace } = await import('../release/archive/place.ts')
  const archive = await openArchive(path)
  try {
    return { place: archivePlace(archive), files: async () => archive, close: () => archive.close() }
  } catch (thrown) {
    await archive.close()
    throw thrown
  }
}
