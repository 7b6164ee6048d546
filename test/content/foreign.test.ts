/** skopeo, crane and oras read what we write, and we read what they write: layouts and registries. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { layoutIndexBytes, openLayout } from '../../src/content/layout.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { tool } from '../tools.ts'
import { type Image, pushImage, pushReferrer } from './graphs.ts'
import { atEnd, startCraneRegistry, startDebianRegistry, temporaryFolder } from './places.ts'

const [skopeo, crane, oras, debian] = ['skopeo', 'crane', 'oras', 'docker-registry'].map(tool) as [Tool, Tool, Tool, Tool]
type Tool = ReturnType<typeof tool>

async function run(program: Tool, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: temporaryFolder() }
  return (await promisify(execFile)(program.path, args, { env })).stdout
}

const at = (host: string, repository: string): ContentStore => openRegistry({ registry: host, repository }, { addresses: {} })

async function layout(): Promise<{ root: string; store: ContentStore; image: Image; signature: Descriptor }> {
  const root = temporaryFolder()
  const store = await openLayout(root, { create: true })
  const image = await pushImage(store, 'foreign', 50_000)
  await store.tag(image.index, 'v1')
  const signature = await pushReferrer(store, image.index, 'application/x-signature', 'signed')
  return { root, store, image, signature }
}

async function whole(store: ContentStore, reference: string, image: Image): Promise<void> {
  const found = await store.resolve(reference)
  expect(found?.digest).toBe(image.index.digest)
  const back = memoryStore()
  await copyGraph([found!], store, back, { concurrency: 4 })
  for (const each of image.all) expect(await back.exists(each)).toBe(true)
}

const registries: readonly [string, boolean, () => Promise<string>][] = [
  [
    'our registry',
    false,
    async () => {
      const registry = await startRegistry()
      atEnd(registry.close)
      return registry.host
    },
  ],
  ['docker-registry', debian.skip, startDebianRegistry],
  ['crane registry serve', crane.skip, startCraneRegistry],
]

describe('layouts', () => {
  test.skipIf(skopeo.skip)('skopeo reads ours, and we read its', async () => {
    const { root, image } = await layout()
    const out = temporaryFolder()
    await run(skopeo, 'copy', '-q', '--all', `oci:${root}:v1`, `oci:${out}:v2`)
    await whole(await openLayout(out), 'v2', image)
  })

  test.skipIf(skopeo.skip)('skopeo writes into ours, and nothing is lost', async () => {
    const { root, store, image, signature } = await layout()
    await run(skopeo, 'copy', '-q', '--all', `oci:${root}:v1`, `oci:${root}:v2`)
    await whole(store, 'v1', image)
    await whole(store, 'v2', image)
    expect((await store.referrers(image.index)).map((each) => each.digest)).toEqual([signature.digest])
    await store.tag(image.index, 'v3')
    const text = readFileSync(join(root, 'index.json'), 'utf8')
    expect(text).toBe(layoutIndexBytes(await (await openLayout(root)).entries()))
  })

  test.skipIf(oras.skip)('oras copies ours with its referrers, and we read its', async () => {
    const { root, image, signature } = await layout()
    const out = temporaryFolder()
    await run(oras, 'cp', '-r', '--from-oci-layout', '--to-oci-layout', `${root}:v1`, `${out}:v2`)
    const store = await openLayout(out)
    await whole(store, 'v2', image)
    expect((await store.referrers(image.index)).map((each) => each.digest)).toEqual([signature.digest])
  })

  test.skipIf(oras.skip)('oras finds the referrers of ours', async () => {
    const { root, signature } = await layout()
    expect(await run(oras, 'discover', '--oci-layout', '--format', 'json', `${root}:v1`)).toContain(signature.digest)
  })

  test.skipIf(oras.skip)('we find what oras attached', async () => {
    const { root, store, image } = await layout()
    await run(oras, 'attach', '--oci-layout', '--artifact-type', 'application/x-sbom', '--annotation', 'a=b', `${root}:v1`)
    expect((await store.referrers(image.index, 'application/x-sbom'))[0]?.annotations?.a).toBe('b')
    expect(await store.referrers(image.index)).toHaveLength(2)
  })
})

describe.each(registries)('%s', (_, skip, start) => {
  test.skipIf(skip || skopeo.skip)('skopeo', async () => {
    const host = await start()
    const { root, store, image } = await layout()
    await copyGraph([image.index], store, at(host, 'ours'), { concurrency: 4 })
    await at(host, 'ours').tag(image.index, 'v1')
    const out = temporaryFolder()
    await run(skopeo, 'copy', '-q', '--all', '--src-tls-verify=false', `docker://${host}/ours:v1`, `oci:${out}:v1`)
    await whole(await openLayout(out), 'v1', image)
    await run(skopeo, 'copy', '-q', '--all', '--dest-tls-verify=false', `oci:${root}:v1`, `docker://${host}/theirs:v1`)
    await whole(at(host, 'theirs'), 'v1', image)
  })

  test.skipIf(skip || crane.skip)('crane', async () => {
    const host = await start()
    const { root, store, image } = await layout()
    await copyGraph([image.index], store, at(host, 'ours'), { concurrency: 4 })
    await at(host, 'ours').tag(image.index, 'v1')
    expect((await run(crane, 'digest', '--insecure', `${host}/ours:v1`)).trim()).toBe(image.index.digest)
    // no `crane validate`: it takes every layer for gzip
    const out = join(temporaryFolder(), 'out')
    await run(crane, 'pull', '--insecure', '--format', 'oci', `${host}/ours:v1`, out)
    await whole(await openLayout(out), image.index.digest, image)
    // crane pushes a layout that holds one image
    const one = temporaryFolder()
    const single = await openLayout(one, { create: true })
    await copyGraph([image.index], await openLayout(root), single, { concurrency: 4 })
    await single.tag(image.index, 'v1')
    await run(crane, 'push', '--insecure', one, `${host}/theirs:v1`)
    await whole(at(host, 'theirs'), 'v1', image)
  })

  test.skipIf(skip || oras.skip)('oras, with referrers both ways', async () => {
    const host = await start()
    const { root, store, image, signature } = await layout()
    const ours = at(host, 'ours')
    await copyGraph([image.index], store, ours, { concurrency: 4, referrers: true })
    await ours.tag(image.index, 'v1')
    const found = await run(oras, 'discover', '--plain-http', '--format', 'json', `${host}/ours:v1`)
    expect(found).toContain(signature.digest)
    await run(oras, 'cp', '-r', '--from-oci-layout', '--to-plain-http', `${root}:v1`, `${host}/theirs:v1`)
    await whole(at(host, 'theirs'), 'v1', image)
    expect((await at(host, 'theirs').referrers(image.index)).map((each) => each.digest)).toEqual([signature.digest])
    await run(oras, 'attach', '--plain-http', '--artifact-type', 'application/x-sbom', '--annotation', 'a=b', `${host}/theirs:v1`)
    expect((await at(host, 'theirs').referrers(image.index, 'application/x-sbom'))[0]?.annotations?.a).toBe('b')
    // ours on top of what oras listed
    await pushReferrer(at(host, 'theirs'), image.index, 'application/x-test', 'passed')
    expect(await at(host, 'theirs').referrers(image.index)).toHaveLength(3)
    expect(JSON.parse(await run(oras, 'discover', '--plain-http', '--format', 'json', `${host}/theirs:v1`)).referrers).toHaveLength(3)
  })
})
