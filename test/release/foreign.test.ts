/** A whole release, judged by the field's own tools: skopeo, crane, oras, cosign 2 and 3, openssl, sha256sum. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { openLayout } from '../../src/content/layout.ts'
import { readBytes } from '../../src/content/read.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { parseIndex } from '../../src/oci/manifest.ts'
import { annotationKeys } from '../../src/oci/mediatype.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { tool } from '../tools.ts'
import { madeProject, type Project, type Ran, version } from './project.ts'

let project: Project
let made: string
let scratch: string
let key: string

beforeAll(async () => {
  project = await madeProject('amd64,arm64,riscv64')
  made = join(project.folder, 'dist', version)
  key = join(project.folder, '.rfo/sandbox/cosign.pub')
  scratch = await mkdtemp(join(tmpdir(), 'rfo-foreign-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

function call(program: string, argv: readonly string[], cwd = made): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? '', HOME: scratch, TUF_ROOT: join(scratch, 'tuf') }
    const child = execFile(program, argv, { cwd, env, maxBuffer: 1 << 26 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

const coredns = 'docker.io/rfolabs/hardened-coredns:v1.9.3-build20221114'

describe('files', () => {
  const sha256sum = tool('sha256sum')
  test.skipIf(sha256sum.skip)('sha256sum -c agrees with every list', async () => {
    for (const arch of ['amd64', 'arm64', 'riscv64']) {
      const ran = await call(sha256sum.path, ['-c', '--strict', `sha256sum-${arch}.txt`])
      expect(ran.stdout).toContain('plan.json: OK')
      expect([ran.code, ran.stderr]).toEqual([0, ''])
    }
  })

  const openssl = tool('openssl')
  test.skipIf(openssl.skip)('openssl agrees with the signatures of the lists, and computes the same SM3', async () => {
    for (const list of ['sha256sum-amd64.txt', 'sm3sum-riscv64.txt']) {
      const ran = await call(openssl.path, ['dgst', '-sha256', '-verify', 'trust/cosign.pub', '-signature', `${list}.sig`, list])
      expect(ran.stdout.trim()).toBe('Verified OK')
    }
    for (const [signature, of] of [
      ['sm3sum-amd64.txt.sm2', 'sm3sum-amd64.txt'],
      ['evidence/release.sm2', 'evidence/release.json'],
    ] as const) {
      const sm2 = ['-verify', 'trust/sm2.pub', '-sigopt', 'distid:1234567812345678', '-signature', signature, of]
      expect((await call(openssl.path, ['dgst', '-sm3', ...sm2])).stdout.trim()).toBe('Verified OK')
    }
    const sm3 = await call(openssl.path, ['dgst', '-sm3', '-r', 'plan.json'])
    expect(await readFile(join(made, 'sm3sum-amd64.txt'), 'utf8')).toContain(`${sm3.stdout.split(' ')[0]}  plan.json\n`)
  })
})

describe('the layout', () => {
  const skopeo = tool('skopeo')
  test.skipIf(skopeo.skip)('skopeo copies an image of every platform out of it', async () => {
    const ran = await call(skopeo.path, ['copy', '--all', '--insecure-policy', `oci:oci:${coredns}`, `dir:${join(scratch, 'coredns')}`])
    expect([ran.code, ran.stderr]).toEqual([0, ''])
  })

  const oras = tool('oras')
  test.skipIf(oras.skip)('oras sees the image and what is attached to it', async () => {
    const image = await (await openLayout(join(made, 'oci'))).resolve(coredns)
    const ran = await call(oras.path, ['discover', '--oci-layout', `oci@${image?.digest}`, '--format', 'json'])
    expect(ran.stderr).toBe('')
    const types = JSON.stringify(JSON.parse(ran.stdout))
    expect(types).toContain('application/vnd.dev.sigstore.bundle.v0.3+json')
  })

  const crane = tool('crane')
  // its full validation reads gzip layers alone (0.22.1), so layers are skopeo's to judge
  test.skipIf(crane.skip)('crane validates manifests and configs of every platform', async () => {
    const registry = await startRegistry({})
    try {
      const target = `${registry.host}/rfolabs/hardened-coredns`
      await push(registry.url, coredns)
      for (const platform of ['linux/amd64', 'linux/arm64', 'linux/riscv64']) {
        const ran = await call(crane.path, [
          'validate',
          '--fast',
          '--insecure',
          '--platform',
          platform,
          '--remote',
          `${target}:v1.9.3-build20221114`,
        ])
        expect([ran.code, ran.stdout + ran.stderr]).toEqual([0, expect.stringContaining('PASS')])
      }
    } finally {
      await registry.close()
    }
  })
})

/** The image with everything attached, as a registry would hold it after `publish`. */
async function push(url: string, reference: string): Promise<Descriptor> {
  const layout = await openLayout(join(made, 'oci'))
  const image = await layout.resolve(reference)
  if (image === undefined) throw new Error(`no ${reference}`)
  const { registry, repository, tag = '' } = parseReference(reference)
  const to = openRegistry({ registry, repository }, { addresses: { [registry]: url } })
  await copyGraph([image], layout, to, { concurrency: 4, referrers: true })
  await to.tag(image, tag)
  return image
}

