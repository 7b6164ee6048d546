/** Packs a program of 200 MB that no compressor makes smaller, made while it is read. Argument: a temporary folder. */
import { createCipheriv } from 'node:crypto'
import { join } from 'node:path'
import { openDirectoryStore } from '../../src/content/directory.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { createDigester } from '../../src/oci/digest.ts'
import { writeRpm } from '../../src/rpm/write.ts'
import { everything } from './made.ts'

const [, , folder = ''] = process.argv
const zeros = Buffer.alloc(1 << 20)

async function* program(): AsyncGenerator<Uint8Array, void, void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  for (let n = 0; n < 200; n++) yield cipher.update(zeros)
}

const digester = createDigester()
for await (const bytes of program()) digester.update(bytes)
const content: Descriptor = { mediaType: 'application/octet-stream', digest: digester.finish(), size: 200 << 20 }
const disk = await openDirectoryStore(folder)
const pkg = await everything(disk)
const store = { ...disk, fetch: (target: Descriptor) => (target.digest === content.digest ? program() : disk.fetch(target)) }
const before = process.resourceUsage().maxRSS
const { rpm } = await writeRpm(
  { ...pkg, files: [{ kind: 'file', path: '/usr/bin/large', mode: 0o755, content, source: 'large' }] },
  store,
  { epoch: 0, compression: 'zstd', workDir: join(folder, 'work') },
)
process.stdout.write(JSON.stringify({ size: rpm.size, before, peak: process.resourceUsage().maxRSS }))
