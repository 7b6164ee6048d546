/** `release --unsigned`, then `sign` elsewhere: the same release as with a key at hand, and nothing signed that was not checked. */
import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { checkUnsigned } from '../../src/release/check-unsigned.ts'
import { releaseStatement } from '../../src/release/predicate.ts'
import { signatureSuffix } from '../../src/release/signed-paths.ts'
import { driverFolder, makeToken, pin, skipTokens } from '../sign/token.ts'
import { readPredicate } from './form.ts'
import { type Project, type Ran, root as repository, run, smallProject, version } from './project.ts'

let project: Project
let scratch: string
/** what was made with the keys at hand */
let whole: string
/** what was made without, kept aside */
let unsigned: string
let handover: string
let wholeRoot: string

const files = ['cosign.key', 'sm2.key', 'pgp.key']
const keyFlags = (): string[] => files.flatMap((name) => ['--sign-key', join(scratch, 'keys', name)])
const at = (name: string): string[] => ['--store', join(scratch, name, 'store'), '--out', join(scratch, name, 'dist'), '--progress', 'none']
const dist = (name: string): string => join(scratch, name, 'dist')

beforeAll(async () => {
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-sign-'))
  const argv = ['release', version, '--sandbox', '--platform', 'amd64']
  const first = await run(project.folder, [...argv, ...at('whole')])
  expect(first.stderr).toBe('')
  wholeRoot = first.stdout.trim()
  whole = join(dist('whole'), version)
  await cp(join(scratch, 'whole/store/sandbox'), join(scratch, 'keys'), { recursive: true })
  // the sandbox's key is named in the statement: another store gets the same
  await cp(join(scratch, 'keys'), join(scratch, 'maker/store/sandbox'), { recursive: true })
  const second = await run(project.folder, [...argv, ...at('maker'), '--unsigned', '--json'])
  expect(second.stderr).toBe('')
  const said = JSON.parse(second.stdout) as { root: string; unsigned: string }
  expect(said.root).toBe(wholeRoot)
  handover = said.unsigned
  unsigned = join(dist('maker'), `${version}.unsigned`)
}, 300_000)
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** The folder as another machine gets it. */
async function carried(name: string): Promise<string> {
  const folder = join(dist(name), `${version}.unsigned`)
  await mkdir(dist(name), { recursive: true })
  await cp(unsigned, folder, { recursive: true })
  return folder
}

