/** Trust metadata against whoever would have it say something else. */
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { spokenDigits } from '../../src/sign/spoken.ts'
import { newerTrust, openTrust, rootOf, type Trust, type TrustFiles } from '../../src/sign/trust.ts'
import { authorityOf, makeTrust, rotateRoot } from '../../src/sign/trust-edit.ts'
import { exportText, inWritingOrder, readExport, readTrustFiles, writeTrust } from '../../src/sign/trust-files.ts'
import { addKey, closeKey, keyIn, nothingSaid, revokeKey, setLowest, withdraw } from '../../src/sign/trust-targets.ts'
import { maxMetadataBytes, signRole, tufKeyOf } from '../../src/sign/tuf.ts'
import { a, at, authority, b, c, changed, firstTrust, newKey, releaseKey, targetsKey, withFile } from './trust-state.ts'

let first: Trust
let second: Trust
let scratch: string
beforeAll(async () => {
  first = await firstTrust()
  second = await changed(first, withdraw('v1.24.8+rfor1', 'pods lose their network', 'v1.24.8+rfor2'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-trust-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (thrown) {
    return `${(thrown as { exit?: string }).exit} ${(thrown as { code?: string }).code}: ${(thrown as Error).message}`
  }
  return 'taken'
}

const rotated = async (signers = [a, b, c, targetsKey], files = second): Promise<TrustFiles> =>
  await rotateRoot(files, { ...authority, root: { keys: [b, c, newcomer].map((key) => key.publicKey), threshold: 2 } }, signers, at)
const newcomer = newKey()

describe('what is said', () => {
  test('is kept from version to version, and read as it was said', async () => {
    const revoked = await changed(second, revokeKey(releaseKey.publicKey.fingerprint, '2026-11-02T00:00:00Z', 'stolen'))
    const last = await changed(revoked, setLowest('v1.24.8+rfor2'))
    expect(last.says.releases).toMatchObject({
      withdrawn: [{ version: 'v1.24.8+rfor1', reason: 'pods lose their network', replacedBy: 'v1.24.8+rfor2' }],
      lowest: { 'v1.24': 'v1.24.8+rfor2' },
    })
    expect(last.says.keys.revoked).toEqual([
      { fingerprint: releaseKey.publicKey.fingerprint, at: '2026-11-02T00:00:00Z', reason: 'stolen' },
    ])
    expect(last.says.keys.keys.map(({ fingerprint }) => fingerprint)).toEqual([releaseKey.publicKey.fingerprint])
    expect(newerTrust(first, last.files).state).toBe('newer')
  })

  test('a key that is closed stays, and the lowest release of a line does not fall', async () => {
    const closed = await changed(second, closeKey(releaseKey.publicKey.fingerprint, '2027-01-01T00:00:00Z'))
    expect(closed.says.keys.keys[0]).toMatchObject({ until: '2027-01-01T00:00:00Z' })
    const raised = await changed(first, setLowest('v1.24.8+rfor2'))
    await expect(changed(raised, setLowest('v1.24.8+rfor1'))).rejects.toMatchObject({ code: 'RFO_SIGN_CHANGE', exit: 'usage' })
    await expect(changed(second, withdraw('v1.24.8+rfor1', 'again'))).rejects.toMatchObject({ code: 'RFO_SIGN_CHANGE' })
    await expect(changed(first, addKey(releaseKey.publicKey))).rejects.toMatchObject({ code: 'RFO_SIGN_CHANGE' })
  })

  test('too few keys sign nothing, and one key given twice is one', async () => {
    await expect(changed(first, setLowest('v1.24.8+rfor2'), [a])).rejects.toMatchObject({ code: 'RFO_SIGN_THRESHOLD', exit: 'usage' })
    await expect(makeTrust(authority, nothingSaid, [a, a, targetsKey], at)).rejects.toMatchObject({ code: 'RFO_SIGN_THRESHOLD' })
    await expect(makeTrust({ ...authority, root: { keys: [a.publicKey], threshold: 2 } }, nothingSaid, [a], at)).rejects.toMatchObject({
      code: 'RFO_SIGN_THRESHOLD',
    })
  })
})

describe('roots', () => {
  test('a root that old and new keys signed is followed', async () => {
    const { state, trust } = newerTrust(second, await rotated())
    expect([state, rootOf(trust).metadata.signed.version]).toEqual(['newer', 2])
    expect(authorityOf(trust, keyIn).root.keys.map(({ fingerprint }) => fingerprint)).toContain(newcomer.publicKey.fingerprint)
  }, 20_000)

  test('a root that its own keys alone signed is refused', async () => {
    await expect(rotated([newcomer, c, targetsKey])).rejects.toMatchObject({ code: 'RFO_SIGN_THRESHOLD' })
    // and one that is signed all the same, by whoever has new keys only
    const theirs = { keys: [newcomer, newKey()], threshold: 2 }
    const other = await makeTrust(
      { ...authority, root: { keys: theirs.keys.map((key) => key.publicKey), threshold: 2 } },
      nothingSaid,
      [...theirs.keys, targetsKey],
      at,
    )
    const signed = openTrust(other).roots[0].metadata.signed
    const { text } = await signRole('root', Object.assign(signed, { version: 2 }), theirs.keys)
    expect(refusal(() => newerTrust(second, new Map([...second.files, ['2.root.json', text]])))).toContain('untrusted RFO_SIGN_TRUST')
    expect(refusal(() => newerTrust(second, other))).toContain('another root')
  })

  test('a signature twice counts once, and a key under two ids is refused', async () => {
    const sole = await signRole('root', first.roots[0].metadata.signed, [a])
    const [signature] = (JSON.parse(sole.text) as { signatures: Json[] }).signatures
    const twice = canonicalJson({ ...JSON.parse(sole.text), signatures: [signature, signature] } as Json)
    expect(refusal(() => openTrust(new Map([...first.files, ['1.root.json', twice]])))).toContain('untrusted RFO_SIGN_TRUST')
    expect(refusal(() => openTrust(new Map([...first.files, ['1.root.json', sole.text]])))).toContain('1/2')

    const { signed } = JSON.parse(first.roots[0].text) as { signed: { keys: Record<string, Json>; roles: Record<string, Json> } }
    const { keyID, body } = tufKeyOf(a.publicKey)
    const alias = 'f'.repeat(64)
    Object.assign(signed.keys, { [alias]: body })
    Object.assign(signed.roles, { root: { keyids: [keyID, alias], threshold: 2 } })
    const forged = canonicalJson({ signatures: [], signed } as Json)
    expect(refusal(() => openTrust(new Map([...first.files, ['1.root.json', forged]])))).toContain('are one key')
    const doubled = first.roots[0].text.replace(/"keyids":\["([0-9a-f]+)"/, '"keyids":["$1","$1"')
    expect(refusal(() => openTrust(new Map([...first.files, ['1.root.json', doubled]])))).toContain('duplicate key IDs')
  })

  test('an older root, a gap between roots, and a root of another number are refused', async () => {
    const newer = newerTrust(second, await rotated()).trust
    expect(newerTrust(newer, second.files).state).toBe('older')
    const third = await rotateRoot(newer, authority, [a, b, c, targetsKey], at)
    const gap = new Map([...third].filter(([name]) => name !== '2.root.json'))
    expect(refusal(() => newerTrust(second, gap))).toContain('the roots between are missing')
    const wrong = new Map([...newer.files, ['3.root.json', newer.files.get('2.root.json') ?? '']])
    expect(refusal(() => newerTrust(newer, wrong))).toContain('it says version 2')
    // a new root over older words
    const mixed = new Map([...newer.files].filter(([name]) => name.endsWith('.root.json')))
    for (const [name, text] of first.files) if (!name.endsWith('.root.json')) mixed.set(name, text)
    expect(refusal(() => newerTrust(second, mixed))).toContain('untrusted RFO_SIGN_ROLLBACK')
  }, 20_000)

  test('keys that the root takes away say nothing more', async () => {
    const other = newKey()
    const to = { ...authority, targets: { keys: [other.publicKey], threshold: 1 } }
    const files = await rotateRoot(second, to, [a, b, targetsKey, other], at)
    const newer = newerTrust(second, files).trust
    await expect(changed(newer, setLowest('v1.24.8+rfor2'), [targetsKey])).rejects.toMatchObject({ code: 'RFO_SIGN_THRESHOLD' })
    const late = await changed(second, setLowest('v1.24.8+rfor2')) // by the old key, which doesn't know
    const mixed = new Map([...late.files, ['2.root.json', files.get('2.root.json') ?? '']])
    expect(refusal(() => openTrust(mixed))).toContain('did not sign it')
  })
})

describe('what lies below', () => {
  test('pieces of two states do not fit', () => {
    const older = first.files.get('1.snapshot.json') ?? ''
    expect(refusal(() => openTrust(new Map([...second.files, ['2.snapshot.json', older]])))).toContain('it is version 1, timestamp says 2')
    const targets = first.files.get('1.targets.json') ?? ''
    expect(refusal(() => openTrust(new Map([...second.files, ['2.targets.json', targets]])))).toContain('it is version 1, snapshot says 2')
    const timestamp = first.files.get('timestamp.json') ?? ''
    expect(newerTrust(second, new Map([...second.files, ...first.files, ['timestamp.json', timestamp]])).state).toBe('older')
  })

  test('a second version 2 is refused: one of the two was said to somebody else', async () => {
    const other = await changed(first, setLowest('v1.24.8+rfor2'))
    expect(refusal(() => newerTrust(second, other.files))).toContain('another version 2')
  })

  test('one byte more, a member named twice, and more bytes than any are refused', () => {
    const names = [...second.files.keys()]
    for (const name of names) {
      const odd = refusal(() => openTrust(withFile(second.files, name, (text) => text.replace(/"([^"]+)"/, '"$1x"'))))
      expect(odd, name).toContain('untrusted RFO_SIGN_TRUST')
      const twice = refusal(() => openTrust(withFile(second.files, name, (text) => text.replace('{', '{"schema":1,"schema":2,'))))
      expect(twice, name).toContain('untrusted RFO_SIGN_TRUST')
      const huge = refusal(() => openTrust(withFile(second.files, name, (text) => text + ' '.repeat(maxMetadataBytes))))
      expect(huge, name).toContain('untrusted RFO_SIGN_TRUST')
    }
    expect(
      refusal(() => openTrust(withFile(second.files, 'timestamp.json', (text) => text.replace('"meta"', '"meta":{},"meta"')))),
    ).toContain('a member is named twice')
    // other spellings of what is named by its digest
    const snapshot = withFile(second.files, '2.snapshot.json', (text) => `${text}\n`)
    expect(refusal(() => openTrust(snapshot))).toContain('not the file that timestamp names')
    for (const name of names)
      expect(refusal(() => openTrust(new Map([...second.files].filter(([each]) => each !== name))))).not.toBe('taken')
  })

  test('a key that is called another, and a time in another spelling, are refused', async () => {
    const other = newKey()
    const called = { keys: { ...first.says.keys, keys: [{ fingerprint: releaseKey.publicKey.fingerprint, pem: other.publicKey.pem }] } }
    await expect(changed(first, (says) => ({ ...says, ...called }))).rejects.toMatchObject({ code: 'RFO_SIGN_TRUST' })
    expect(
      refusal(() => openTrust(withFile(first.files, 'timestamp.json', (text) => text.replace(/"expires":"[^"]+"/, '"expires":"2099"')))),
    ).toContain('expires')
  })
})

describe('as files', () => {
  test('a folder and an exported file hold the same, and leave nothing behind', async () => {
    const folder = join(scratch, 'written')
    await writeTrust(folder, first.files)
    await writeTrust(folder, second.files, first)
    const read = await readTrustFiles(folder)
    expect(openTrust(read ?? new Map()).files).toEqual(second.files)
    expect((await readdir(folder, { recursive: true })).filter((name) => name.startsWith('.'))).toEqual([])
    await writeFile(join(scratch, 'one.json'), exportText(second))
    expect(await readTrustFiles(join(scratch, 'one.json'))).toEqual(second.files)
    expect(await readTrustFiles(join(scratch, 'absent'))).toBeUndefined()
  })

  test('a run that is killed between two files leaves a folder that reads as before or as after', async () => {
    const other = newKey()
    const to = { root: authority.root, targets: { keys: [other.publicKey], threshold: 1 } }
    for (const files of [second.files, await rotateRoot(first, to, [a, b, targetsKey, other], at)]) {
      const folder = await mkdtemp(join(scratch, 'k'))
      const seen: string[] = []
      // each prefix of the writes, as rename after rename makes it
      const order = inWritingOrder(files, first)
      await writeTrust(folder, first.files)
      await writeTrust(folder, files, first)
      expect(await readTrustFiles(folder)).toEqual(new Map([...first.files, ...order]))
      for (let length = 0; length <= order.length; length += 1) {
        const state = new Map([...first.files, ...order.slice(0, length)])
        seen.push(newerTrust(first, state).state)
      }
      expect([seen[0], seen.at(-1)]).toEqual(['same', 'newer'])
    }
  }, 20_000)

  test('an export in other bytes, with a name that leads out, or too large is refused', async () => {
    const text = exportText(second)
    expect(refusal(() => readExport(`${text}\n`, 'x'))).toContain('canonical')
    expect(refusal(() => readExport(text.replace('"timestamp.json"', '"../timestamp.json"'), 'x'))).toContain('untrusted RFO_SIGN_TRUST')
    expect(refusal(() => readExport(text.replace('{"files"', '{"files":{},"files"'), 'x'))).toContain('named twice')
    expect(refusal(() => readExport(' '.repeat(17 * 1024 * 1024), 'x'))).toContain('longer than')
    await writeFile(join(scratch, 'huge.json'), Buffer.alloc(17 * 1024 * 1024, 32))
    await expect(readTrustFiles(join(scratch, 'huge.json'))).rejects.toMatchObject({ code: 'RFO_SIGN_TRUST' })
    const folder = await mkdtemp(join(scratch, 'odd'))
    await writeTrust(folder, first.files)
    await rm(join(folder, 'timestamp.json'))
    await symlink('/dev/zero', join(folder, 'timestamp.json'))
    await expect(readTrustFiles(folder)).rejects.toMatchObject({ code: 'RFO_SIGN_TRUST' })
  })
})

test('a fingerprint is read aloud in sixteen groups of five digits, which give it back', () => {
  const { fingerprint } = releaseKey.publicKey
  const groups = spokenDigits(fingerprint)?.split(' ') ?? []
  expect(groups.map((group) => group.length)).toEqual(Array(16).fill(5))
  expect(`sha256:${BigInt(groups.join('')).toString(16).padStart(64, '0')}`).toBe(fingerprint)
  expect(spokenDigits('0123456789ABCDEF')).toBeUndefined()
  expect(spokenDigits(`sha256:${'0'.repeat(63)}1`)?.endsWith('00001')).toBe(true)
})

test('nothing private is in it', async () => {
  for (const text of second.files.values()) expect(text).not.toContain('PRIVATE')
  expect(await readFile(new URL('../../src/sign/trust.ts', import.meta.url), 'utf8')).not.toContain('Date.now')
})
