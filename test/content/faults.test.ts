/** A registry that fails: what is retried, what is not, and what is said. */
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { dockerCredentials } from '../../src/content/credentials.ts'
import { createAgents, exchange } from '../../src/content/exchange.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { openRegistry } from '../../src/content/registry.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { type Fault, type RegistryOptions, type RegistryRequest, startRegistry } from '../../src/sandbox/registry.ts'
import { noise, pushImage } from './graphs.ts'
import { atEnd } from './places.ts'

const bytes = noise('faults', 400_000)
const blob = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }

/** A registry that holds `bytes`, then fails as told; waits are recorded, not waited. */
async function failing(faults: (request: RegistryRequest, number: number) => Fault | undefined, options: Partial<RegistryOptions> = {}) {
  let armed = false
  let number = 0
  const registry = await startRegistry({ ...options, faults: (request) => (armed ? faults(request, ++number) : undefined) })
  atEnd(registry.close)
  const waits: number[] = []
  const retry = {
    attempts: 4,
    wait: async (milliseconds: number) => {
      waits.push(milliseconds)
    },
  }
  const store = openRegistry({ registry: registry.host, repository: 'a/b' }, { addresses: {}, retry })
  await pushBytes(store, mediaTypes.octets, bytes)
  armed = true
  return { registry, store, waits }
}

const isGet = (request: RegistryRequest) => request.method === 'GET'

