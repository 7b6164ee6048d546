/** A whole release over a network that fails: what passes is retried, wrong bytes are refused, nothing is half-written. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { request as ask, createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { createRegistrySession } from '../../src/content/registry.ts'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { listDigest } from '../../src/plan/fingerprint.ts'
import { renderLock } from '../../src/plan/lock-text.ts'
import { bundleOf, planOf, type ReleaseInputs, readInputs } from '../../src/release/inputs.ts'
import { type MadeRelease, makeRelease } from '../../src/release/make.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts'
import { readSigningKey } from '../../src/sign/key.ts'
import { type Project, smallProject, version } from './project.ts'

let project: Project
let inputs: ReleaseInputs
let sandbox: Sandbox
let scratch: string
let calm: string

beforeAll(async () => {
  project = await smallProject()
  inputs = await readInputs(project.folder, version, { platforms: ['linux/amd64'] })
  scratch = await mkdtemp(join(tmpdir(), 'rfo-network-'))
  const list = listDigest(inputs.pipelines.upstream)
  sandbox = await startSandbox({ plan: planOf(inputs), kinds: new Set(), everything: true, lock: inputs.lock, list, stateDir: scratch })
  calm = (await make('calm', sandbox.addresses)).root
})
afterAll(async () => {
  await sandbox.close()
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

async function make(name: string, addresses: Sandbox['addresses']): Promise<MadeRelease> {
  const folder = join(scratch, name)
  const plan = planOf(inputs, sandbox.lock)
  return await makeRelease(
    {
      plan,
      lockText: renderLock(sandbox.lock),
      keys: { key: readSigningKey(sandbox.key.privatePem) },
      bundle: bundleOf(project.folder, inputs),
      installer: inputs.installer,
      verifier: inputs.verifier,
      code: digestOf('code'),
      failureMode: 'finish',
      outDir: join(folder, 'dist'),
      toolVersion: '0',
    },
    {
      store: await openDirectoryStore(join(folder, 'store')),
      workDir: join(folder, 'store/work'),
      env: { PATH: '', NO_PROXY: '127.0.0.1' },
      addresses,
      registries: createRegistrySession({}),
      listener: () => {},
      now: () => 0,
      signal: new AbortController().signal,
      lanes: { cpu: 2, network: 4, cluster: 1 },
    },
  )
}

type Fault = 'too many' | 'broken' | 'half' | 'wrong'

/** Stands before both servers; the first `times` answers to each blob or archive are faulty. */
async function unreliable(
  fault: Fault,
  times: number,
): Promise<{ addresses: Sandbox['addresses']; seen: () => number; close(): Promise<void> }> {
  const origins = [...new Set(Object.values(sandbox.addresses).map((address) => new URL(address).origin))]
  const counts = new Map<string, number>()
  const servers = await Promise.all(
    origins.map(async (origin) => {
      const server: Server = createServer((incoming, answer) => {
        const url = incoming.url ?? '/'
        const count = (counts.get(url) ?? 0) + 1
        counts.set(url, count)
        const faulty = /\/blobs\/|\.tar\.gz$|\.tgz$/.test(url) && incoming.method === 'GET' && count <= times
        if (faulty && fault === 'too many') return void answer.writeHead(429, { 'retry-after': '0' }).end()
        if (faulty && fault === 'broken') return void answer.writeHead(500).end()
        ask(`${origin}${url}`, { method: incoming.method, headers: { ...incoming.headers, host: new URL(origin).host } }, (upstream) => {
          const parts: Buffer[] = []
          upstream.on('data', (part: Buffer) => parts.push(part))
          upstream.on('end', () => {
            const body = Buffer.concat(parts)
            if (faulty && fault === 'wrong' && body.length > 0) body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1
            answer.writeHead(upstream.statusCode ?? 502, upstream.headers)
            if (!(faulty && fault === 'half')) return void answer.end(body)
            answer.write(body.subarray(0, body.length >> 1), () => answer.destroy())
          })
        }).end()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return { origin, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    }),
  )
  const through = (address: string): string => servers.reduce((text, { origin, url }) => text.replace(origin, url), address)
  return {
    addresses: Object.fromEntries(Object.entries(sandbox.addresses).map(([prefix, address]) => [prefix, through(address)])),
    seen: () => [...counts.values()].filter((count) => count > 1).length,
    async close() {
      for (const { server } of servers) server.closeAllConnections()
      await Promise.all(servers.map(({ server }) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

describe('what passes is retried', () => {
  test.each<Fault>(['too many', 'broken', 'half'])('%s, once for every blob', async (fault) => {
    const network = await unreliable(fault, 1)
    expect((await make(`passing ${fault}`, network.addresses)).root).toBe(calm)
    expect(network.seen()).toBeGreaterThan(5)
    await network.close()
  })
})

test('bytes that are not what the lock pins are refused, and no release appears', async () => {
  const network = await unreliable('wrong', Number.POSITIVE_INFINITY)
  const thrown = await make('wrong', network.addresses).catch((error: unknown) => error)
  expect(thrown).toBeInstanceOf(RfoError)
  expect((thrown as RfoError).exit).toBe('untrusted')
  expect((thrown as RfoError).line()).toMatch(/sha256:/)
  expect(await readdir(join(scratch, 'wrong/dist')).catch(() => [])).toEqual([])
  await network.close()
  // the same store finishes when the network is good again
  expect((await make('wrong', sandbox.addresses)).root).toBe(calm)
})

test('a network that stays away ends with 8 and says who', async () => {
  const addresses = Object.fromEntries(Object.keys(sandbox.addresses).map((prefix) => [prefix, 'http://127.0.0.1:9']))
  const thrown = await make('away', addresses).catch((error: unknown) => error)
  expect((thrown as RfoError).exit).toBe('outside')
  expect((thrown as RfoError).line()).toMatch(/127\.0\.0\.1/)
})