/** Without network where the kernel lets us, and without any program on the PATH. */
function signAlone(name: string, more: readonly string[] = []): Promise<Ran> {
  const argv = [process.execPath, join(repository, 'bin/rfo-build.js'), 'sign', version, ...keyFlags(), ...at(name), ...more]
  const [program = '', ...args] = process.getuid?.() === 0 ? ['unshare', '-n', ...argv] : argv
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { cwd: scratch, env: { PATH: program === 'unshare' ? '/usr/bin:/bin' : '', HOME: scratch } },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

async function every(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

test('what is not signed is no release: it says so itself, holds no key and no signature, and verify does not decide', async () => {
  const paths = await every(unsigned)
  expect(paths.filter((path) => signatureSuffix(path) !== '' || path.startsWith('trust/') || path.includes('RPM-GPG-KEY'))).toEqual([])
  expect(await readFile(join(unsigned, 'UNSIGNED'), 'utf8')).toContain('not for use')
  expect(
    JSON.parse(await readFile(join(unsigned, 'oci/index.json'), 'utf8')).manifests.every((one: object) => !('artifactType' in one)),
  ).toBe(true)
  expect(digestOf(await readFile(join(unsigned, 'evidence/unsigned.json')))).toBe(handover)
  const verified = await run(project.folder, ['verify', unsigned, '--key', join(scratch, 'keys/cosign.pub')])
  expect(verified.code).toBe(5)
  expect(verified.stderr).toMatch(/RFO_VERIFY_UNSIGNED: .*; next: rfo-build sign .*\.unsigned --sign-key/)
})

describe('signed elsewhere, by the same keys', () => {
  let signed: string
  beforeAll(async () => {
    await carried('signer')
    const ran = await signAlone('signer', ['--expect', handover, '--json'])
    expect(ran.stderr).toBe('')
    signed = join(dist('signer'), version)
    expect(JSON.parse(ran.stdout)).toMatchObject({
      schema: 'rfo-build.sign/1',
      ok: true,
      version,
      root: wholeRoot,
      folder: signed,
      unchanged: false,
    })
    expect(await readdir(dist('signer'))).toEqual([version])
  }, 300_000)

  test('it verifies, and every file is the one of the release that had a key, but for the randomness of signatures', async () => {
    const verified = await run(project.folder, ['verify', signed, '--key', join(scratch, 'keys/cosign.pub'), '--expect', version])
    expect(verified.code).toBe(0)
    expect(verified.stdout.trim().split('\n').at(-1)).toContain(wholeRoot)
    const [mine, theirs] = await Promise.all([signed, whole].map(contentOf))
    expect(mine?.random).toEqual(theirs?.random)
    expect(mine?.same).toEqual(theirs?.same)
    expect(Object.keys(mine?.same ?? {}).length).toBeGreaterThan(100)
  })

  test('a second time there is nothing to do; by another key it is refused', async () => {
    const before = await readFile(join(signed, 'evidence/release.sigstore.json'), 'utf8')
    const again = await run(project.folder, ['sign', version, ...keyFlags(), ...at('signer')])
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(new RegExp(`^${wholeRoot}\nsha256:[0-9a-f]{64}\n$`)), stderr: '' })
    expect(await readFile(join(signed, 'evidence/release.sigstore.json'), 'utf8')).toBe(before)
    expect((await run(scratch, ['keys', 'generate', '--dir', 'other'])).code).toBe(0)
    const other = await run(project.folder, ['sign', version, '--sign-key', join(scratch, 'other/rfo.key'), ...at('signer')])
    expect(other.code).toBe(3)
  })
})

/** Contents by name. Of what is random: which files there are, and what each bundle signs. */
async function contentOf(folder: string): Promise<{ same: Record<string, string>; random: string[] }> {
  const trust = digestOf(await readFile(join(folder, 'trust/trust.json')))
  const same: Record<string, string> = {}
  const random: string[] = []
  for (const path of await every(folder)) {
    const bytes = await readFile(join(folder, path))
    const text = bytes.toString('latin1')
    const general = path.replace(trust.slice('sha256:'.length), '<trust.json>')
    if (path.endsWith('.prov') || path.endsWith('.asc'))
      same[general] = text // RSA: no randomness
    else if (text.startsWith('{') && text.includes('"verificationMaterial"'))
      random.push(`bundle ${/^oci\//.test(path) ? 'blob' : general} ${payloadOf(bytes, trust)}`)
    else if (/^oci\/blobs/.test(path) && /dev\.sigstore|dev\.cosignproject|"payloadType"|0001-01-01T00:00:00Z/.test(text))
      random.push('carrier')
    else if (signatureSuffix(path) !== '' || path === 'trust/trust.json') random.push(general)
    else if (path === 'oci/index.json') random.push(`index of ${JSON.parse(text).manifests.length}`)
    else if (path === 'evidence/release.json') same[path] = digestOf(releaseStatement(withoutTrust(await readPredicate(folder))))
    else same[general] = digestOf(bytes)
  }
  return { same, random: random.sort() }
}

function withoutTrust<T extends { readonly files: readonly { readonly path: string }[] }>(predicate: T): T {
  return { ...predicate, files: predicate.files.filter(({ path }) => path !== 'trust/trust.json') }
}

function payloadOf(bundle: Buffer, trust: string): string {
  const { dsseEnvelope, messageSignature } = JSON.parse(bundle.toString('utf8'))
  if (dsseEnvelope === undefined) return messageSignature.messageDigest.digest
  const statement = JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString('utf8'))
  if (statement.predicateType.includes('/release/')) return 'the release'
  return digestOf(JSON.stringify(statement).replaceAll(trust.slice('sha256:'.length), '<trust.json>'))
}

