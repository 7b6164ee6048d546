/** Programs that other builds made, out of the layers that they left: the same bytes, checked again for the platform. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { feedTar, plainly } from '../oci/tar-feed.ts'
import { checkElf } from './elf.ts'
import { inFreshFolder, type MadePrograms, type Program } from './programs.ts'

export interface CollectRequest {
  readonly from: readonly {
    readonly component: string
    /** uncompressed, as writeLayerTar left it */
    readonly layer: Descriptor
    /** absolute, in that layer */
    readonly program: string
    /** absolute, in the image that collects */
    readonly output: string
  }[]
  readonly platform: PlatformName
  readonly workDir: string
  readonly signal?: AbortSignal
}

/** One pass over each layer. The caller removes `dir`. Throws RFO_BUILD_COLLECT (exit build) for a program that is not there. */
export async function collectPrograms(request: CollectRequest, store: ContentReader): Promise<MadePrograms> {
  return await inFreshFolder(request.workDir, async (dir) => {
    const programs: Program[] = []
    for (const layer of new Map(request.from.map((each) => [each.layer.digest, each.layer])).values()) {
      const wanted = new Map(request.from.filter((each) => each.layer.digest === layer.digest).map((each) => [each.program, each.output]))
      const parser = extract({})
      const fed = feedTar(store.fetch(layer, request.signal), parser)
      fed.catch((cause: Error) => parser.destroy(cause))
      for await (const entry of parser) {
        const output = entry.header.type === 'file' ? wanted.get(`/${entry.header.name}`) : undefined
        if (output === undefined) entry.resume()
        else {
          const file = join(dir, String(programs.length))
          await pipeline(plainly(entry as AsyncIterable<Uint8Array>), createWriteStream(file, { mode: 0o755 }))
          await checkElf(file, platformOf(request.platform).architecture)
          programs.push({ path: output, file })
        }
      }
      await fed
    }
    const absent = request.from.find(({ output }) => !programs.some((program) => program.path === output))
    if (absent !== undefined)
      throw new RfoError('RFO_BUILD_COLLECT', `${absent.component} has no ${absent.program}`, { exit: 'build', where: request.platform })
    return { programs: programs.sort((a, b) => (a.path < b.path ? -1 : 1)) }
  })
}
