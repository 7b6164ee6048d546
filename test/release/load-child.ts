/** Loads a made-up release into a folder or into containerd, slowly, with a dot for each MiB: whoever started it may kill it in between. */
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { verified } from '../../src/content/body.ts'
import { toRfoError } from '../../src/error.ts'
import { loadIntoContainerd } from '../../src/release/load-containerd.ts'
import { loadIntoFolder } from '../../src/release/load-folder.ts'
import { descriptorOf, type ReleaseFiles } from '../../src/release/shelf.ts'

const [, , release = '', folder = '', address] = process.argv
const { predicate, files, groups } = JSON.parse(readFileSync(join(release, 'made-up.json'), 'utf8'))

const from: ReleaseFiles = {
  where: release,
  files,
  open: (file) => verified(descriptorOf(file), slowly(createReadStream(join(release, file.path), { highWaterMark: 1 << 20 }))),
  close: async () => {},
}

async function* slowly(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    if (chunk.length > 1 << 18) {
      process.stdout.write('.')
      await sleep(20)
    }
    yield chunk
  }
}

const request = { files: from, predicate, existing: 'refuse', signal: new AbortController().signal } as const
try {
  if (address === undefined) await loadIntoFolder({ ...request, folder, selection: { platforms: ['linux/amd64'], groups } })
  else {
    const place = { kind: 'containerd', namespace: folder, address } as const
    const env = { PATH: process.env.PATH ?? '' }
    const images = await loadIntoContainerd({ ...request, platform: 'linux/amd64', groups, env, place })
    process.exitCode = images.every(({ state }) => state === 'present') ? 0 : 10
  }
} catch (thrown) {
  process.stdout.write(`${toRfoError(thrown).line()}\n`)
  process.exitCode = 9
}