describe('what was changed on its way is not signed', () => {
  /** Gives the codes of what was found. */
  async function refusal(change: (folder: string) => Promise<void>, expect_?: string): Promise<string[]> {
    const folder = await mkdtemp(join(scratch, 'changed-'))
    await cp(unsigned, folder, { recursive: true })
    await change(folder)
    const thrown = await checkUnsigned(folder, expect_ as Digest | undefined).then(
      () => [],
      (error: unknown) => (error instanceof AggregateError ? error.errors : [error]),
    )
    await rm(folder, { recursive: true })
    for (const error of thrown) expect(error.exit).toBe('untrusted')
    return [...new Set(thrown.map((error: { code: string; where: string }) => `${error.code} ${error.where}`))] as string[]
  }
  const rewrite = async (path: string, change: (text: string) => string): Promise<void> => {
    const text = await readFile(path, 'utf8')
    expect(change(text)).not.toBe(text)
    await rm(path)
    await writeFile(path, change(text))
  }
  const provenance = 'evidence/unsigned/images/pause.linux-amd64.json'
  /** By somebody who also makes the hand-over fit; only the digest that the other job told shows it. */
  const fitting = async (folder: string, change: (text: string) => string): Promise<void> => {
    await rewrite(join(folder, provenance), change)
    const bytes = await readFile(join(folder, provenance))
    await rewrite(join(folder, 'evidence/unsigned.json'), (text) => {
      const value = JSON.parse(text)
      value.provenances[provenance] = { digest: digestOf(bytes), size: bytes.length }
      return JSON.stringify(value)
    })
  }

  test('untouched, it is as it should be', async () => {
    expect(await refusal(async () => {}, handover)).toEqual([])
  })

  test('a file, an SBOM, a blob, a list, the plan', async () => {
    expect(await refusal((folder) => rewrite(join(folder, 'install-rfo.sh'), (text) => `${text} `))).toEqual([
      'RFO_VERIFY_FILE install-rfo.sh',
    ])
    const sbom = 'sbom/pause.linux-amd64.cdx.json'
    expect(await refusal((folder) => rewrite(join(folder, sbom), (text) => text.replace('1.6', '1.5')))).toContain(
      `RFO_VERIFY_FILE ${sbom}`,
    )
    const [blob = ''] = await readdir(join(unsigned, 'oci/blobs/sha256'))
    expect(await refusal((folder) => rewrite(join(folder, 'oci/blobs/sha256', blob), (text) => `${text}x`))).toEqual([
      `RFO_VERIFY_BLOB oci/blobs/sha256/${blob}`,
    ])
    const list = 'sha256sum-amd64.txt'
    expect(await refusal((folder) => rewrite(join(folder, list), (text) => text.replace(/^./, 'x')))).toContain(
      `RFO_VERIFY_CHECKSUMS ${list}`,
    )
    expect(await refusal((folder) => rewrite(join(folder, 'plan.json'), (text) => text.replace('"epoch":', '"epoch":1')))).toEqual(
      expect.arrayContaining(['RFO_SIGN_HANDOVER plan.json', 'RFO_VERIFY_FILE plan.json']),
    )
  })

  test('something more, something less, a link', async () => {
    expect(await refusal((folder) => writeFile(join(folder, 'more'), ''))).toEqual(['RFO_VERIFY_EXTRA more'])
    expect(await refusal((folder) => rm(join(folder, 'rfo.linux-amd64')))).toEqual(['RFO_VERIFY_MISSING rfo.linux-amd64'])
    expect(await refusal((folder) => rm(join(folder, provenance)))).toEqual([`RFO_VERIFY_MISSING ${provenance}`])
    const linked = async (folder: string): Promise<void> => {
      await rename(join(folder, 'verify.sh'), join(scratch, 'verify.sh'))
      await symlink(join(scratch, 'verify.sh'), join(folder, 'verify.sh'))
    }
    expect(await refusal(linked)).toEqual(expect.arrayContaining(['RFO_VERIFY_KIND verify.sh']))
  })

  test('the statement, and a provenance about another image or with other words', async () => {
    expect(
      await refusal((folder) => rewrite(join(folder, 'evidence/release.json'), (text) => text.replace('"epoch":', '"epoch":1'))),
    ).toEqual(['RFO_SIGN_HANDOVER evidence/release.json'])
    expect(
      await refusal((folder) => rewrite(join(folder, provenance), (text) => text.replace(/buildtypes\/\w+/, 'buildtypes/other'))),
    ).toEqual([`RFO_SIGN_HANDOVER ${provenance}`])
    expect(await refusal((folder) => fitting(folder, (text) => text.replace('"component":"pause"', '"component":"other"')))).toEqual([
      `RFO_SIGN_HANDOVER ${provenance}`,
    ])
    const words = (folder: string) => fitting(folder, (text) => text.replace('"builder":{"id":"https://', '"builder":{"id":"http://'))
    expect(await refusal(words)).toEqual([])
    expect(await refusal(words, handover)).toEqual(['RFO_SIGN_HANDOVER evidence/unsigned.json'])
  })

  test('the command says so, signs nothing and lays nothing out', async () => {
    const folder = await carried('refused')
    await writeFile(join(folder, 'more'), '')
    const ran = await run(scratch, ['sign', version, ...keyFlags(), ...at('refused')])
    expect(ran.code).toBe(3)
    expect(await readdir(dist('refused'))).toEqual([`${version}.unsigned`])
    expect((await readdir(join(scratch, 'refused/store/tags'))).filter((name) => name.startsWith('signature-'))).toEqual([])
  })
})