describe('reading', () => {
  test('429 waits as long as it is told', async () => {
    const { store, waits } = await failing((_, n) =>
      n <= 2 ? { kind: 'status', status: 429, headers: { 'retry-after': '7' } } : undefined,
    )
    expect(digestOf(await readBytes(store, blob))).toBe(blob.digest)
    expect(waits).toEqual([7000, 7000])
  })

  test('a Retry-After that is a date, by the server’s clock', async () => {
    const headers = { date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'retry-after': 'Sun, 06 Nov 1994 08:49:47 GMT' }
    const { store, waits } = await failing((_, n) => (n === 1 ? { kind: 'status', status: 503, headers } : undefined))
    await readBytes(store, blob)
    expect(waits).toEqual([10_000])
  })

  test('a wait longer than anybody would is an answer at once', async () => {
    const { store, waits } = await failing(() => ({ kind: 'status', status: 429, headers: { 'retry-after': '86400' } }))
    await expect(readBytes(store, blob)).rejects.toMatchObject({ code: 'RFO_CONTENT_OUTSIDE', exit: 'outside' })
    expect(waits).toEqual([])
  })

  test('500s back off, and end', async () => {
    const { store, waits, registry } = await failing(() => ({ kind: 'status', status: 500 }))
    await expect(readBytes(store, blob)).rejects.toMatchObject({
      code: 'RFO_CONTENT_OUTSIDE',
      exit: 'outside',
      message: expect.stringContaining(registry.host),
    })
    expect(waits).toEqual([250, 500, 1000])
  })

  test.each([true, false])('half a blob goes on where it stopped (ranges: %s)', async (ranges) => {
    const { store, waits, registry } = await failing(
      (request, n) => (isGet(request) && n === 1 ? { kind: 'cut', bytes: 150_000 } : undefined),
      {
        ranges,
      },
    )
    expect(digestOf(await readBytes(store, blob))).toBe(blob.digest)
    expect(waits).toHaveLength(1)
    expect(registry.requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d+-$/)
  })

  test('half a blob again and again ends', async () => {
    const { store } = await failing(() => ({ kind: 'cut', bytes: 1 }))
    await expect(readBytes(store, blob)).rejects.toMatchObject({ code: 'RFO_CONTENT_OUTSIDE' })
  })

  test('wrong bytes are untrusted, and not asked for again', async () => {
    const { store, registry } = await failing(() => ({ kind: 'corrupt' }))
    const before = registry.requests.length
    await expect(readBytes(store, blob)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
    expect(registry.requests.length - before).toBe(1)
  })

  test('connections that are cut', async () => {
    const { store, waits } = await failing((_, n) => (n <= 3 ? { kind: 'reset' } : undefined))
    expect(await store.exists(blob)).toBe(true)
    expect(waits).toHaveLength(3)
  })

  test('a server that changes the protocol is a failure like another, not a wait', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(() => new Promise<void>((resolve) => void server.close(() => resolve())))
    const registry = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const store = openRegistry({ registry, repository: 'a/b' }, { addresses: {}, retry: { attempts: 2, wait: async () => {} } })
    await expect(readBytes(store, blob)).rejects.toMatchObject({ code: 'RFO_CONTENT_OUTSIDE', exit: 'outside' })
  })

  test('no registry at all', async () => {
    const registry = await startRegistry()
    await registry.close()
    const store = openRegistry(
      { registry: registry.host, repository: 'a/b' },
      { addresses: {}, retry: { attempts: 2, wait: async () => {} } },
    )
    await expect(store.exists(blob)).rejects.toMatchObject({
      code: 'RFO_CONTENT_OUTSIDE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('an abort ends a wait', async () => {
    const registry = await startRegistry({ faults: () => ({ kind: 'status', status: 500 }) })
    atEnd(registry.close)
    const stop = new AbortController()
    const store = openRegistry(
      { registry: registry.host, repository: 'a/b' },
      { addresses: {}, signal: stop.signal, retry: { first: 60_000 } },
    )
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(store.exists(blob)).rejects.toThrow()
  })
})

describe('writing', () => {
  test.each<[string, (request: RegistryRequest, n: number) => Fault | undefined]>([
    ['429 on the upload', ({ method }, n) => (method === 'PUT' && n < 6 ? { kind: 'status', status: 429 } : undefined)],
    ['500 on its beginning', ({ method }, n) => (method === 'POST' && n < 5 ? { kind: 'status', status: 500 } : undefined)],
    ['cut in the middle', ({ method }, n) => (method === 'PUT' && n < 6 ? { kind: 'reset' } : undefined)],
    ['a lost upload', ({ method }, n) => (method === 'PUT' && n < 6 ? { kind: 'status', status: 404 } : undefined)],
  ])('%s', async (_, fault) => {
    const { store, waits } = await failing(fault)
    const other = noise('written', 700_000)
    const target = await pushBytes(store, mediaTypes.octets, other)
    expect(await store.exists(target)).toBe(true)
    expect(waits.length).toBeGreaterThan(0)
  })

  test('an abort ends the reading of what is being sent', async () => {
    const { registry } = await failing(() => undefined)
    const stop = new AbortController()
    let read = 0
    async function* body() {
      for (; read < 1000; read += 1) {
        if (read === 3) stop.abort(new Error('enough'))
        yield Buffer.alloc(1024)
      }
    }
    const url = new URL(`http://${registry.host}/v2/a/b/blobs/uploads/`)
    const headers = { 'content-length': String(1024 * 1000) }
    const sent = exchange(createAgents({ connections: 1 }), { method: 'PUT', url, headers, body: body(), signal: stop.signal })
    await expect(sent).rejects.toThrow('enough')
    expect(read).toBeLessThan(10)
  })

  test('a copy says on which side it failed', async () => {
    const from = memoryStore()
    const { index } = await pushImage(from, 'sides')
    const { store, registry } = await failing(({ method }) => (method === 'PUT' ? { kind: 'status', status: 500 } : undefined))
    await expect(copyGraph([index], from, store, { concurrency: 3 })).rejects.toMatchObject({
      code: 'RFO_CONTENT_OUTSIDE',
      where: 'destination',
      message: expect.stringContaining(registry.host),
    })
    const source = await failing(({ method }) => (method === 'GET' ? { kind: 'status', status: 500 } : undefined))
    await expect(copyGraph([blob], source.store, memoryStore(), { concurrency: 3 })).rejects.toMatchObject({ where: 'source' })
    await expect(copyGraph([blob], source.store, store, { concurrency: 3 })).resolves.toMatchObject({ present: 1 })
  })

  test('a copy between two failing registries arrives', async () => {
    let n = 0
    const faults = ({ method }: RegistryRequest): Fault | undefined => {
      n += 1
      if (method === 'GET' && n % 3 === 0) return { kind: 'cut', bytes: 5000 }
      if (method !== 'GET' && n % 4 === 0) return n % 8 === 0 ? { kind: 'reset' } : { kind: 'status', status: 503 }
      return undefined
    }
    const image = await pushImage(memoryStore(), 'between')
    const [one, two] = [await startRegistry({ faults }), await startRegistry({ faults })]
    atEnd(one.close)
    atEnd(two.close)
    const retry = { attempts: 20, wait: async () => {} }
    const [from, to] = [one, two].map(({ host }) => openRegistry({ registry: host, repository: 'x' }, { addresses: {}, retry }))
    await pushImage(from!, 'between')
    await copyGraph([image.index], from!, to!, { concurrency: 4 })
    for (const each of image.all) expect(await to!.exists(each)).toBe(true)
  })
})

describe('refusals', () => {
  test('403 names the login, and no secret', async () => {
    const registry = await startRegistry({ login: { kind: 'basic', username: 'ann', password: 'hunter2-secret' } })
    atEnd(registry.close)
    for (const password of [undefined, 'wrong-secret']) {
      const store = openRegistry(
        { registry: registry.host, repository: 'a/b' },
        {
          addresses: {},
          credentials: async () => (password === undefined ? undefined : { kind: 'password', username: 'ann', password }),
        },
      )
      const error = await store.exists(blob).catch((thrown) => thrown)
      expect(error).toMatchObject({ code: 'RFO_CONTENT_LOGIN', exit: 'outside', next: `docker login ${registry.host}` })
      expect(JSON.stringify([error.message, error.details, error.where, error.next, String(error.cause), error.stack])).not.toMatch(
        /secret|YW5u/,
      )
    }
  })

  test('no config, no credentials', async () => {
    expect(await dockerCredentials({})('docker.io')).toBeUndefined()
    expect(await dockerCredentials({ DOCKER_CONFIG: '/nowhere' })('docker.io')).toBeUndefined()
  })
})
