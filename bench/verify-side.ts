/** Our side of a pair of bench/verify.ts, loading what it uses and keeping it compiled, as bin/rfo-build.js does. */
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signatures } from './signatures.ts'

enableCompileCache(join(tmpdir(), 'rfo-bench-compiled'))

const sides: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  async hash(folder) {
    const { hashFiles } = await import('../src/release/verify/hash.ts')
    const files = readdirSync(folder).filter((name) => name.endsWith('.bin'))
    await hashFiles(
      folder,
      files.map((path) => ({ path, sm3: false, size: 1 << 28 })),
    )
  },
  async sm3(folder) {
    const { createHash } = await import('node:crypto')
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.bin'))) {
      const hash = createHash('sm3')
      for await (const chunk of createReadStream(join(folder, name), { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
      hash.digest()
    }
  },
  async archive(folder) {
    const { checkGroupArchive } = await import('../src/pack/read.ts')
    await checkGroupArchive(createReadStream(join(folder, 'a.tar.zst'), { highWaterMark: 1 << 20 }))
  },
  async verify(folder) {
    const { verifyBundle } = await import('../src/sign/verify.ts')
    const { readPublicKey } = await import('../src/sign/key.ts')
    const { predicateTypes } = await import('../src/attest/statement.ts')
    const { digestOf } = await import('../src/oci/digest.ts')
    const keys = [readPublicKey(readFileSync(join(folder, 'k.pub'), 'utf8'))]
    for (let n = 0; n < signatures; n += 1)
      verifyBundle(readFileSync(join(folder, `${n}.sigstore.json`)), {
        keys,
        predicateType: predicateTypes.cosignSign,
        subject: { digest: digestOf(String(n)) },
      })
  },
  async sign(folder) {
    const { signStatement } = await import('../src/sign/bundle.ts')
    const { readSigningKey } = await import('../src/sign/key.ts')
    const { predicateTypes, statement, statementBytes, subjectOf } = await import('../src/attest/statement.ts')
    const { digestOf } = await import('../src/oci/digest.ts')
    const key = readSigningKey(readFileSync(join(folder, 'k.key'), 'utf8'), 'bench')
    for (let n = 0; n < signatures; n += 1) {
      const said = statementBytes(statement([subjectOf(digestOf(String(n)))], predicateTypes.cosignSign, {}))
      writeFileSync(join(folder, `${n}.sigstore.json`), await signStatement(said, key))
    }
  },
}

const [side = '', folder = ''] = process.argv.slice(2)
const run = sides[side]
if (run === undefined) throw new Error(`no side ${side}: this is run by bench/verify.ts`)
await run(folder)
