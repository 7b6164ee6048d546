/** Each claim of `verify`, made false: test/release/claims.test.ts holds the claims against the names here. */
import { link, mkdir, mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { isRooted, rootDigest, rootIndex } from '../../src/release/root.ts'
import { type VerifyReport, verifyRelease } from '../../src/release/verify/verify.ts'
import { signBlob, signStatement } from '../../src/sign/bundle.ts'
import { generateKey, type PublicKey, readPublicKey, readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { copyFolder, madeProject, type Project, run, version } from './project.ts'
import { resigned } from './resigned.ts'

let project: Project
let made: string
let key: PublicKey
let privateKey: SigningKey
let scratch: string

beforeAll(async () => {
  project = await madeProject('amd64,riscv64')
  made = join(project.folder, 'dist', version)
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  privateKey = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-verify-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

let copies = 0
/** A copy of the release with its own bytes (no links), changed. */
async function changed(change: (folder: string) => Promise<unknown>): Promise<string> {
  copies += 1
  const folder = join(scratch, String(copies))
  await copyFolder(made, folder)
  await change(folder)
  return folder
}

async function codes(folder: string, keys: readonly PublicKey[] = [key], expected?: string): Promise<string[]> {
  try {
    const report = await verifyRelease({ folder, keys, ...(expected === undefined ? {} : { expect: expected }) })
    return report.findings.map((finding) => `${finding.exit} ${finding.code}`)
  } catch (thrown) {
    if (thrown instanceof RfoError) return [`${thrown.exit} ${thrown.code}`]
    throw thrown
  }
}

async function flip(file: string, at?: number): Promise<void> {
  const bytes = await readFile(file)
  const place = at ?? Math.floor(bytes.length / 2)
  bytes[place] = (bytes[place] ?? 0) ^ 1
  await writeFile(file, bytes)
}

async function blobOf(folder: string, pick: (value: { readonly [key: string]: Json }) => boolean): Promise<string> {
  const blobs = join(folder, 'oci/blobs/sha256')
  for (const name of (await readdir(blobs)).sort()) {
    const bytes = await readFile(join(blobs, name))
    if (bytes[0] !== 0x7b || bytes.length > 1 << 20) continue
    if (pick(JSON.parse(bytes.toString('utf8')) as { readonly [key: string]: Json })) return join(blobs, name)
  }
  throw new Error('no such blob')
}

test('a release that nobody touched is verified, and every claim is made', async () => {
  const report: VerifyReport = await verifyRelease({ folder: made, keys: [key], expect: version })
  expect(report.findings).toEqual([])
  expect([...new Set(report.claims.map((claim) => claim.name))].sort()).toEqual([
    'attestations',
    'blobs',
    'bundles',
    'charts',
    'checksums',
    'expected',
    'extras',
    'files',
    'gate',
    'images',
    'mirrored',
    'notJudged',
    'pgp',
    'programs',
    'root',
    'signatures',
    'slsa',
    'sm2',
    'statement',
    'trust',
  ])
  expect(report.standInWorld).toBe(true)
})

describe('who signed', () => {
  test('a statement signed by another key is refused', async () => {
    const other = readPublicKey(generateKey().publicPem)
    expect(await codes(made, [other])).toEqual(['untrusted RFO_SIGN_UNKNOWN'])
  })

  test('without a key nothing is decided, and the fingerprints that were found are told', async () => {
    const thrown = await verifyRelease({ folder: made, keys: [] }).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(RfoError)
    expect((thrown as RfoError).exit).toBe('undecided')
    expect((thrown as RfoError).details.join('\n')).toContain(key.fingerprint)
  })

  test('another version than expected is refused', async () => {
    expect(await codes(made, [key], 'v1.24.9+rfor1')).toContain('untrusted RFO_VERIFY_VERSION')
  })

  test('a stand-in release is no release to a key that is not the sandbox’s own', async () => {
    const folder = join(scratch, 'foreign-key')
    const pair = generateKey()
    await writeFile(join(scratch, 'rfo.key'), pair.privatePem)
    const ran = await run(project.folder, [
      'release',
      version,
      '--sandbox',
      '--platform',
      'amd64',
      '--progress',
      'none',
      '--sign-key',
      join(scratch, 'rfo.key'),
      '--out',
      folder,
      '--store',
      join(scratch, 'store'),
    ])
    expect(ran.code).toBe(0)
    expect(await codes(join(folder, version), [readPublicKey(pair.publicPem)])).toEqual(['condition RFO_VERIFY_SANDBOX'])
  })
})

describe('files', () => {
  test('a flipped byte in a listed file is found', async () => {
    expect(await codes(await changed((folder) => flip(join(folder, 'plan.json'))))).toContain('untrusted RFO_VERIFY_FILE')
  })

  test('a dropped file is found', async () => {
    expect(await codes(await changed((folder) => unlink(join(folder, 'RELEASE.md'))))).toContain('untrusted RFO_VERIFY_MISSING')
  })

  test('an added file is found', async () => {
    expect(await codes(await changed((folder) => writeFile(join(folder, 'install.sh'), 'x')))).toEqual(['untrusted RFO_VERIFY_EXTRA'])
    expect(await codes(await changed((folder) => writeFile(join(folder, 'oci/blobs/sha256', hex(digestOf('x'))), 'x')))).toEqual([
      'untrusted RFO_VERIFY_EXTRA',
    ])
    expect(await codes(await changed(async (folder) => void (await mkdir(join(folder, 'empty')))))).toEqual(['untrusted RFO_VERIFY_EXTRA'])
  })

  test('a link instead of a file is found, even to the same bytes', async () => {
    const folder = await changed(async (copy) => {
      await unlink(join(copy, 'plan.json'))
      await symlink(join(made, 'plan.json'), join(copy, 'plan.json'))
    })
    expect(await codes(folder)).toContain('untrusted RFO_VERIFY_KIND')
  })

  test('a hard link is a file like any other', async () => {
    const folder = await changed(async (copy) => {
      await unlink(join(copy, 'plan.json'))
      await link(join(made, 'plan.json'), join(copy, 'plan.json'))
    })
    expect(await codes(folder)).toEqual([])
  })

  test('a checksum list that differs from the statement is found', async () => {
    const folder = await changed(async (copy) => {
      const path = 'sha256sum-amd64.txt'
      const text = (await readFile(join(copy, path), 'utf8')).replace(/^./, (first) => (first === '0' ? '1' : '0'))
      const { signature, bundle } = await signBlob(Buffer.from(text), privateKey)
      await writeFile(join(copy, path), text)
      await writeFile(join(copy, `${path}.sig`), signature)
      await writeFile(join(copy, `${path}.sigstore.json`), bundle)
      await resigned(copy, privateKey, (predicate) => {
        const file = predicate.files.find((one) => one.path === path)
        if (file === undefined) throw new Error('no list')
        Object.assign(file, { digest: digestOf(text), size: text.length })
        predicate.root.index = rootIndex(
          predicate.version,
          predicate.images,
          predicate.files.filter((one) => isRooted(one.path)),
        )
        predicate.root.digest = rootDigest(predicate.root.index)
      })
    })
    expect(await codes(folder)).toContain('untrusted RFO_VERIFY_CHECKSUMS')
  })

  test('a signature of a checksum list with other bytes is found', async () => {
    expect(await codes(await changed((folder) => flip(join(folder, 'sha256sum-amd64.txt.sig'))))).not.toEqual([])
    const spaced = await changed(async (folder) => {
      const path = join(folder, 'sm3sum-riscv64.txt.sigstore.json')
      await writeFile(path, `${await readFile(path, 'utf8')}\n`)
    })
    expect(await codes(spaced)).toEqual(['untrusted RFO_SIGN_BYTES'])
  })
})

describe('the statement', () => {
  test('a root that does not cover the list is refused', async () => {
    const folder = await changed((copy) => resigned(copy, privateKey, (predicate) => void predicate.files.shift()))
    expect(await codes(folder)).toContain('untrusted RFO_VERIFY_ROOT')
  })

  test('release.json is the signed payload, byte for byte', async () => {
    const folder = await changed(async (copy) => {
      const path = join(copy, 'evidence/release.json')
      await writeFile(path, `${await readFile(path, 'utf8')}\n`)
    })
    expect(await codes(folder)).toEqual(['untrusted RFO_VERIFY_STATEMENT', 'untrusted RFO_SIGN_UNKNOWN'])
  })

  test('a statement of another kind by the same key is no release', async () => {
    const folder = await changed(async (copy) => {
      const bytes = Buffer.from(
        canonicalJson({
          _type: 'https://in-toto.io/Statement/v1',
          subject: [{ digest: { sha256: 'a'.repeat(64) } }],
          predicateType: 'https://slsa.dev/provenance/v1',
          predicate: {},
        }),
      )
      await writeFile(join(copy, 'evidence/release.sigstore.json'), await signStatement(bytes, privateKey))
    })
    expect(await codes(folder)).toEqual(['untrusted RFO_SIGN_PREDICATE'])
  })
})

describe('images', () => {
  test('a flipped byte in a layer is found', async () => {
    const blobs = join(made, 'oci/blobs/sha256')
    const names = await readdir(blobs)
    const layers: string[] = []
    for (const name of names) if ((await readFile(join(blobs, name)))[0] !== 0x7b) layers.push(name)
    expect(layers.length).toBeGreaterThan(0)
    const folder = await changed((copy) => flip(join(copy, 'oci/blobs/sha256', layers[0] ?? '')))
    expect(await codes(folder)).toEqual(['untrusted RFO_VERIFY_BLOB'])
  })

  test('a dropped platform manifest is found', async () => {
    const folder = await changed(async (copy) =>
      unlink(await blobOf(copy, (value) => 'config' in value && !('subject' in value) && !('artifactType' in value))),
    )
    expect(await codes(folder)).not.toEqual([])
  })

  test('a dropped image signature is found', async () => {
    const folder = await changed(async (copy) => {
      const index = JSON.parse(await readFile(join(copy, 'oci/index.json'), 'utf8')) as {
        manifests: { annotations?: Record<string, string> }[]
      }
      index.manifests = index.manifests.filter((entry) => !entry.annotations?.['org.opencontainers.image.ref.name']?.endsWith('.sig'))
      await writeFile(join(copy, 'oci/index.json'), canonicalJson(index as unknown as Json))
    })
    expect(await codes(folder)).toContain('untrusted RFO_VERIFY_ATTACHED')
  })

  test('a dropped attestation is found', async () => {
    const folder = await changed(async (copy) => {
      const blob = await blobOf(copy, (value) => JSON.stringify(value['annotations'] ?? '').includes('cyclonedx'))
      const name = blob.slice(-64)
      const index = JSON.parse(await readFile(join(copy, 'oci/index.json'), 'utf8')) as { manifests: { digest: string }[] }
      index.manifests = index.manifests.filter((entry) => entry.digest !== `sha256:${name}`)
      await writeFile(join(copy, 'oci/index.json'), canonicalJson(index as unknown as Json))
      await unlink(blob)
    })
    expect(await codes(folder)).toEqual(['untrusted RFO_SIGN_BYTES']) // cosign 2's .att holds it still
    const without = await changed(async (copy) => {
      const index = JSON.parse(await readFile(join(copy, 'oci/index.json'), 'utf8')) as {
        manifests: { annotations?: Record<string, string> }[]
      }
      index.manifests = index.manifests.filter((entry) => !entry.annotations?.['org.opencontainers.image.ref.name']?.endsWith('.att'))
      await writeFile(join(copy, 'oci/index.json'), canonicalJson(index as unknown as Json))
    })
    expect(await codes(without)).toContain('untrusted RFO_VERIFY_ATTACHED')
  })

  test('index.json in any other bytes is found', async () => {
    const folder = await changed(async (copy) => {
      const path = join(copy, 'oci/index.json')
      await writeFile(path, JSON.stringify(JSON.parse(await readFile(path, 'utf8')), null, 1))
    })
    expect(await codes(folder)).toEqual(['untrusted RFO_VERIFY_LAYOUT'])
  })

  test('an SBOM file that is not the attested one is found', async () => {
    const path = 'sbom/pause.linux-amd64.cdx.json'
    const folder = await changed((copy) => writeFile(join(copy, path), '{}'))
    expect(await codes(folder)).toContain('untrusted RFO_VERIFY_FILE')
  })
})
