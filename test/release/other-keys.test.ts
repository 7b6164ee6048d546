/** The keys beside the release's own: SM2, PGP and the trust metadata, each of verify's claims about them made false. */
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { layoutIndexBytes } from '../../src/content/layout.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type Digest, digestOf, hex } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { annotationKeys } from '../../src/oci/mediatype.ts'
import { provenanceText } from '../../src/pack/chart-provenance.ts'
import { trustedAlone, verifyImages } from '../../src/release/verify/images.ts'
import type { OtherKeys } from '../../src/release/verify/signatures.ts'
import { type VerifyReport, verifyRelease } from '../../src/release/verify/verify.ts'
import { rpmFront, signRpm } from '../../src/rpm/sign.ts'
import { signatureHeader } from '../../src/rpm/signature-header.ts'
import { signStatement } from '../../src/sign/bundle.ts'
import { generateKey, type PublicKey, readPublicKey, readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { generatePgpKey, readPgpKey, readPgpPublicKey } from '../../src/sign/pgp.ts'
import { generateSm2Key, readSm2Key, readSm2PublicKey } from '../../src/sign/sm2.ts'
import { trustMetadata } from '../../src/sign/trust-metadata.ts'
import { readPredicate } from './form.ts'
import { copyFolder, madeProject, type Project, run, version } from './project.ts'
import { resigned } from './resigned.ts'

let project: Project
let made: string
let key: PublicKey
let privateKey: SigningKey
let scratch: string

beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  privateKey = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-keys-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

async function changed(change: (folder: string) => Promise<void>, otherKeys?: OtherKeys): Promise<VerifyReport> {
  const folder = await mkdtemp(join(scratch, 'r'))
  await copyFolder(made, folder)
  await change(folder)
  return await verifyRelease({ folder, keys: [key], ...(otherKeys === undefined ? {} : { otherKeys }) })
}

function told(report: VerifyReport): string[] {
  return report.findings.map((finding) => `${finding.exit} ${finding.code} ${finding.where}`)
}

function claimed(report: VerifyReport): string[] {
  return report.claims.map((claim) => claim.name)
}

/** A file of a key replaced and listed as such, which the holder of the release's key alone could do. */
async function relisted(folder: string, path: string, bytes: string): Promise<void> {
  await writeFile(join(folder, path), bytes)
  await resigned(folder, privateKey, ({ files }) => {
    for (const file of files) if (file.path === path) Object.assign(file, { digest: digestOf(bytes), size: Buffer.byteLength(bytes) })
  })
}

async function pushed(store: ContentStore, path: string): Promise<Descriptor> {
  return await pushBytes(store, 'application/x-rpm', await readFile(path))
}

const chart = async (): Promise<string> => (await readdir(join(made, 'charts'))).find((name) => name.endsWith('.tgz')) ?? ''

test('trust metadata of another key is found', async () => {
  const other = readSigningKey(generateKey().privatePem)
  const report = await changed(async (folder) => relisted(folder, 'trust/trust.json', await trustMetadata(other, 1_668_000_000)))
  expect(told(report)).toContain('untrusted RFO_SIGN_TRUST trust/trust.json')
  expect(claimed(report)).not.toContain('trust')
})

test('trust metadata whose signature does not hold is found', async () => {
  const report = await changed(async (folder) => {
    const text = await readFile(join(folder, 'trust/trust.json'), 'utf8')
    await relisted(folder, 'trust/trust.json', text.replace('"version":1', '"version":2'))
  })
  expect(told(report)).toContain('untrusted RFO_SIGN_TRUST trust/trust.json')
})

test('a public key that did not sign the statement is found', async () => {
  const report = await changed(async (folder) => relisted(folder, 'trust/cosign.pub', generateKey().publicPem))
  expect(told(report)).toContain('untrusted RFO_VERIFY_KEY trust/cosign.pub')
})

describe('a file', () => {
  const bundlesOf = async (): Promise<string[]> =>
    (await readdir(join(made, 'evidence'))).filter((name) => /^[0-9a-f]{64}\./.test(name)).sort()

  test('a bundle of a single file about another one is found', async () => {
    const [one = '', two = ''] = await bundlesOf()
    const report = await changed(async (folder) => cp(join(folder, 'evidence', one), join(folder, 'evidence', two), { force: true }))
    expect(told(report)).toEqual([`untrusted RFO_SIGN_SUBJECT evidence/${two}`])
    expect(claimed(report)).not.toContain('bundles')
  })

  test('a bundle that is gone, one by another key, and one about nothing that is listed are found', async () => {
    const [one = '', two = ''] = await bundlesOf()
    const other = readSigningKey(generateKey().privatePem)
    const report = await changed(async (folder) => {
      await rm(join(folder, 'evidence', one))
      const said = Buffer.from(JSON.parse(await readFile(join(folder, 'evidence', two), 'utf8')).dsseEnvelope.payload, 'base64')
      await writeFile(join(folder, 'evidence', two), await signStatement(said, other))
      await cp(join(folder, 'evidence', two), join(folder, 'evidence', `${'0'.repeat(64)}.sigstore.json`))
    })
    expect(told(report).sort()).toEqual(
      [
        `untrusted RFO_SIGN_UNKNOWN evidence/${two}`,
        `untrusted RFO_VERIFY_EXTRA evidence/${'0'.repeat(64)}.sigstore.json`,
        `untrusted RFO_VERIFY_MISSING evidence/${one}`,
      ].sort(),
    )
  })
})

describe('SM2', () => {
  test('an SM2 signature over other bytes is found', async () => {
    const report = await changed(async (folder) =>
      cp(join(folder, 'sm3sum-amd64.txt.sm2'), join(folder, 'sha256sum-amd64.txt.sm2'), { force: true }),
    )
    expect(told(report)).toEqual(['untrusted RFO_SIGN_UNKNOWN sha256sum-amd64.txt.sm2'])
    expect(claimed(report)).not.toContain('sm2')
    expect(claimed(report)).toContain('pgp')
  })

  test('one by another SM2 key, one missing and one with a byte behind it are found', async () => {
    const other = readSm2Key(generateSm2Key().privatePem)
    const report = await changed(async (folder) => {
      const list = await readFile(join(folder, 'sha256sum-amd64.txt'))
      await writeFile(join(folder, 'sha256sum-amd64.txt.sm2'), await other.sign(list))
      await rm(join(folder, 'evidence/release.sm2'))
      const path = join(folder, 'sm3sum-amd64.txt.sm2')
      await writeFile(path, Buffer.concat([await readFile(path), Buffer.from([0])]))
    })
    expect(told(report).sort()).toEqual([
      'untrusted RFO_SIGN_BYTES sm3sum-amd64.txt.sm2',
      'untrusted RFO_SIGN_UNKNOWN sha256sum-amd64.txt.sm2',
      'untrusted RFO_VERIFY_MISSING evidence/release.sm2',
    ])
  })

  test('a key that a person gives must be the one that signed', async () => {
    const own = readSm2PublicKey(await readFile(join(made, 'trust/sm2.pub'), 'utf8'))
    expect(told(await changed(async () => {}, { sm2: [own], pgp: [] }))).toEqual([])
    const other = readSm2PublicKey(generateSm2Key().publicPem)
    expect(told(await changed(async () => {}, { sm2: [other], pgp: [] }))).toEqual(['untrusted RFO_VERIFY_KEY trust/sm2.pub'])
  })
})

describe('PGP', () => {
  test('a PGP signature over other bytes is found', async () => {
    const pgp = await readPgpKey(await readFile(join(project.folder, '.rfo/sandbox/pgp.key'), 'utf8'))
    const prov = `charts/${await chart()}.prov`
    const report = await changed(async (folder) => writeFile(join(folder, prov), await pgp.clearSign('another chart\n', 1_668_000_000)))
    expect(told(report)).toEqual([`untrusted RFO_SIGN_SUBJECT ${prov}`])
    expect(claimed(report)).not.toContain('pgp')
    expect(claimed(report)).toContain('sm2')
  })

  test('one by another PGP key, and one spelt in another way, are found', async () => {
    const other = await readPgpKey((await generatePgpKey('another', 1_600_000_000, 3072)).privateText)
    const prov = `charts/${await chart()}.prov`
    const [index = ''] = (await readdir(join(made, 'rpm'), { recursive: true })).filter((path) => path.endsWith('repomd.xml'))
    const report = await changed(async (folder) => {
      const text = await readFile(join(folder, prov), 'utf8')
      await writeFile(join(folder, prov), text.replace('-----BEGIN PGP SIGNATURE-----\n', '-----BEGIN PGP SIGNATURE-----\nComment: x\n'))
      const path = join(folder, 'rpm', index)
      await writeFile(`${path}.asc`, await other.detached(await readFile(path), 1_668_000_000))
    })
    expect(told(report).sort()).toEqual([`untrusted RFO_SIGN_BYTES ${prov}`, `untrusted RFO_SIGN_SIGNATURE rpm/${index}.asc`])
  })

  test('a package by another key or without a signature, and a repository that says something else, are found', async () => {
    const other = await readPgpKey((await generatePgpKey('another', 1_600_000_000, 3072)).privateText)
    const below = (await readdir(join(made, 'rpm'), { recursive: true })).map((path) => `rpm/${path}`)
    const [one = '', two = ''] = below.filter((path) => path.endsWith('.rpm'))
    const index = below.find((path) => path.endsWith('repomd.xml')) ?? ''
    const report = await changed(async (folder) => {
      const store = memoryStore()
      const [stranger, bare] = [await pushed(store, join(folder, one)), await pushed(store, join(folder, two))]
      const signed = await signRpm(stranger, store, (header) => other.packet(header, 1_668_000_000))
      const { lead, sums, header, end } = await rpmFront(store.fetch(bare))
      const payload = (await readFile(join(folder, two))).subarray(end)
      const replaced = new Map([
        [one, Buffer.from(await readBytes(store, signed))],
        [two, Buffer.concat([lead, signatureHeader(sums), header, payload])],
      ])
      await resigned(folder, privateKey, ({ files }) => {
        for (const file of files) {
          const bytes = replaced.get(file.path)
          if (bytes !== undefined) Object.assign(file, { digest: digestOf(bytes), size: bytes.length })
        }
      })
      for (const [path, bytes] of replaced) await writeFile(join(folder, path), bytes)
    })
    const packages = told(report).filter((line) => line.includes(' rpm/'))
    expect(packages.sort()).toEqual([
      `untrusted RFO_SIGN_SIGNATURE ${one}`,
      `untrusted RFO_VERIFY_MISSING ${two}`,
      // its lists name the packages that were there before
      `untrusted RFO_VERIFY_RPM ${index}`,
    ])
    expect(claimed(report)).not.toContain('pgp')
    expect(claimed(report)).toContain('root')
  })

  test('a key that a person gives must be the one that signed', async () => {
    const own = await readPgpPublicKey(await readFile(join(made, 'trust/helm-keyring')))
    expect(told(await changed(async () => {}, { sm2: [], pgp: [own] }))).toEqual([])
    const other = await readPgpPublicKey(Buffer.from((await generatePgpKey('another', 1_600_000_000, 3072)).publicText))
    expect(told(await changed(async () => {}, { sm2: [], pgp: [other] }))).toEqual(['untrusted RFO_VERIFY_KEY trust/helm-keyring'])
  })
})

test('a chart in oci/ without its provenance or its bundle, or with another archive, is found', async () => {
  const folder = await mkdtemp(join(scratch, 'r'))
  await cp(made, folder, { recursive: true })
  const [index, blobs] = [join(folder, 'oci/index.json'), join(folder, 'oci/blobs/sha256')]
  const entries = JSON.parse(await readFile(index, 'utf8')).manifests as Descriptor[]
  const of = entries.find((each) => each.annotations?.[annotationKeys.refName]?.startsWith('charts/')) as Descriptor
  const read = async (digest: Digest) => JSON.parse(await readFile(join(blobs, hex(digest)), 'utf8'))
  const put = async (bytes: string) => {
    await writeFile(join(blobs, hex(digestOf(bytes))), bytes)
    return { digest: digestOf(bytes), size: Buffer.byteLength(bytes) }
  }
  const found = async (changed: readonly Descriptor[]) => {
    await writeFile(index, layoutIndexBytes(changed))
    const { findings } = await verifyImages(folder, await readPredicate(folder), trustedAlone(key))
    return findings.map(({ code, where }) => `${code} ${where?.slice(0, 'oci: charts/'.length)}`)
  }
  const manifest = await read(of.digest)
  const [content, provenance] = manifest.layers
  const layered = async (...layers: Json[]) => {
    const chart = { ...of, ...(await put(canonicalJson({ ...manifest, layers }))) }
    return await found(entries.map((each) => (each === of ? chart : each)))
  }
  expect(await found(entries)).toEqual([])
  for (const [code, { digest }] of [
    ['RFO_VERIFY_MISSING', manifest.config],
    ['RFO_CONTENT_ABSENT', content],
    ['RFO_CONTENT_ABSENT', provenance],
  ] as [string, Descriptor][]) {
    const blob = join(blobs, hex(digest))
    await rename(blob, join(scratch, 'aside'))
    expect(await found(entries)).toEqual([`${code} oci: charts/`])
    await rename(join(scratch, 'aside'), blob)
  }
  expect(await layered(content)).toEqual(['RFO_VERIFY_CHART oci: charts/'])
  expect(await layered({ ...content, ...(await put('another')) }, provenance)).toEqual(['RFO_VERIFY_CHART oci: charts/'])
  const name = await chart()
  const text = await provenanceText(await readFile(join(made, 'charts', name)), 'rke2-coredns', name)
  const other = await readPgpKey((await generatePgpKey('another', 1_600_000_000, 3072)).privateText)
  const signed = await put(await other.clearSign(text, 1_668_000_000))
  expect(await layered(content, { ...provenance, ...signed })).toEqual(['RFO_SIGN_SIGNATURE oci: charts/'])
  const subjects = await Promise.all(entries.map(async ({ digest }) => (await read(digest)).subject?.digest))
  expect(await found(entries.filter((_, at) => subjects[at] !== of.digest))).toEqual(['RFO_VERIFY_ATTACHED oci: charts/'])
  const report = await verifyRelease({ folder, keys: [key] })
  expect(claimed(report)).not.toContain('charts')
}, 60_000)

test('a release signed with one key alone has none of the others, and is whole', async () => {
  const { privatePem, publicPem } = generateKey()
  await writeFile(join(project.folder, 'only.key'), privatePem)
  await writeFile(join(project.folder, 'only.pub'), publicPem)
  const argv = [version, '--sandbox', '--platform', 'amd64', '--out', 'only', '--progress', 'none']
  const [both, only] = [
    await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none']),
    await run(project.folder, ['release', ...argv, '--sign-key', 'only.key']),
  ]
  expect(only.stdout).toBe(both.stdout) // the root covers no signature
  const report = await verifyRelease({ folder: join(project.folder, 'only', version), keys: [readPublicKey(publicPem)] })
  // stand-ins signed by another key than the sandbox's own are a finding of their own
  expect(report.findings.map((finding) => finding.exit)).toEqual(['condition'])
  expect(claimed(report)).toContain('trust')
  expect(claimed(report)).not.toContain('sm2')
  expect(claimed(report)).not.toContain('pgp')
})
