/** The gate of a release: what it does not let pass is not laid out, and what is said of it is what was found. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { predicateTypes } from '../../src/attest/statement.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { openLayout } from '../../src/content/layout.ts'
import { openRegistry } from '../../src/content/registry.ts'
import { RfoError } from '../../src/error.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { defaultPolicy } from '../../src/plan/verify-policy.ts'
import { judgeGate } from '../../src/release/verify/gate.ts'
import { verifyRelease } from '../../src/release/verify/verify.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { openVex } from '../advisory/documents.ts'
import { tool } from '../tools.ts'
import { copyFolder, dropGate, type Project, run, smallProject, version } from './project.ts'
import { resigned } from './resigned.ts'

let project: Project
let made: string
let key: SigningKey
let scratch: string
/** Of every part of the policy one; pause and typha are what nobody can judge in it. */
const gate = `
gate:
  lines: { v1.24: { asOf: 2022-12-31 } }
  graceDays: 14
  unjudged:
    - { images: [pause, mirrored-calico-typha], author: a@rfo.example, reason: it is upstream’s, expires: 2027-05-31 }
`
const release = (folder: string, ...more: readonly string[]) =>
  run(folder, ['release', version, '--sandbox', '--platform', 'riscv64', '--progress', 'none', ...more])

