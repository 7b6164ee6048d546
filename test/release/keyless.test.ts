/** A release that is signed without a key too: made by the real program, each of verify's claims about it made false. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { checkedRelease } from '../../src/release/attach-test.ts'
import { trustedAlone, verifyImages } from '../../src/release/verify/images.ts'
import { type VerifyReport, verifyRelease } from '../../src/release/verify/verify.ts'
import { type TrustedIdentity, trustedIdentity } from '../../src/sign/identity.ts'
import { generateKey, type PublicKey, readPublicKey, readSigningKey } from '../../src/sign/key.ts'
import { keylessSigner } from '../../src/sign/keyless.ts'
import { readSigningConfig } from '../../src/sign/signing-config.ts'
import { readTrustedRoot } from '../../src/sign/trusted-root.ts'
import { builder, type Sigstore, startSigstore } from '../sign/sigstore-services.ts'
import { readPredicate } from './form.ts'
import { type Project, type Ran, run, smallProject, version } from './project.ts'

const bundle = 'evidence/release.keyless.sigstore.json'
let project: Project
let services: Sigstore
let key: PublicKey
let made: string
let first: Ran
let token: string
let trusted: TrustedIdentity
let scratch: string

const signKey = (): string =>
  `keyless:?identity=${builder}&issuer=${encodeURIComponent(services.issuer)}&signing-config=services.json&trusted-root=root.json`
const release = (out: string, env: Record<string, string> = {}, ...more: string[]): Promise<Ran> =>
  run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--out', out, '--progress', 'json', ...more], env)
const told = (report: VerifyReport): string[] => report.findings.map((finding) => `${finding.exit} ${finding.code} ${finding.where}`)

beforeAll(async () => {
  project = await smallProject()
  services = await startSigstore()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-keyless-'))
  await writeFile(join(project.folder, 'services.json'), services.config())
  await writeFile(join(project.folder, 'root.json'), JSON.stringify(services.root))
  token = services.token()
  first = await release('dist', { SIGSTORE_ID_TOKEN: token }, '--sign-key', signKey())
  expect(first.code, first.stderr.slice(-2000)).toBe(0)
  made = join(project.folder, 'dist', version)
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  trusted = trustedIdentity(builder, services.issuer, readTrustedRoot(JSON.stringify(services.root)))
})
afterAll(async () => {
  await services.close()
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

async function changed(change: (folder: string) => Promise<void>, identity?: TrustedIdentity): Promise<VerifyReport> {
  const folder = await mkdtemp(join(scratch, 'r'))
  await cp(made, folder, { recursive: true })
  await change(folder)
  return await verifyRelease({ folder, keys: [key], ...(identity && { identity }) })
}

test('is verified by its own word and by whom one expects; the claim says who, by whom, by which root', async () => {
  for (const identity of [undefined, trusted]) {
    const report = await verifyRelease({ folder: made, keys: [key], ...(identity && { identity }) })
    expect(told(report)).toEqual([])
    const { values } = report.claims.find((claim) => claim.name === 'keyless') ?? {}
    expect(values).toMatchObject({ identity: builder, issuer: services.issuer, root: trusted.root.digest })
    expect(values?.count).toBeGreaterThan(5)
  }
  const argv = [
    'verify',
    made,
    '--key',
    '.rfo/sandbox/cosign.pub',
    '--issuer',
    services.issuer,
    '--trusted-root',
    'root.json',
    '--lang',
    'en',
  ]
  const ran = await run(project.folder, [...argv, '--identity', builder])
  expect([ran.code, ran.stdout.includes(`are signed by ${builder} too`)]).toEqual([0, true])
  expect((await run(project.folder, [...argv, '--identity', 'another@rfo.test'])).code).toBe(3)
})

test('a keyless bundle by another identity is refused', async () => {
  const where = `untrusted RFO_SIGN_IDENTITY ${bundle}`
  expect(told(await changed(async () => {}, { ...trusted, identity: 'another@rfo.test' }))).toContain(where)
  const another = keylessSigner({
    trusted: { ...trusted, identity: 'another@rfo.test' },
    services: readSigningConfig(services.config(), Date.now()),
    token: () => Promise.resolve(services.token('another@rfo.test')),
    now: Date.now,
  })
  const report = await changed(async (folder) => {
    await writeFile(join(folder, bundle), await another.sign(await readFile(join(folder, 'evidence/release.json'))))
  })
  expect(told(report)).toEqual([where])
  expect(report.claims.map((claim) => claim.name)).not.toContain('keyless')
})

test('a bundle that is gone, and one by another issuer than expected, are found', async () => {
  expect(told(await changed((folder) => rm(join(folder, bundle))))).toEqual([`untrusted RFO_VERIFY_MISSING ${bundle}`])
  const issuer = 'https://oidc.another.test'
  expect(told(await changed(async () => {}, { ...trusted, issuer }))).toContain(`untrusted RFO_SIGN_ISSUER ${bundle}`)
})

test('a rerun keeps what was signed, and asks for no token', async () => {
  const asked = services.asked.length
  await rm(made, { recursive: true })
  const again = await release('dist', {}, '--sign-key', signKey())
  expect([again.code, again.stdout]).toEqual([0, first.stdout])
  expect(services.asked).toHaveLength(asked)
  expect(told(await verifyRelease({ folder: made, keys: [key], identity: trusted }))).toEqual([])
})

describe('a release without', () => {
  let plain: string
  beforeAll(async () => {
    expect(await release('plain')).toMatchObject({ code: 0, stdout: first.stdout }) // the root covers no signature
    plain = join(project.folder, 'plain', version)
  })

  test('is no release of that identity: nothing can be decided', async () => {
    const argv = ['verify', plain, '--key', '.rfo/sandbox/cosign.pub', '--issuer', services.issuer, '--trusted-root', 'root.json']
    const ran = await run(project.folder, [...argv, '--identity', builder])
    expect([ran.code, ran.stderr.includes('RFO_VERIFY_KEYLESS')]).toEqual([5, true])
  })

  test('has images that the identity did not sign, and one with has no others', async () => {
    const check = async (folder: string, identity?: TrustedIdentity) =>
      (await verifyImages(folder, await readPredicate(folder), { ...trustedAlone(key), ...(identity && { identity }) })).findings.map(
        ({ code }) => code,
      )
    expect(new Set(await check(plain, trusted))).toEqual(new Set(['RFO_VERIFY_ATTACHED']))
    expect(await check(plain)).toEqual([])
    expect(new Set(await check(made))).toEqual(new Set(['RFO_SIGN_FORM']))
  })
})

test('a candidate that was signed without a key too is taken by the release’s key', async () => {
  const file = join(project.folder, 'pipelines/release.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, stringify({ ...parse(text), demands: { conformance: ['linux/amd64'] } }))
  const ran = await release('wanting', { SIGSTORE_ID_TOKEN: token }, '--sign-key', signKey())
  await writeFile(file, text)
  expect(ran.code, ran.stderr.slice(-2000)).toBe(5)
  const candidate = join(project.folder, 'wanting', `${version}.candidate`)
  const own = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  expect((await checkedRelease(candidate, own)).version).toBe(version)
  // by another key there is nothing that holds
  await expect(checkedRelease(candidate, readSigningKey(generateKey().privatePem))).rejects.toMatchObject({ exit: 'untrusted' })
})

test('the token is in no output, no log, no result', async () => {
  expect(first.stdout + first.stderr).not.toContain(token)
  const holds: string[] = []
  for (const entry of await readdir(project.folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && (await readFile(join(entry.parentPath, entry.name))).includes(token)) holds.push(entry.name)
  }
  expect(holds).toEqual([])
})

test.each([
  [['--sign-key', 'keyless:?identity=a@b.test'], 'RFO_CLI_KEY'],
  [['--sign-key', 'keyless:?token=secret'], 'RFO_CLI_KEY'],
  [['--sign-key', `keyless:?identity=.*&issuer=https://a.test&signing-config=services.json&trusted-root=root.json`], 'RFO_SIGN_PATTERN'],
  [['--sign-key', `keyless:?identity=a@b.test&issuer=https://a.test&signing-config=root.json&trusted-root=root.json`], 'RFO_SIGN_SERVICES'],
])('%j is wrong usage', async (more, code) => {
  const ran = await release('none', {}, ...more)
  expect([ran.code, ran.stderr.includes(code)]).toEqual([2, true])
})

test('an identity is expected whole: with issuer and trusted root', async () => {
  const ran = await run(project.folder, ['verify', made, '--key', '.rfo/sandbox/cosign.pub', '--identity', builder])
  expect([ran.code, ran.stderr.includes('RFO_CLI_VALUE')]).toEqual([2, true])
})
