/** SM2 both ways with openssl, which is told the identity; and what is refused. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateKey } from '../../src/sign/key.ts'
import { generateSm2Key, isSm2Key, readSm2Key, readSm2PublicKey, verifySm2 } from '../../src/sign/sm2.ts'
import { tool } from '../tools.ts'

const openssl = tool('openssl')
const identity = ['-sigopt', 'distid:1234567812345678']
const bytes = Buffer.from('sha256sum-amd64.txt\n')
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-sm2-'))
  writeFileSync(join(folder, 'f'), bytes)
})
afterAll(() => rmSync(folder, { recursive: true }))

function call(...argv: string[]): Buffer {
  return execFileSync(openssl.path, argv, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
}

describe.skipIf(openssl.skip)('openssl', () => {
  test('reads our key and our signature', async () => {
    const { privatePem, publicPem } = generateSm2Key()
    writeFileSync(join(folder, 'ours.pub'), publicPem)
    writeFileSync(join(folder, 'ours.sm2'), await readSm2Key(privatePem).sign(bytes))
    expect(call('dgst', '-sm3', '-verify', 'ours.pub', ...identity, '-signature', 'ours.sm2', 'f').toString()).toContain('Verified OK')
  })

  test('makes keys and signatures that we read, encrypted keys too', async () => {
    call('genpkey', '-algorithm', 'SM2', '-out', 'theirs.key')
    call('pkcs8', '-topk8', '-in', 'theirs.key', '-out', 'locked.key', '-v2', 'aes-256-cbc', '-passout', 'pass:horse')
    call('pkey', '-in', 'theirs.key', '-pubout', '-out', 'theirs.pub')
    call('dgst', '-sm3', '-sign', 'theirs.key', ...identity, '-out', 'theirs.sm2', 'f')
    const key = readSm2PublicKey(readFileSync(join(folder, 'theirs.pub'), 'utf8'))
    expect(await verifySm2(bytes, readFileSync(join(folder, 'theirs.sm2')), [key])).toBe(key)
    const sum = call('pkey', '-pubin', '-in', 'theirs.pub', '-outform', 'DER')
    expect(key.fingerprint).toBe(`sha256:${execFileSync('sha256sum', { input: sum }).toString().slice(0, 64)}`)
    const locked = readFileSync(join(folder, 'locked.key'), 'utf8')
    expect(isSm2Key(locked, 'horse')).toBe(true)
    expect(readSm2Key(locked, 'horse').publicKey).toEqual(key)
    expect(await verifySm2(bytes, await readSm2Key(locked, 'horse').sign(bytes), [key])).toBe(key)
    expect(() => readSm2Key(locked, 'cow')).toThrow(expect.objectContaining({ code: 'RFO_SIGN_KEY', exit: 'usage' }))
  })

  test('a signature made without the identity, as older openssl does by itself, is refused', async () => {
    call('genpkey', '-algorithm', 'SM2', '-out', 'bare.key')
    call('pkey', '-in', 'bare.key', '-pubout', '-out', 'bare.pub')
    call('dgst', '-sm3', '-sign', 'bare.key', '-out', 'bare.sm2', 'f')
    const key = readSm2PublicKey(readFileSync(join(folder, 'bare.pub'), 'utf8'))
    await expect(verifySm2(bytes, readFileSync(join(folder, 'bare.sm2')), [key])).rejects.toMatchObject({ code: 'RFO_SIGN_UNKNOWN' })
  })
})

test('a key of another curve, other bytes, no key, and another spelling of a signature are refused', async () => {
  const key = readSm2Key(generateSm2Key().privatePem)
  const signature = await key.sign(bytes)
  await expect(verifySm2(bytes, signature, [])).rejects.toMatchObject({ code: 'RFO_SIGN_NOKEY', exit: 'undecided' })
  await expect(verifySm2(Buffer.from('x'), signature, [key.publicKey])).rejects.toMatchObject({ code: 'RFO_SIGN_UNKNOWN' })
  for (const spelt of [Buffer.concat([signature, Buffer.from([0])]), signature.subarray(1), Buffer.alloc(0), Buffer.alloc(72, 1)])
    await expect(verifySm2(bytes, spelt, [key.publicKey])).rejects.toMatchObject({ code: 'RFO_SIGN_BYTES' })
  const other = generateKey()
  expect(isSm2Key(other.privatePem)).toBe(false)
  expect(() => readSm2Key(other.privatePem)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_KEY' }))
  expect(() => readSm2PublicKey(other.publicPem)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_KEY' }))
  expect(() => readSm2PublicKey(generateSm2Key().privatePem)).toThrow(expect.objectContaining({ code: 'RFO_SIGN_KEY' }))
})