beforeAll(async () => {
  project = await smallProject()
  const file = join(project.folder, 'pipelines/release.yaml')
  await dropGate(project.folder)
  await writeFile(file, `${await readFile(file, 'utf8')}${gate}`)
  const ran = await release(project.folder)
  if (ran.code !== 0) throw new Error(ran.stderr)
  made = join(project.folder, 'dist', version)
  key = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-gate-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

const verified = (folder: string, predicates: readonly string[] = []) =>
  verifyRelease({ folder, keys: [key.publicKey], policy: { ...defaultPolicy, predicates: [...predicates] } })
const codes = async (folder: string): Promise<string[]> =>
  verified(folder).then(
    ({ findings }) => findings.map(({ code }) => code),
    (thrown) => (thrown instanceof RfoError ? [thrown.code] : Promise.reject(thrown)),
  )

describe('what a release says of vulnerabilities', () => {
  test('day, snapshot and who ships what nobody can judge; a policy can ask for the scans', async () => {
    const { predicate, claims, findings } = await verified(made, [predicateTypes.vuln])
    expect(findings).toEqual([])
    expect(predicate.gate).toMatchObject({
      mode: 'asOf 2022-12-31',
      judged: '2022-12-31T23:59:59Z',
      advisories: { standIn: expect.any(String) },
    })
    expect(predicate.standIns).toContainEqual({ what: 'advisories', standsFor: 'the advisories of openEuler and Go' })
    expect(claims.find(({ name }) => name === 'gate')?.values).toMatchObject({ digest: predicate.gate?.advisories.digest })
    expect(claims.filter(({ name }) => name === 'notJudged').map(({ values }) => values['images'])).toContain('pause (linux/riscv64)')
    const openvex = await verified(made, [predicateTypes.openvex])
    // where nothing was found there is nothing to say
    expect(openvex.findings.map(({ code }) => code)).toContain('RFO_VERIFY_PREDICATE')
  })

  const changes: readonly (readonly [string, (gate: NonNullable<ReleasePredicate['gate']>) => unknown, string])[] = [
    ['more that passed', (gate) => Object.assign(gate, { passed: gate.passed + 1 }), 'RFO_VERIFY_GATE'],
    ['fewer that nobody judged', (gate) => gate.unjudged.pop(), 'RFO_VERIFY_GATE'],
    ['another reason', (gate) => Object.assign(gate.unjudged[0] ?? {}, { reason: 'it is fine' }), 'RFO_VERIFY_GATE'],
    ['another day', (gate) => Object.assign(gate, { judged: '2026-11-28T00:00:00Z' }), 'RFO_VERIFY_SCAN'],
    ['other advisories', (gate) => Object.assign(gate.advisories, { digest: `sha256:${'0'.repeat(64)}` }), 'RFO_VERIFY_SCAN'],
    ['a later snapshot', (gate) => Object.assign(gate.advisories, { taken: '2026-11-28T00:00:00Z' }), 'RFO_VERIFY_SCAN'],
  ]
  test('a statement that says otherwise than the scans is refused', async () => {
    const folder = join(scratch, version)
    await cp(made, folder, { recursive: true })
    for (const [what, change, code] of changes) {
      await cp(join(made, 'evidence'), join(folder, 'evidence'), { recursive: true, force: true })
      await resigned(folder, key, (predicate) => predicate.gate !== undefined && change(predicate.gate))
      expect(await codes(folder), what).toContain(code)
    }
    await resigned(folder, key, (predicate) => void delete predicate.gate)
    expect(await codes(folder)).toContain('RFO_VERIFY_ATTACHED')
  })

  test('a verdict by advisories from before the day that it is of is refused', async () => {
    const { predicate } = await verified(made)
    const { gate } = predicate
    if (gate === undefined) throw new Error('it has a gate')
    const advisories = { ...gate.advisories, taken: '2022-12-31T12:00:00Z' }
    const { findings, claims } = judgeGate({ ...predicate, gate: { ...gate, advisories, passed: 0, reported: 0, unjudged: [] } }, [])
    expect(findings.map(({ message }) => message).join()).toContain('by advisories of 2022-12-31T12:00:00Z, before that')
    expect(claims).toEqual([])
  })

  test('another scan than the attested one is found', async () => {
    const folder = join(scratch, 'scan', version)
    await cp(made, folder, { recursive: true })
    const file = join(folder, 'sbom/hardened-coredns.linux-riscv64.vuln.json')
    const text = await readFile(file, 'utf8')
    expect(JSON.parse(text)).toMatchObject({
      scanner: { result: { verdict: 'pass', findings: [{ advisory: 'openEuler-SA-2000-1002', state: 'below' }] } },
    })
    await writeFile(file, text.replace('"below"', '"fails"'))
    expect(await codes(folder)).toContain('RFO_VERIFY_SCAN')
  })
})

describe('cosign', () => {
  for (const name of ['cosign2', 'cosign3'] as const) {
    const cosign = tool(name)
    test.skipIf(cosign.skip)(`${name} takes the scan and OpenVEX by their short names`, async () => {
      const { predicate } = await verified(made)
      const image = predicate.images.find(({ component }) => component === 'hardened-coredns')
      const manifest = image?.platforms['linux/riscv64']
      if (image === undefined || manifest?.status !== 'made') throw new Error('coredns is made')
      const registry = await startRegistry({})
      try {
        const layout = await openLayout(join(made, 'oci'))
        const to = await openRegistry(
          { registry: registry.host, repository: 'rfolabs/hardened-coredns' },
          { addresses: { [registry.host]: registry.url } },
        )
        const root = { mediaType: mediaTypes.index, digest: image.digest as Digest, size: image.size }
        await copyGraph([root], layout, to, { concurrency: 2, referrers: true })
        const trust = join(scratch, `${name}.json`)
        const lists = { tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] }
        writeFileSync(trust, JSON.stringify({ mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1', ...lists }))
        const flags = [
          '--key',
          join(project.folder, '.rfo/sandbox/cosign.pub'),
          '--insecure-ignore-tlog',
          '--allow-http-registry',
          '--trusted-root',
          trust,
        ]
        for (const type of ['vuln', 'openvex']) {
          const argv = ['verify-attestation', ...flags, '--type', type, `${registry.host}/rfolabs/hardened-coredns@${manifest.digest}`]
          const env = { PATH: process.env.PATH ?? '', HOME: scratch, TUF_ROOT: join(scratch, 'tuf') }
          const ran = await promisify(execFile)(cosign.path, argv, { env, maxBuffer: 1 << 26 })
          const { payload } = JSON.parse(ran.stdout.split('\n')[0] ?? '{}') as { payload: string }
          expect(Buffer.from(payload, 'base64').toString('utf8')).toContain('openEuler-SA-2000-1002')
        }
      } finally {
        await registry.close()
      }
    })
  }
})

describe('a release that does not pass', () => {
  async function changed(gate: (text: string) => string): Promise<string> {
    const folder = await mkdtemp(join(scratch, 'project-'))
    await copyFolder(project.folder, folder)
    const file = join(folder, 'pipelines/release.yaml')
    const text = gate(readFileSync(file, 'utf8'))
    writeFileSync(file, text)
    return folder
  }

  test('is not laid out: 4 for a finding, and it is made once VEX answers that', async () => {
    const folder = await changed((text) =>
      text.replace('  graceDays: 14', '  fail: [low]\n  vex: [{ author: security@rfo.example, expires: 2030-01-01 }]'),
    )
    const failed = await release(folder, '--out', 'again')
    expect(failed).toMatchObject({ code: 4, stdout: '' })
    expect(failed.stderr).toContain('openEuler-SA-2000-1002 (low): zlib')
    expect(failed.stderr.trimEnd().split('\n').at(-1)).toContain('RFO_RELEASE_GATE')
    mkdirSync(join(folder, 'sbom/vex'), { recursive: true })
    const statement = {
      vulnerability: { name: 'openEuler-SA-2000-1002' },
      status: 'not_affected',
      justification: 'vulnerable_code_not_present',
    }
    const products = [{ '@id': 'pkg:rpm/openeuler/zlib' }]
    writeFileSync(join(folder, 'sbom/vex/zlib.json'), openVex([{ ...statement, products }]))
    expect(await release(folder, '--out', 'again')).toMatchObject({ code: 0, stderr: '' })
    const { predicate, findings } = await verified(join(folder, 'again', version))
    expect(findings).toEqual([])
    expect(predicate.gate?.suppressed).toBeGreaterThan(0)
  })

  test('5 for an image whose entry has ended', async () => {
    const folder = await changed((text) => text.replaceAll('expires: 2027-05-31', 'expires: 2022-12-31'))
    const open = await release(folder, '--out', 'again')
    expect(open).toMatchObject({ code: 5, stdout: '' })
    expect(open.stderr).toContain('its entry ended on 2022-12-31')
  })
})
