/** What trust metadata says of a release, each of verify's claims about it made false. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type VerifyReport, verifyRelease } from '../../src/release/verify/verify.ts'
import { generateKey, type PublicKey, readPublicKey } from '../../src/sign/key.ts'
import { spokenDigits } from '../../src/sign/spoken.ts'
import { newerTrust, openTrust, type Trust } from '../../src/sign/trust.ts'
import { makeTrust } from '../../src/sign/trust-edit.ts'
import { exportText, writeTrust } from '../../src/sign/trust-files.ts'
import {
  addKey,
  addOtherKey,
  type Change,
  closeKey,
  nothingSaid,
  revokeKey,
  setLowest,
  type Window,
  withdraw,
} from '../../src/sign/trust-targets.ts'
import { a, at, authority, b, changed, now, targetsKey } from '../sign/trust-state.ts'
import { madeProject, type Project, run, version } from './project.ts'

let project: Project
let made: string
let key: PublicKey
let trust: Trust
let scratch: string
const argv = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none']

beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  trust = await naming(key)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-verify-trust-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

async function naming(who: PublicKey, window?: Window, by = authority): Promise<Trust> {
  return openTrust(await makeTrust(by, addKey(who, window)(nothingSaid), [a, b, targetsKey], at))
}

async function judged(by: Trust, time = now, folder = made): Promise<VerifyReport> {
  return await verifyRelease({ folder, keys: [], trust: by, at: time })
}

const told = (report: VerifyReport): string[] => report.findings.map((finding) => `${finding.exit} ${finding.code}`)
const claimed = (report: VerifyReport): string[] => report.claims.map((claim) => claim.name)
const after = async (change: Change): Promise<string[]> => told(await judged(await changed(trust, change)))

test('a release whose key trust metadata names is verified', async () => {
  const report = await judged(trust)
  expect(told(report)).toEqual([])
  expect(claimed(report)).toEqual(expect.arrayContaining(['authorized', 'current', 'fresh', 'statement', 'trust']))
})

test('a release of a revoked key is refused', async () => {
  const revoked = await changed(trust, revokeKey(key.fingerprint, '2026-10-01T00:00:00Z', 'stolen\u001b[2J'))
  const report = await judged(revoked)
  expect(told(report)).toEqual(['untrusted RFO_VERIFY_REVOKED'])
  expect(claimed(report)).not.toContain('authorized')
  expect(report.findings[0]?.message).not.toContain('\u001b')
  // given by hand, it is revoked all the same
  const given = await verifyRelease({ folder: made, keys: [key], trust: revoked, at: now })
  expect(told(given)).toEqual(['untrusted RFO_VERIFY_REVOKED'])
})

test('a release of another time than its key’s is refused, and of another key', async () => {
  expect(await after(closeKey(key.fingerprint, '2022-01-01T00:00:00Z'))).toEqual(['untrusted RFO_VERIFY_PERIOD'])
  expect(await after(closeKey(key.fingerprint, '2026-01-01T00:00:00Z'))).toEqual([])
  expect(told(await judged(await naming(key, { from: '2026-01-01T00:00:00Z' })))).toEqual(['untrusted RFO_VERIFY_PERIOD'])
  const other = await naming(readPublicKey(generateKey().publicPem))
  await expect(judged(other)).rejects.toMatchObject({ exit: 'untrusted', code: 'RFO_SIGN_UNKNOWN' })
})

test('keys of SM2 and PGP have their times too, are revoked, and once one is named no other counts', async () => {
  const { claims } = await judged(trust)
  const of = (kind: 'sm2' | 'pgp') => ({ kind, fingerprint: String(claims.find(({ name }) => name === kind)?.values['fingerprint']) })
  const [sm2, pgp] = [of('sm2'), of('pgp')]
  const late = { from: '2026-01-01T00:00:00Z' }
  for (const one of [sm2, pgp]) {
    const report = await judged(await changed(trust, addOtherKey(one, late)))
    expect(told(report)).toEqual(['untrusted RFO_VERIFY_PERIOD'])
    expect(claimed(report)).not.toContain(one.kind)
    expect(await after(revokeKey(one.fingerprint, '2026-10-01T00:00:00Z', 'lost'))).toEqual(['untrusted RFO_VERIFY_REVOKED'])
  }
  const named: Change = (says) => addOtherKey(pgp)(addOtherKey(sm2)(says))
  expect(await after(named)).toEqual([])
  expect(await after((says) => closeKey(pgp.fingerprint, '2022-01-01T00:00:00Z')(named(says)))).toEqual(['untrusted RFO_VERIFY_PERIOD'])
  expect(await after(addOtherKey({ kind: 'pgp', fingerprint: 'AB'.repeat(20) }))).toEqual(['untrusted RFO_VERIFY_KEY'])
  await expect(changed(trust, addOtherKey({ kind: 'sm2', fingerprint: key.fingerprint }))).rejects.toMatchObject({ code: 'RFO_SIGN_TRUST' })
})

test('a withdrawn release is refused, and one below the lowest of its line', async () => {
  expect(await after(withdraw(version, 'pods lose their network', 'v1.24.8+rfor2'))).toEqual(['condition RFO_VERIFY_WITHDRAWN'])
  expect(await after(setLowest('v1.24.8+rfor2'))).toEqual(['condition RFO_VERIFY_DOWNGRADE'])
  expect(await after(setLowest(version))).toEqual([])
  expect(await after(setLowest('v1.25.4+rfor1'))).toEqual([])
  const report = await judged(await changed(trust, withdraw(version, 'x')))
  expect(claimed(report)).not.toContain('current')
})

test('expired metadata decides nothing, and still revokes', async () => {
  const late = now + 401 * 86_400_000
  const report = await judged(trust, late)
  expect(told(report)).toEqual(['undecided RFO_VERIFY_EXPIRED'])
  expect(claimed(report)).not.toContain('fresh')
  const revoked = await changed(trust, revokeKey(key.fingerprint, '2026-10-01T00:00:00Z', 'stolen'))
  expect(told(await judged(revoked, late))).toContain('untrusted RFO_VERIFY_REVOKED')
})

test('a clock before the release’s own time decides nothing', async () => {
  const report = await verifyRelease({ folder: made, keys: [key], at: Date.parse('2020-01-01T00:00:00Z') })
  expect(told(report)).toEqual(['undecided RFO_VERIFY_CLOCK'])
})

test('a project’s metadata is carried by its releases, and newer one counts for whoever has older', async () => {
  const signing = join(project.folder, '.rfo/sandbox/cosign.key')
  const unnamed = await naming(readPublicKey(generateKey().publicPem))
  await writeTrust(join(scratch, 'unnamed'), unnamed.files)
  const refused = await run(project.folder, [...argv, '--sign-key', signing, '--trust', join(scratch, 'unnamed')])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('RFO_CLI_KEY')])

  // whoever has the first version does not know the key yet
  const known = unnamed
  const newer = await changed(known, addKey(key))
  await writeTrust(join(project.folder, 'trust'), newer.files)
  expect((await run(project.folder, [...argv, '--sign-key', signing, '--out', 'with'])).code).toBe(0)
  const folder = join(project.folder, 'with', version)
  expect(await readFile(join(folder, 'trust/trust.json'), 'utf8')).toBe(exportText(newer))
  expect(told(await judged(known, now, folder))).toEqual([])
  expect(told(await judged(newerTrust(newer, (await changed(newer, setLowest(version))).files).trust, now, folder))).toEqual([])
  expect(claimed(await judged(known, now, folder))).toContain('trust')

  // the same roots' work, and another's
  const other = await mkdtemp(join(scratch, 'other'))
  await cp(folder, other, { recursive: true })
  await writeFile(join(other, 'trust/trust.json'), exportText(await naming(key, {}, { ...authority, targets: authority.root })))
  expect(told(await judged(newer, now, other))).toContain('untrusted RFO_SIGN_TRUST')
  await rm(join(project.folder, 'trust'), { recursive: true })

  const verified = await run(project.folder, [
    'verify',
    'with/' + version,
    '--trust',
    join(folder, 'trust/trust.json'),
    '--at',
    '2026-11-20',
  ])
  expect([verified.code, verified.stderr]).toEqual([0, ''])
})

test('with neither key nor metadata the digits of its keys are told, and where to compare them', async () => {
  const { code, stderr } = await run(project.folder, ['verify', version])
  expect(code).toBe(5)
  expect(stderr).toContain(`trust/cosign.pub: ${key.fingerprint}\n  ${spokenDigits(key.fingerprint)}\n`)
  expect(stderr).toContain('https://gitee.com/rfolabs/rfo')
  expect(stderr).toContain('trust/sm2.pub')
})
