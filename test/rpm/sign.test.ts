import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { readBytes } from '../../src/content/read.ts'
import { rpmExtent } from '../../src/rpm/extent.ts'
import { rpmFileName } from '../../src/rpm/package.ts'
import { rpmFront, signRpm } from '../../src/rpm/sign.ts'
import { writeRpm } from '../../src/rpm/write.ts'
import { verifyDetached } from '../../src/sign/pgp.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { keyKinds, pgpKey } from './keys.ts'
import { epoch, everything, options } from './made.ts'

const rpmkeys = tool('rpmkeys')

describe.each(keyKinds)('%s', (kind) => {
  test('signed afterwards, twice, or as it is written: the same bytes, as many as unsigned, and the same for the root', async () => {
    const key = await pgpKey(kind)
    const sign = (header: Uint8Array): Promise<Uint8Array> => key.packet(header, epoch)
    const store = memoryStore()
    const pkg = await everything(store)
    const { rpm: plain, unsigned } = await writeRpm(pkg, store, options)
    const { rpm: written } = await writeRpm(pkg, store, { ...options, sign })
    const signed = await signRpm(plain, store, sign)
    expect(signed).toEqual(written)
    expect(await signRpm(signed, store, sign)).toEqual(signed)
    expect(signed.digest).not.toBe(plain.digest)
    expect(signed.size).toBe(plain.size)
    expect(await rpmExtent(signed, store)).toEqual(await rpmExtent(plain, store))
    expect((await rpmExtent(signed, store)).unsigned).toBe(unsigned)
    expect((await rpmFront(store.fetch(plain))).signatures).toEqual([])
    const { header, signatures } = await rpmFront(store.fetch(signed))
    expect(signatures.length).toBe(1)
    await verifyDetached(signatures[0]!, header, key.publicKey)
    header[20] = header[20]! ^ 1
    await expect(verifyDetached(signatures[0]!, header, key.publicKey)).rejects.toMatchObject({ code: 'RFO_SIGN_SIGNATURE' })
  })

  test.skipIf(rpmkeys.skip)('rpmkeys accepts it by its key alone, and refuses what is altered or not signed', async () => {
    await inFolder(async (folder) => {
      const key = await pgpKey(kind)
      const store = memoryStore()
      const pkg = await everything(store)
      const { rpm: plain } = await writeRpm(pkg, store, options)
      const signed = await signRpm(plain, store, (header) => key.packet(header, epoch))
      const put = async (name: string, bytes: Uint8Array): Promise<string> => {
        writeFileSync(join(folder, name), bytes)
        return join(folder, name)
      }
      const file = await put(rpmFileName(pkg), await readBytes(store, signed, 1 << 20))
      const bare = await put('plain.rpm', await readBytes(store, plain, 1 << 20))
      const database = ['--dbpath', join(folder, 'db'), '--define', '_pkgverify_level all']
      expect(run(rpmkeys.path, [...database, '--checksig', file]).code).toBe(1)
      expect(run(rpmkeys.path, [...database, '--import', await put('key', Buffer.from(key.publicKey.armored))]).code).toBe(0)
      const verbose = run(rpmkeys.path, [...database, '--checksig', '--verbose', file])
      expect(verbose.out).toMatch(/Header V4 (RSA|EdDSA)\/SHA(256|512) Signature.*: OK/)
      expect(verbose.out).not.toMatch(/BAD|NOTFOUND|NOKEY/)
      expect(verbose.code).toBe(0)
      expect(run(rpmkeys.path, [...database, '--checksig', bare])).toEqual({ code: 1, out: `${bare}: digests SIGNATURES NOT OK\n` })
      const { headerStart, headerEnd } = await rpmExtent(signed, store)
      for (const at of [headerStart + 40, headerEnd + 3]) {
        const altered = join(folder, 'altered.rpm')
        cpSync(file, altered)
        const bytes = readFileSync(altered)
        bytes[at] = bytes[at]! ^ 1
        writeFileSync(altered, bytes)
        expect(run(rpmkeys.path, [...database, '--checksig', altered]).code).toBe(1)
      }
      // somebody else's key says nothing of it
      const other = ['--dbpath', join(folder, 'other')]
      const stranger = await put('stranger', Buffer.from((await pgpKey()).publicKey.armored))
      expect(run(rpmkeys.path, [...other, '--import', stranger]).code).toBe(0)
      expect(run(rpmkeys.path, [...other, '--checksig', file]).code).toBe(1)
    })
  })
})

test('a key whose signatures rpm does not read is refused when it is read', async () => {
  const { generateKey } = await import('openpgp')
  const { readPgpKey } = await import('../../src/sign/pgp.ts')
  const { privateKey } = await generateKey({ type: 'curve25519', userIDs: [{ name: 'Nobody' }] })
  await expect(readPgpKey(privateKey)).rejects.toMatchObject({ code: 'RFO_SIGN_KEY', exit: 'usage' })
})
