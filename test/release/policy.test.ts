/** What a policy demands, each demand made false on a release that is genuine. */
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildTypes } from '../../src/attest/provenance.ts'
import { RfoError } from '../../src/error.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import { parseVerifyPolicy, VerifyPolicy } from '../../src/plan/verify-policy.ts'
import { carriedCosignatures } from '../../src/release/cosign.ts'
import { cosignaturePath } from '../../src/release/verify/cosigners.ts'
import { judgeOtherKeys } from '../../src/release/verify/policy.ts'
import { builtOf, levelOf, repositoryOf } from '../../src/release/verify/provenance.ts'
import { type VerifyReport, verifyRelease } from '../../src/release/verify/verify.ts'
import { signStatement } from '../../src/sign/bundle.ts'
import { generateKey, type PublicKey, readPublicKey, readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { copyFolder, madeProject, type Project, run, version } from './project.ts'
import { resigned } from './resigned.ts'

let project: Project
let made: string
let key: PublicKey
let privateKey: SigningKey
let scratch: string
const pair = generateKey()
const [other, otherPrivate] = [readPublicKey(pair.publicPem), readSigningKey(pair.privatePem)]

beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  privateKey = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-policy-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

type Demands = Omit<Parameters<typeof VerifyPolicy.parse>[0] & object, 'schema'>

function policy(demands: Demands): VerifyPolicy {
  return VerifyPolicy.parse({ schema: 'rfo-build.verify-policy/1', ...demands })
}

async function report(demands: Demands, folder = made, at?: number): Promise<VerifyReport> {
  return await verifyRelease({ folder, keys: [key, other], policy: policy(demands), ...(at === undefined ? {} : { at: at * 1000 }) })
}

/** `exit CODE`, each once. */
async function codes(demands: Demands, folder = made, at?: number): Promise<string[]> {
  try {
    return [...new Set((await report(demands, folder, at)).findings.map((finding) => `${finding.exit} ${finding.code}`))].sort()
  } catch (thrown) {
    if (thrown instanceof RfoError) return [`thrown: ${thrown.exit} ${thrown.code}`]
    throw thrown
  }
}

async function copied(change: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = await mkdtemp(join(scratch, 'r'))
  await copyFolder(made, folder)
  await change(folder)
  return folder
}

const ours = (): { key: string } => ({ key: key.fingerprint })
const theirs = { key: other.fingerprint }
const nobody = { identity: 'release@rfo.test', issuer: 'https://issuer.test' }

describe('who may sign', () => {
  test('a signer outside the policy is refused, though its key was given', async () => {
    expect(await codes({ signers: { statement: { anyOf: [theirs] } } })).toEqual(['thrown: untrusted RFO_VERIFY_SIGNER'])
    expect(await codes({ signers: { statement: { anyOf: [nobody] } } })).toEqual(['thrown: untrusted RFO_VERIFY_SIGNER'])
    expect(await codes({ signers: { images: [theirs] } })).toEqual(['untrusted RFO_VERIFY_SIGNER'])
    expect(await codes({ signers: { attestations: [theirs, nobody] } })).toEqual(['untrusted RFO_VERIFY_SIGNER'])
    expect(await codes({ signers: { statement: { anyOf: [theirs, ours()] }, images: [ours()], attestations: [ours()] } })).toEqual([])
  })

  test('a threshold counts distinct signers of the same statement', async () => {
    const both = { signers: { statement: { anyOf: [theirs, ours()], threshold: 2 } } }
    expect(await codes(both)).toEqual(['untrusted RFO_VERIFY_THRESHOLD'])
    const payload = await readFile(join(made, 'evidence/release.json'))
    const twice = await copied(async (folder) =>
      writeFile(join(folder, cosignaturePath(other)), await signStatement(payload, otherPrivate)),
    )
    expect(await codes(both, twice)).toEqual([])
    expect(await codes({}, twice)).toEqual([])
  })

  test('a second signature by a key that is not given counts for nothing, and must be one of this statement', async () => {
    const payload = await readFile(join(made, 'evidence/release.json'))
    const bundle = await signStatement(payload, otherPrivate)
    const alone = async (path: string, bytes: string | Buffer) => {
      const { findings, claims } = await verifyRelease({
        folder: await copied((folder) => writeFile(join(folder, path), bytes)),
        keys: [key],
      })
      const told = claims.filter(({ name }) => name === 'unjudged').map(({ values }) => values)
      return [...findings.map(({ code, where }) => `${code} ${where}`), ...told]
    }
    const path = cosignaturePath(other)
    expect(await alone(path, bundle)).toEqual([{ count: 1, fingerprint: other.fingerprint }])
    const extra = [`RFO_VERIFY_EXTRA ${path}`]
    expect(await alone(path, `${bundle}\n`)).toEqual(extra)
    expect(
      await alone(
        path,
        await signStatement(Buffer.from(canonicalJson({ ...JSON.parse(payload.toString()), predicate: {} })), otherPrivate),
      ),
    ).toEqual(extra)
    expect(await alone(path, await readFile(join(made, 'evidence/release.sigstore.json')))).toEqual(extra)
    const elsewhere = cosignaturePath({ fingerprint: `sha256:${'0'.repeat(64)}` })
    expect(await alone(elsewhere, bundle)).toEqual([`RFO_VERIFY_EXTRA ${elsewhere}`])
    // one that has to count needs its key
    const both = { signers: { statement: { anyOf: [theirs, ours()], threshold: 2 } } }
    const folder = await copied((at) => writeFile(join(at, path), bundle))
    const { findings } = await verifyRelease({ folder, keys: [key], policy: policy(both) })
    expect(findings.map(({ code }) => code)).toEqual(['RFO_VERIFY_THRESHOLD'])
  })

  test('`sign --add` makes the second one, once, of what holds by whom the signer trusts, and touches nothing else', async () => {
    const folder = await copied(async () => {})
    await writeFile(join(project.folder, 'second.key'), pair.privatePem, { mode: 0o600 })
    const list = async (): Promise<string[]> => (await readdir(folder, { recursive: true })).sort()
    const before = await list()
    const add = (...more: string[]) => run(project.folder, ['sign', folder, '--add', '--sign-key', 'second.key', ...more])
    expect(await add()).toMatchObject({ code: 5, stdout: '', stderr: expect.stringContaining('RFO_SIGN_NOKEY') })
    await rename(join(folder, 'RELEASE.md'), join(scratch, 'kept.md'))
    expect(await add('--key', '.rfo/sandbox/cosign.pub')).toMatchObject({ code: 3, stderr: expect.stringContaining('RFO_VERIFY_MISSING') })
    await rename(join(scratch, 'kept.md'), join(folder, 'RELEASE.md'))
    expect(await list()).toEqual(before)
    const first = await add('--key', '.rfo/sandbox/cosign.pub', '--json')
    expect([first.code, first.stderr]).toEqual([0, ''])
    const root = (await report({})).root
    expect(JSON.parse(first.stdout)).toMatchObject({ root, path: cosignaturePath(other), fingerprint: other.fingerprint, unchanged: false })
    expect(await list()).toEqual([...before, cosignaturePath(other)].sort())
    expect(await codes({ signers: { statement: { anyOf: [theirs, ours()], threshold: 2 } } }, folder)).toEqual([])
    const bytes = await readFile(join(folder, cosignaturePath(other)))
    expect(await add('--key', '.rfo/sandbox/cosign.pub')).toMatchObject({ code: 0, stdout: `${root}\n${other.fingerprint}\n` })
    expect(await readFile(join(folder, cosignaturePath(other)))).toEqual(bytes)
    const own = [
      'sign',
      folder,
      '--add',
      '--key',
      '.rfo/sandbox/cosign.pub',
      '--key',
      'second.pub',
      '--sign-key',
      '.rfo/sandbox/cosign.key',
    ]
    await writeFile(join(project.folder, 'second.pub'), pair.publicPem)
    expect(await run(project.folder, own)).toMatchObject({ code: 2, stderr: expect.stringContaining('RFO_SIGN_COSIGNER') })
    // laid out anew, the release keeps it
    expect(await carriedCosignatures(folder, await readFile(join(folder, 'evidence/release.json')))).toEqual([
      { path: cosignaturePath(other), from: join(folder, cosignaturePath(other)) },
    ])
    expect(await carriedCosignatures(folder, Buffer.from('another statement'))).toEqual([])
  }, 60_000)

  test('a second signature over another statement, or by the first signer again, does not count', async () => {
    const both = { signers: { statement: { anyOf: [theirs, ours()], threshold: 2 } } }
    const payload = await readFile(join(made, 'evidence/release.json'), 'utf8')
    const changed = Buffer.from(payload.replace(version, 'v1.24.7+rfor1'))
    const otherBytes = await copied(async (folder) =>
      writeFile(join(folder, cosignaturePath(other)), await signStatement(changed, otherPrivate)),
    )
    expect(await codes(both, otherBytes)).toEqual(['untrusted RFO_SIGN_SUBJECT', 'untrusted RFO_VERIFY_THRESHOLD'])
    const again = await copied((folder) => cp(join(folder, 'evidence/release.sigstore.json'), join(folder, cosignaturePath(other))))
    expect(await codes(both, again)).toEqual(['untrusted RFO_SIGN_UNKNOWN', 'untrusted RFO_VERIFY_THRESHOLD'])
  })

  test('SM2 and PGP must be by the keys of the policy, and there', async () => {
    const { claims } = await report({ signers: { sm2: 'any', pgp: 'any' } })
    const of = (name: string): string => String(claims.find((one) => one.name === name)?.values['fingerprint'])
    expect(await codes({ signers: { sm2: [of('sm2')], pgp: [of('pgp')] } })).toEqual([])
    expect(await codes({ signers: { sm2: [other.fingerprint] } })).toEqual(['untrusted RFO_VERIFY_SIGNER'])
    expect(await codes({ signers: { pgp: ['0'.repeat(40)] } })).toEqual(['untrusted RFO_VERIFY_SIGNER'])
    const without = judgeOtherKeys(policy({ signers: { sm2: 'any', pgp: 'any' } }), {})
    expect(without.map((one) => `${one.exit} ${one.code}`)).toEqual(Array(2).fill('condition RFO_VERIFY_UNSIGNED_BY'))
  })

  test('an SM3 that is not the file’s is found by whoever asks for SM2', async () => {
    // no checksum list has the files of trust/, so nothing else tells
    const folder = await copied((copy) =>
      resigned(copy, privateKey, ({ files }) => {
        for (const file of files) if (file.path === 'trust/cosign.pub') Object.assign(file, { sm3: '0'.repeat(64) })
      }),
    )
    // the statement's own SM2 signature is over the bytes before
    await rm(join(folder, 'evidence/release.sm2'))
    expect((await report({}, folder)).findings.map(({ code }) => code)).toEqual(['RFO_VERIFY_MISSING'])
    const asked = await report({ signers: { sm2: 'any' } }, folder)
    expect(asked.findings.map(({ code, where }) => `${code} ${where}`)).toContain('RFO_VERIFY_FILE trust/cosign.pub')
    expect(asked.claims.map(({ name }) => name)).not.toContain('sm3')
    expect((await report({ signers: { sm2: 'any' } })).claims.map(({ name }) => name)).toContain('sm3')
  })
})

describe('what images are', () => {
  test('a predicate that nobody attested leaves it undecided', async () => {
    const slsa = 'https://slsa.dev/provenance/v1'
    expect(await codes({ predicates: [slsa, 'https://cyclonedx.org/bom'] })).toEqual([])
    expect(await codes({ predicates: [slsa, 'https://openvex.dev/ns'] })).toEqual(['undecided RFO_VERIFY_PREDICATE'])
  })

  test('a source that the policy does not allow is found', async () => {
    const { built, predicate } = await report({})
    const repositories = [...new Set(built.map(({ source }) => repositoryOf(source.uri)))].filter((one) => one !== undefined)
    const sources = repositories.map((repository) => ({ repository }))
    expect(await codes({ sources, upstreamCommits: [predicate.upstream.commit] })).toEqual([])
    expect(await codes({ sources: sources.slice(1) })).toEqual(['condition RFO_VERIFY_SOURCE'])
    expect(await codes({ sources: sources.map((one) => ({ ...one, digests: ['0'.repeat(40)] })) })).toEqual(['condition RFO_VERIFY_SOURCE'])
    expect(await codes({ upstreamCommits: ['0'.repeat(40)] })).toEqual(['condition RFO_VERIFY_SOURCE'])
  })

  test('a repository is told by its whole name', () => {
    expect(repositoryOf('git+https://github.com/rancher/rke2@refs/tags/v1.24.8+rke2r1')).toBe('https://github.com/rancher/rke2')
    expect(repositoryOf('https://k8s.io/kubernetes/archive/v1.23.14.tar.gz')).toBe('https://k8s.io/kubernetes')
    expect(repositoryOf('oci://docker.io/rancher/pause:3.6@sha256:ab')).toBe('oci://docker.io/rancher/pause')
    expect(repositoryOf('pkg:golang/github.com/coredns/coredns@v1.9.3?x=y')).toBe('pkg:golang/github.com/coredns/coredns')
    expect(repositoryOf('https://github.com/rancher/rke2@evil.test/x')).toBe('https://github.com/rancher/rke2')
    expect(repositoryOf('https://github.com@evil.test/rancher/rke2')).toBeUndefined()
    expect(repositoryOf('ssh://git@github.com/rancher/rke2')).toBeUndefined()
  })

  test('every mirrored image is named where rebuilt ones are asked for', async () => {
    const { findings, predicate } = await report({ origin: 'rebuilt' })
    const mirrored = predicate.images.filter(({ action }) => action === 'mirror').map(({ reference }) => reference)
    expect(mirrored.length).toBeGreaterThan(0)
    expect(findings.map(({ exit, code, where }) => `${exit} ${code} ${where}`)).toEqual(
      mirrored.map((reference) => `condition RFO_VERIFY_ORIGIN ${reference}`),
    )
  })

  test('an image that the statement calls rebuilt and the provenance a mirror is found', async () => {
    for (const [from, to] of [
      ['mirror', 'rebuild'],
      ['rebuild', 'mirror'],
    ]) {
      const folder = await copied((copy) =>
        resigned(copy, privateKey, ({ images }) => {
          const image = images.find(({ action }) => action === from)
          Object.assign(image ?? {}, { action: to })
        }),
      )
      const { findings, claims } = await report({ origin: 'rebuilt' }, folder)
      expect(findings.map(({ code }) => code)).toContain('RFO_VERIFY_PROVENANCE')
      expect(claims.map(({ name }) => name)).not.toContain('mirrored')
    }
  })

  test('a higher SLSA level than the evidence carries is not granted', async () => {
    const { built, claims } = await report({})
    expect(claims.find(({ name }) => name === 'slsa')?.values['level']).toBe(1)
    // a mirror has no build: 0, whatever is believed of whoever copied it
    expect(await codes({ slsaLevel: 1 })).toEqual(['condition RFO_VERIFY_LEVEL'])
    const [rebuilt, mirror] = [built.find(({ mirrored }) => !mirrored), built.find(({ mirrored }) => mirrored)]
    if (rebuilt === undefined || mirror === undefined) throw new Error('both kinds are wanted')
    const believed = (level: 0 | 1 | 2 | 3, signer: object): VerifyPolicy => policy({ builders: [{ id: rebuilt.builder, signer, level }] })
    expect(levelOf(rebuilt, believed(2, ours())).level).toBe(2)
    expect(levelOf(rebuilt, believed(0, ours())).level).toBe(0)
    expect(levelOf(mirror, believed(3, ours())).level).toBe(0)
    expect(levelOf(rebuilt, believed(3, theirs)).level).toBe(1)
    expect(levelOf({ ...rebuilt, builder: `${rebuilt.builder}/` }, believed(3, ours())).level).toBe(1)
  })

  test('a builder that the policy does not name, or that another one signs for, is refused', async () => {
    const id = 'https://github.com/rfolabs/rfo-build'
    const believed = await report({ builders: [{ id, signer: ours(), level: 2 }] })
    expect(believed.findings).toEqual([])
    expect(believed.claims.find(({ name }) => name === 'slsaBelieved')?.values['level']).toBe(2)
    expect(await codes({ builders: [{ id, signer: theirs, level: 1 }] })).toEqual(['untrusted RFO_VERIFY_BUILDER'])
    expect(await codes({ builders: [{ id: `${id}/other`, signer: ours(), level: 1 }] })).toEqual(['untrusted RFO_VERIFY_BUILDER'])
  })

  test('a provenance of another release, of another platform, or without a builder is none', () => {
    const about = { what: 'x', release: version, platform: 'linux/amd64', action: 'rebuild', by: key } as const
    const predicate = (release: string, platform: string, builder?: string): object => ({
      buildDefinition: {
        buildType: buildTypes.compiled,
        externalParameters: { release, platform },
        resolvedDependencies: [{ uri: 'https://a.test/b', digest: { sha256: 'ab' } }],
      },
      runDetails: { builder: builder === undefined ? {} : { id: builder } },
    })
    expect(builtOf(predicate(version, 'linux/amd64', 'b'), about).builder).toBe('b')
    for (const wrong of [
      predicate('v1.24.7+rfor1', 'linux/amd64', 'b'),
      predicate(version, 'linux/arm64', 'b'),
      predicate(version, 'linux/amd64'),
      {},
    ])
      expect(() => builtOf(wrong, about)).toThrow(expect.objectContaining({ code: 'RFO_VERIFY_PROVENANCE', exit: 'untrusted' }))
  })
})

test('a release that is too old, or not born yet, is not decided', async () => {
  const { epoch } = (await report({})).predicate
  const day = 86_400
  expect(await codes({ maxAgeDays: 30 }, made, epoch + 30 * day)).toEqual([])
  expect(await codes({ maxAgeDays: 30 }, made, epoch + 30 * day + 1)).toEqual(['undecided RFO_VERIFY_STALE'])
  expect(await codes({ maxAgeDays: 30 }, made, epoch - 1)).toEqual(['undecided RFO_VERIFY_CLOCK'])
  expect(await codes({ maxAgeDays: 30 }, made, Number.NaN)).toEqual(['undecided RFO_VERIFY_CLOCK'])
  expect(await codes({}, made, epoch - 1)).toEqual(['undecided RFO_VERIFY_CLOCK'])
})

test('a test that nobody ran is asked for', async () => {
  expect(await codes({ tests: [{ kind: 'checks', platforms: ['linux/amd64'] }] })).toEqual(['undecided RFO_VERIFY_UNTESTED'])
})

test('on the command line: exit code, findings as SARIF, what --require adds to a file', async () => {
  const file = join(project.folder, 'ours.yaml')
  await writeFile(
    file,
    `schema: rfo-build.verify-policy/1\nsigners:\n  statement:\n    anyOf:\n      - key: ${key.fingerprint}\nmaxAgeDays: 30\n`,
  )
  expect(parseVerifyPolicy(await readFile(file, 'utf8'), file).maxAgeDays).toBe(30)
  const argv = ['verify', version, '--key', '.rfo/sandbox/cosign.pub', '--policy', 'ours.yaml', '--sarif', 'found.sarif']
  const ran = await run(project.folder, [...argv, '--require', 'origin=rebuilt', '--at', '2026-01-01'])
  expect(ran.code).toBe(4)
  const { runs } = JSON.parse(await readFile(join(project.folder, 'found.sarif'), 'utf8')) as {
    runs: { results: { ruleId: string }[]; invocations: { exitCode: number }[] }[]
  }
  expect(runs[0]?.invocations[0]?.exitCode).toBe(4)
  expect([...new Set(runs[0]?.results.map(({ ruleId }) => ruleId))].sort()).toEqual(['RFO_VERIFY_ORIGIN', 'RFO_VERIFY_STALE'])
  // what throws is a finding too
  await writeFile(file, `schema: rfo-build.verify-policy/1\nsigners: { statement: { anyOf: [{ key: "${other.fingerprint}" }] } }\n`)
  expect((await run(project.folder, argv)).code).toBe(3)
  expect(await readFile(join(project.folder, 'found.sarif'), 'utf8')).toContain('RFO_VERIFY_SIGNER')
})
