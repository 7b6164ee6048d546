/**
 * What an attacker does to a release folder who has no key: each attempt is refused, with the code that says why. And
 * rfo-verify.cjs, which the release carries, says the same as verify.
 */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { verifyRelease } from '../../src/release/verify/verify.ts'
import { type PublicKey, readPublicKey } from '../../src/sign/key.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, type Ran, root, run, version } from './project.ts'

let project: Project
let made: string
let keyFile: string
let key: PublicKey
let scratch: string

beforeAll(async () => {
  project = await madeProject('riscv64')
  made = join(project.folder, 'dist', version)
  keyFile = join(project.folder, '.rfo/sandbox/cosign.pub')
  key = readPublicKey(await readFile(keyFile, 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-attacks-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

let copies = 0
async function changed(change: (folder: string) => Promise<unknown>): Promise<string> {
  copies += 1
  const folder = join(scratch, String(copies), version)
  await cp(made, folder, { recursive: true })
  await change(folder)
  return folder
}

async function codes(folder: string): Promise<string[]> {
  try {
    const { findings } = await verifyRelease({ folder, keys: [key] })
    return findings.map((finding) => `${finding.exit} ${finding.code}`)
  } catch (thrown) {
    if (thrown instanceof RfoError) return [`${thrown.exit} ${thrown.code}`]
    throw thrown
  }
}

/** Another text of a file. */
async function edit(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(path, 'utf8')
  const other = change(text)
  expect(other).not.toBe(text)
  await rm(path)
  await writeFile(path, other)
}
const bundleOf = async (folder: string): Promise<string> =>
  join(folder, 'evidence', (await readdir(join(folder, 'evidence'))).find((name) => /^[0-9a-f]{64}\.sigstore\.json$/.test(name)) ?? '')

interface Entry {
  readonly digest: string
  readonly annotations?: Record<string, string>
}
async function entries(folder: string, change: (manifests: Entry[]) => Entry[]): Promise<void> {
  await edit(join(folder, 'oci/index.json'), (text) => {
    const index = JSON.parse(text) as { manifests: Entry[] }
    return canonicalJson({ ...index, manifests: change(index.manifests) } as unknown as Json)
  })
}
const named = 'org.opencontainers.image.ref.name'
const blob = (folder: string, digest: string): string => join(folder, 'oci/blobs/sha256', digest.slice('sha256:'.length))

const attacks: Readonly<Record<string, readonly [code: string, attack: (folder: string) => Promise<unknown>]>> = {
  'another image’s signature under this one’s tag': [
    'RFO_SIGN_SUBJECT',
    async (folder) => {
      const [one, two] = (await readPredicate(folder)).images
      const tag = (digest = '') => `${digest.replace(':', '-')}.sig`
      await entries(folder, (manifests) => {
        const of = (name: string) => manifests.find((each) => each.annotations?.[named] === name)
        const [mine, theirs] = [of(tag(one?.digest)), of(tag(two?.digest))]
        return manifests.map((each) =>
          each === mine && theirs !== undefined ? { ...theirs, annotations: { [named]: tag(one?.digest) } } : each,
        )
      })
    },
  ],
  'all signatures stripped': [
    'RFO_VERIFY_ATTACHED',
    (folder) => entries(folder, (manifests) => manifests.filter((each) => each.annotations?.[named]?.startsWith('sha256-') !== true)),
  ],
  'an index of other bytes around the same platform manifests': [
    'RFO_CONTENT_ABSENT',
    async (folder) => {
      const digest = (await readPredicate(folder)).images[0]?.digest ?? ''
      const text = await readFile(blob(folder, digest), 'utf8')
      const other = canonicalJson({ ...JSON.parse(text), annotations: { 'org.opencontainers.image.title': 'x' } })
      await unlink(blob(folder, digest))
      await writeFile(blob(folder, digestOf(other)), other)
    },
  ],
  'a bundle that names its payload twice': [
    'RFO_OCI_JSON',
    async (folder) => edit(await bundleOf(folder), (text) => text.replace('"payload":', '"payload":"AAAA","payload":')),
  ],
  'a bundle with white space': ['RFO_SIGN_BYTES', async (folder) => edit(await bundleOf(folder), (text) => `${text}\n`)],
  'a bundle in other base64': [
    'RFO_SIGN_BYTES',
    async (folder) => edit(await bundleOf(folder), (text) => text.replace(/"payload":"([^"]*?)=*"/, '"payload":"$1===="')),
  ],
  'a statement’s bundle that names its payload twice': [
    'RFO_OCI_JSON',
    (folder) => edit(join(folder, 'evidence/release.sigstore.json'), (text) => text.replace('"payload":', '"payload":"AAAA","payload":')),
  ],
  'a bundle of 100 MB': ['RFO_VERIFY_SIZE', async (folder) => truncate(await bundleOf(folder), 100 << 20)],
  'a statement’s bundle of 1 GB': ['RFO_VERIFY_SIZE', (folder) => truncate(join(folder, 'evidence/release.sigstore.json'), 1 << 30)],
  'an index.json that lists everything twice over': [
    'RFO_OCI_JSON',
    (folder) => edit(join(folder, 'oci/index.json'), (text) => text.replace('"manifests":', '"manifests":[],"manifests":')),
  ],
  'the layout’s mark in other bytes': ['RFO_VERIFY_LAYOUT', (folder) => edit(join(folder, 'oci/oci-layout'), (text) => `${text}\n`)],
  'a link to the same bytes elsewhere': [
    'RFO_VERIFY_KIND',
    async (folder) => {
      await rename(join(folder, 'plan.json'), join(dirname(folder), 'plan.json'))
      await symlink('../plan.json', join(folder, 'plan.json'))
    },
  ],
  'a folder of blobs that is a link': [
    'RFO_VERIFY_KIND',
    async (folder) => {
      await rename(join(folder, 'oci/blobs'), join(dirname(folder), 'blobs'))
      await symlink('../../blobs', join(folder, 'oci/blobs'))
    },
  ],
  'a link among the extras': ['RFO_VERIFY_KIND', (folder) => symlink('/etc/passwd', join(folder, 'evidence/x'))],
  'a file beside the blobs': ['RFO_VERIFY_EXTRA', (folder) => writeFile(join(folder, 'oci/blobs/sha256', hex(digestOf('x'))), 'x')],
}

describe('a release folder', () => {
  test.each(Object.entries(attacks).map(([name, [code, attack]]) => [name, code, attack] as const))('%s: %s', async (_, code, attack) => {
    const folder = await changed(attack)
    const found = await codes(folder)
    expect(found).toContain(`untrusted ${code}`)
    expect(
      found.every((each) => each.startsWith('untrusted ')),
      found.join(),
    ).toBe(true)
    await rm(dirname(folder), { recursive: true })
  })
})

describe('rfo-verify.cjs', () => {
  /** Without anything around it: no packages, no sources, no environment. */
  const alone = (argv: readonly string[], cwd = scratch): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [join(made, 'rfo-verify.cjs'), ...argv], { cwd, env: {} }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      )
    })

  test('says what verify says: text, JSON, language, exit codes', async () => {
    const flipped = await changed((folder) => edit(join(folder, 'RELEASE.md'), (text) => `${text} `))
    for (const argv of [
      [made, '--key', keyFile, '--expect', version],
      [made, '--key', keyFile, '--json'],
      [made, '--key', keyFile, '--lang', 'zh'],
      [made],
      [flipped, '--key', keyFile],
    ]) {
      const [one, all] = [await alone(argv), await run(scratch, ['verify', ...argv])]
      expect(one).toEqual(all)
      expect([0, 3, 5]).toContain(one.code)
    }
    expect((await alone([flipped, '--key', keyFile])).code).toBe(3)
    expect((await alone(['verify', made, '--key', keyFile])).code).toBe(0)
    expect((await alone(['--no-such-flag'])).code).toBe(2)
  })

  test('is named in both notes by its digest, holds licences, and no path of the machine that made it', async () => {
    const bytes = await readFile(join(made, 'rfo-verify.cjs'))
    for (const notes of ['RELEASE.md', 'RELEASE.zh.md'])
      expect(await readFile(join(made, notes), 'utf8')).toContain(`\`${hex(digestOf(bytes))}\``)
    const text = bytes.toString('utf8')
    for (const name of ['rfo-build, Apache-2.0', 'openpgp 6', '@sigstore/verify 4', 'zod 4']) expect(text).toContain(name)
    expect(text).not.toContain(root)
    expect(text).not.toMatch(/require\("(?!node:|fs\/promises|timers\/promises)[^"]*\/[^"]*"\)/)
  })
})
