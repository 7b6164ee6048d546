/** Signatures survive our copy, from layouts to registries with and without the referrers API and back, or the copy fails. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { predicateTypes, statement, subjectOf } from '../../src/attest/statement.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { openLayout } from '../../src/content/layout.ts'
import { memoryStore } from '../../src/content/memory.ts'
import type { ContentReader, ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { legacyTags } from '../../src/oci/legacy-tags.ts'
import { startRegistry as startModernRegistry } from '../../src/sandbox/registry.ts'
import { attest, signImage } from '../../src/sign/attach.ts'
import { verifyAttached } from '../../src/sign/attached.ts'
import { findAttached } from '../../src/sign/find.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { tool } from '../tools.ts'
import { type TinyImage, tinyImage } from './images.ts'
import { repositoryStore, startRegistry } from './registry.ts'

const cosign2 = tool('cosign2')
const cosign3 = tool('cosign3')
const dockerRegistry = tool('docker-registry')
const oras = tool('oras')
const skopeo = tool('skopeo')
const crane = tool('crane')
const pair = generateKey()
const key = readSigningKey(pair.privatePem)
const options = { keys: [key.publicKey], epoch: 1_668_000_000 }
const root = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
let dir: string
let layout: ContentStore
let image: TinyImage
let all: readonly Descriptor[]

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rfo-copies-'))
  writeFileSync(join(dir, 'key.pub'), pair.publicPem)
  writeFileSync(join(dir, 'root.json'), root)
  layout = await openLayout(join(dir, 'first'), { create: true })
  image = await tinyImage(layout, 'copies')
  all = [image.index, ...image.platforms]
  for (const target of all) {
    await signImage(target, 'docker.io/rfolabs/copies:v1', key, layout, options.epoch)
    const said = statement([subjectOf(target.digest)], predicateTypes.slsaProvenance, { a: 1 })
    await attest(target, [said], key, layout, options.epoch)
  }
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** The image with all that is attached to it; its tag comes last. */
async function copied(from: ContentReader, to: ContentStore): Promise<void> {
  await copyGraph([image.index], from, to, { concurrency: 2, referrers: true })
  await to.tag(image.index, 'v1')
}

async function verified(store: ContentReader): Promise<void> {
  for (const target of all) {
    const { statements, signature, attestation } = verifyAttached(target, await findAttached(target, store), options)
    expect([statements.length, signature?.key.fingerprint, attestation]).toEqual([2, key.publicKey.fingerprint, true])
  }
}

function cosign(program: string, reference: string): Promise<string> {
  const argv = ['verify', '--key', join(dir, 'key.pub'), '--insecure-ignore-tlog=true', '--trusted-root', join(dir, 'root.json'), reference]
  return new Promise((resolve) => {
    execFile(program, argv, { env: { HOME: dir }, timeout: 60_000 }, (error, _, said) => resolve(error === null ? 'verified' : said))
  })
}

test.skipIf(cosign2.skip || cosign3.skip || dockerRegistry.skip)(
  'layout → registry without the API → registry with it → layout: ours, cosign 2 and cosign 3 verify index and platform manifests',
  async () => {
    const [old, modern] = [await startRegistry(dockerRegistry.path), await startModernRegistry()]
    try {
      let from: ContentReader = layout
      for (const { host } of [old, modern]) {
        const to = repositoryStore(host, 'copies/x')
        await copied(from, to)
        await verified(to)
        for (const target of all)
          for (const program of [cosign2.path, cosign3.path])
            expect(await cosign(program, `${host}/copies/x@${target.digest}`)).toBe('verified')
        from = to
      }
      const last = await openLayout(join(dir, 'last'), { create: true })
      await copied(from, last)
      await verified(last)
    } finally {
      old.stop()
      await modern.close()
    }
  },
  120_000,
)

const ran = promisify(execFile)