test('killed at random moments, it keeps every signature that it made', async () => {
  await carried('killed')
  const argv = ['sign', version, ...keyFlags(), ...at('killed')]
  const tags = join(scratch, 'killed/store/tags')
  const made = async (): Promise<Record<string, string>> => {
    const names = (await readdir(tags).catch(() => [])).filter((name) => name.startsWith('signature-'))
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(tags, name), 'utf8')] as const)))
  }
  let before: Record<string, string> = {}
  for (const enough of [1, 20, 60]) {
    const child = spawn(process.execPath, [join(repository, 'bin/rfo-build.js'), ...argv], {
      cwd: scratch,
      stdio: 'ignore',
      env: { PATH: '', HOME: scratch },
    })
    const ended = new Promise((resolve) => child.on('exit', resolve))
    // a blow as soon as there are so many: moments that no clock of a busy machine moves
    while (child.exitCode === null && Object.keys(await made()).length < enough) await new Promise((resolve) => setTimeout(resolve, 5))
    child.kill('SIGKILL')
    await ended
    const now = await made()
    expect(now).toMatchObject(before)
    expect(Object.keys(now).length).toBeGreaterThanOrEqual(enough)
    before = now
  }
  expect(await run(scratch, argv)).toMatchObject({ code: 0, stderr: '' })
  expect(await made()).toMatchObject(before)
  const verified = await run(scratch, ['verify', join(dist('killed'), version), '--key', join(scratch, 'keys/cosign.pub')])
  expect(verified.code).toBe(0)
}, 180_000)

test.skipIf(skipTokens)('a token signs: its PIN from the environment, and a wrong one is refused', async () => {
  await carried('token')
  const token = makeToken(join(scratch, 'softhsm'))
  const argv = ['sign', version, '--sign-key', token.uri, ...at('token')]
  const wrong = await run(scratch, argv, { ...token.env, RFO_KEY_PASSWORD: 'wrong-pin-7139' })
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('RFO_SIGN_PASSWORD') })
  expect(wrong.stderr).not.toContain('7139')
  const value = await run(scratch, ['sign', version, '--sign-key', `${token.uri}&pin-value=${pin}`, ...at('token')], token.env)
  expect(value.code).toBe(2)
  expect(value.stderr).not.toContain(pin)
  const ran = await run(scratch, argv, { ...token.env, RFO_KEY_PASSWORD: pin })
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(ran.stdout.split('\n')[0]).toBe(wholeRoot)
  await writeFile(join(scratch, 'token.pub'), token.publicPem)
  const verified = await run(scratch, ['verify', join(dist('token'), version), '--key', join(scratch, 'token.pub')])
  // stand-ins, signed by a key that is not the sandbox's own: that alone is wrong with it
  expect(verified).toMatchObject({ code: 4, stderr: expect.stringMatching(/^rfo-build: RFO_VERIFY_SANDBOX: [^\n]*\n$/) })
  expect(driverFolder).toBeDefined()
})