describe('charts', () => {
  const helm = tool('helm')
  const cosign3 = tool('cosign3')
  const skip = helm.skip || cosign3.skip
  test.skipIf(skip)('helm pulls a chart with its provenance and verifies both; cosign 3 verifies the bundle over it', async () => {
    const registry = await startRegistry({})
    try {
      const layout = await openLayout(join(made, 'oci'))
      const reference =
        (await layout.entries())
          .flatMap((each) => each.annotations?.[annotationKeys.refName] ?? [])
          .find((name) => name.startsWith('charts/')) ?? ''
      const [repository = '', tag = ''] = reference.split(':')
      const artifact = await layout.resolve(reference)
      if (artifact === undefined) throw new Error('no chart')
      const to = openRegistry(
        { registry: 'registry.example', repository: `rfolabs/${repository}` },
        { addresses: { 'registry.example': registry.url } },
      )
      await copyGraph([artifact], layout, to, { concurrency: 4, referrers: true })
      await to.tag(artifact, tag)
      const at = `${registry.host}/rfolabs/${repository}`
      const keyring = join(made, 'trust/helm-keyring')
      const pull = ['pull', `oci://${at}`, '--version', tag, '--plain-http']
      const pulled = await call(helm.path, [...pull, '--verify', '--keyring', keyring, '--destination', scratch])
      expect([pulled.code, pulled.stdout + pulled.stderr]).toEqual([0, expect.stringContaining(artifact.digest)])
      const name = `${repository.slice('charts/'.length)}-${tag}.tgz`
      const verified = await call(helm.path, ['verify', join(scratch, name), '--keyring', keyring])
      expect([verified.code, verified.stdout + verified.stderr]).toEqual([0, expect.stringContaining('Chart Hash Verified')])
      expect(await readFile(join(scratch, name))).toEqual(await readFile(join(made, 'charts', name)))
      const flags = ['--key', key, '--insecure-ignore-tlog', '--allow-http-registry']
      const signed = await call(cosign3.path, ['verify', ...flags, `${at}@${artifact.digest}`])
      expect([signed.code, signed.stdout]).toEqual([0, expect.stringContaining(artifact.digest)])
    } finally {
      await registry.close()
    }
  })
})