/** Each copies as its users do: oras with what refers to it, skopeo and crane the image and then each of cosign 2's tags. */
const copiers: Readonly<Record<string, (from: string, to: string) => Promise<unknown>>> = {
  async oras(from, to) {
    for (const tag of ['v1', ...Object.values(legacyTags(image.index.digest))])
      await ran(oras.path, ['cp', '-r', '--from-plain-http', '--to-plain-http', `${from}:${tag}`, `${to}:${tag}`])
  },
  async skopeo(from, to) {
    const plain = ['--src-tls-verify=false', '--dest-tls-verify=false', '--insecure-policy']
    for (const tag of ['v1', ...all.flatMap(({ digest }) => Object.values(legacyTags(digest)))])
      await ran(skopeo.path, ['copy', '--all', '--quiet', ...plain, `docker://${from}:${tag}`, `docker://${to}:${tag}`])
  },
  async crane(from, to) {
    for (const tag of ['v1', ...all.flatMap(({ digest }) => Object.values(legacyTags(digest)))])
      await ran(crane.path, ['copy', '--insecure', `${from}:${tag}`, `${to}:${tag}`])
  },
}

test.skipIf(cosign2.skip || cosign3.skip || dockerRegistry.skip || oras.skip || skopeo.skip || crane.skip)(
  'copied by oras, skopeo and crane, index and platform manifests keep the signatures that each of them carries',
  async () => {
    const [old, modern] = [await startRegistry(dockerRegistry.path), await startModernRegistry()]
    try {
      await copied(layout, repositoryStore(modern.host, 'copies/x'))
      for (const [name, copy] of Object.entries(copiers)) {
        await copy(`${modern.host}/copies/x`, `${old.host}/${name}/x`)
        // what refers to an image goes with oras alone; tags go with everybody who is told of them
        const withReferrers = name === 'oras'
        for (const target of withReferrers ? [image.index] : all)
          expect([name, await cosign(withReferrers ? cosign3.path : cosign2.path, `${old.host}/${name}/x@${target.digest}`)]).toEqual([
            name,
            'verified',
          ])
        const found = await findAttached(image.index, repositoryStore(old.host, `${name}/x`))
        expect([name, found.referrers.length, found.signature !== undefined]).toEqual([name, withReferrers ? 2 : 0, true])
      }
    } finally {
      old.stop()
      await modern.close()
    }
  },
  180_000,
)

test('where others’ signatures would lose their tag, the copy fails and takes nothing away; the same copy again is no other', async () => {
  const to = memoryStore()
  await copied(layout, to)
  await copied(layout, to)
  await verified(to)
  const theirs = await openLayout(join(dir, 'theirs'), { create: true })
  const same = await tinyImage(theirs, 'copies')
  expect(same.index.digest).toBe(image.index.digest)
  await signImage(same.index, 'docker.io/rfolabs/copies:v1', readSigningKey(generateKey().privatePem), theirs, options.epoch)
  await expect(copied(theirs, to)).rejects.toMatchObject({ code: 'RFO_CONTENT_TAGGED', exit: 'condition' })
  const { signature } = await findAttached(image.index, to)
  expect(signature?.descriptor.digest).toBe((await layout.resolve(legacyTags(image.index.digest).signature))?.digest)
})

test.each([
  ['has the referrers API and refuses what refers', true],
  ['has none, and refuses the tag that stands in', false],
])('where the target %s, the copy fails and no tag says that it is there', async (_, referrers) => {
  const registry = await startModernRegistry({
    referrers,
    faults: ({ method, path }) => {
      const name = /\/manifests\/(.*)$/.exec(path)?.[1]
      if (method !== 'PUT' || name === undefined) return undefined
      const refused = referrers ? !all.some(({ digest }) => digest === name) : /^sha256-[0-9a-f]{64}$/.test(name)
      return refused ? { kind: 'status', status: 403 } : undefined
    },
  })
  try {
    const to = repositoryStore(registry.host, 'copies/x')
    await expect(copied(layout, to)).rejects.toMatchObject({
      code: expect.stringMatching(/^RFO_CONTENT_/),
      where: expect.stringMatching(/^destination/),
    })
    expect(await to.resolve('v1')).toBeUndefined()
    expect(await to.resolve(legacyTags(image.index.digest).signature)).toBeUndefined()
  } finally {
    await registry.close()
  }
})
