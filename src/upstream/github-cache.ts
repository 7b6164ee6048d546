/**
 * Answers of GitHub kept with their ETag: an unchanged one costs no quota.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { makeFolder, writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'

const KeptAnswer = z.strictObject({
  url: z.string(),
  etag: z.string(),
  /** Of the answer that was kept: `link` tells where the next page is. */
  headers: z.record(z.string(), z.string()),
  text: z.string(),
})
export type KeptAnswer = z.infer<typeof KeptAnswer>

export interface AnswerCache {
  read(url: string): Promise<KeptAnswer | undefined>
  write(answer: KeptAnswer): Promise<void>
}

/** One file an address. A file that can't be read or belongs to another address is as good as none. */
export function folderCache(folder: string): AnswerCache {
  const fileOf = (url: string): string => join(folder, `${createHash('sha256').update(url).digest('hex')}.json`)
  return {
    async read(url) {
      try {
        const kept = KeptAnswer.parse(JSON.parse(await readFile(fileOf(url), 'utf8')))
        return kept.url === url ? kept : undefined
      } catch {
        return undefined
      }
    },
    async write(answer) {
      await makeFolder(folder)
      await writeFileOnce(folder, bytesBody(Buffer.from(JSON.stringify(answer))), () => fileOf(answer.url))
    },
  }
}