describe('signatures', () => {
  for (const name of ['cosign2', 'cosign3'] as const) {
    const cosign = tool(name)
    test.skipIf(cosign.skip)(`${name} verifies index, platform manifest, provenance and SBOM`, async () => {
      const registry = await startRegistry({})
      try {
        const image = await push(registry.url, coredns)
        const roots = join(scratch, 'empty-root.json')
        await writeFile(
          roots,
          '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}',
        )
        const repository = `${registry.host}/rfolabs/hardened-coredns`
        const flags = ['--key', key, '--insecure-ignore-tlog', '--allow-http-registry', '--trusted-root', roots]
        const signed = await call(cosign.path, ['verify', ...flags, `${repository}@${image.digest}`])
        expect([signed.code, signed.stderr]).toEqual([0, expect.any(String)])
        const layout = await openLayout(join(made, 'oci'))
        const index = parseIndex(await readBytes(layout, image))
        const child = index.manifests[2]?.digest ?? ''
        expect(
          (await call(cosign.path, ['verify-attestation', ...flags, '--type', 'slsaprovenance1', `${repository}@${image.digest}`])).code,
        ).toBe(0)
        for (const type of ['slsaprovenance1', 'cyclonedx', 'spdxjson']) {
          const attested = await call(cosign.path, ['verify-attestation', ...flags, '--type', type, `${repository}@${child}`])
          expect([attested.code, attested.stderr]).toEqual([0, expect.any(String)])
          const payload = JSON.parse(attested.stdout.split('\n')[0] ?? '{}') as { payload: string }
          expect(Buffer.from(payload.payload, 'base64').toString('utf8')).toContain(child.slice('sha256:'.length))
        }
      } finally {
        await registry.close()
      }
    })
  }

  const cosign3 = tool('cosign3')
  test.skipIf(cosign3.skip)('cosign 3 verifies the release statement about one file by its digest alone', async () => {
    const sum = (await readFile(join(made, 'sha256sum-amd64.txt'), 'utf8')).split('\n').find((line) => line.endsWith('  plan.json'))
    const ran = await call(cosign3.path, [
      'verify-blob-attestation',
      '--key',
      key,
      '--insecure-ignore-tlog',
      '--bundle',
      'evidence/release.sigstore.json',
      '--type',
      'https://github.com/rfolabs/rfo-build/attestation/release/v1',
      '--digest',
      sum?.slice(0, 64) ?? '',
      '--digestAlg',
      'sha256',
    ])
    expect([ran.code, ran.stdout + ran.stderr]).toEqual([0, expect.stringContaining('Verified OK')])
  })

  test.skipIf(cosign3.skip)('cosign 3 verifies one file by the bundle that lies there for it, and no other file', async () => {
    const sums = (await readFile(join(made, 'sha256sum-amd64.txt'), 'utf8')).split('\n')
    const bundle = `evidence/${sums.find((line) => line.endsWith('  plan.json'))?.slice(0, 64)}.sigstore.json`
    const flags = ['--key', key, '--insecure-ignore-tlog', '--bundle', bundle]
    const attestation = ['verify-blob-attestation', ...flags, '--type', 'https://sigstore.dev/cosign/sign/v1']
    for (const argv of [['verify-blob', ...flags], attestation]) {
      const ran = await call(cosign3.path, [...argv, 'plan.json'])
      expect([ran.code, ran.stdout + ran.stderr]).toEqual([0, expect.stringContaining('Verified OK')])
      expect((await call(cosign3.path, [...argv, 'images.lock'])).code).not.toBe(0)
    }
  })

  test.skipIf(cosign3.skip)('cosign 3 verifies the provenance of the program for a platform, and of no other', async () => {
    const sums = (await readFile(join(made, 'sha256sum-amd64.txt'), 'utf8')).split('\n')
    const bundle = `evidence/${sums.find((line) => line.endsWith('  rfo.linux-amd64'))?.slice(0, 64)}.provenance.sigstore.json`
    const argv = ['verify-blob-attestation', '--key', key, '--insecure-ignore-tlog', '--bundle', bundle, '--type', 'slsaprovenance1']
    const ran = await call(cosign3.path, [...argv, 'rfo.linux-amd64'])
    expect([ran.code, ran.stdout + ran.stderr]).toEqual([0, expect.stringContaining('Verified OK')])
    expect((await call(cosign3.path, [...argv, 'rfo.linux-riscv64'])).code).not.toBe(0)
  })
})
