/** The server over an offer made by hand: what it refuses, what it cuts off, and that nothing wrong ever arrives whole. */
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { checkedReader, pieceBytes } from '../../src/serve/checked.ts'
import type { Offer, OfferedFile } from '../../src/serve/offer.ts'
import { htpasswdGate } from '../../src/serve/passwords.ts'
import { rangeOf } from '../../src/serve/range.ts'
import { type ServeRequest, type Serving, serveOffer } from '../../src/serve/server.ts'

const large = randomBytes(2 * pieceBytes + 1000)
let serving: Serving | undefined
const refused: string[] = []
afterEach(async () => {
  await serving?.close()
  serving = undefined
  refused.splice(0)
})

/** One file, `a+b/c.txt`, which is what `bytes` are when it is read. */
function offerOf(bytes: Buffer, lies: Buffer = bytes): Offer {
  const file: OfferedFile = { path: 'a+b/c.txt', size: bytes.length, digest: digestOf(bytes) }
  return {
    files: new Map([[file.path, file]]),
    blobs: new Map([[file.digest, file]]),
    nodes: new Map(),
    tags: new Map([['rfolabs/a', new Map(['v3', 'v1', 'v2'].map((tag) => [tag, file.digest]))]]),
    referrers: new Map(),
    open: (_, range) => chunks(lies.subarray(range?.start, range?.end)),
  }
}

/** As a disk gives them. */
async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}

async function start(offer: Offer, more: Partial<ServeRequest> = {}): Promise<string> {
  const onRefused = (path: string, thrown: unknown): void => void refused.push(`${path} ${(thrown as RfoError).code}`)
  serving = await serveOffer({ offer, host: '127.0.0.1', port: 0, onRefused, limits: { grace: 100 }, ...more })
  return serving.url
}

interface Answered {
  /** 0 = the connection broke off before anything came */
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  /** whether all came that `content-length` promised */
  readonly whole: boolean
}

/** With the path as it is written: fetch would resolve `..` itself. */
function ask(url: string, path: string, options: http.RequestOptions = {}): Promise<Answered> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const request = http.request(url, { path, agent: false, ...options }, (response) => {
      const done = (): void =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), whole: response.complete })
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', done)
      response.on('error', done)
    })
    request.on('error', () => resolve({ status: 0, headers: {}, body: Buffer.alloc(0), whole: false }))
    request.end()
  })
}

test('a range is what RFC 9110 says: first, last, from the end, beyond the end, several', () => {
  const ranges = [
    'bytes=0-0',
    'bytes=5-',
    'bytes=-3',
    'bytes=8-99',
    'bytes=10-',
    'bytes=-0',
    'bytes=5-4',
    'bytes=0-1,3-4',
    'lines=1-2',
    undefined,
  ]
  expect(ranges.map((each) => rangeOf(each, 10))).toEqual([
    { start: 0, end: 1 },
    { start: 5, end: 10 },
    { start: 7, end: 10 },
    { start: 8, end: 10 },
    'none',
    'none',
    ...[undefined, undefined, undefined, undefined],
  ])
})

test('whole, in part, not at all when it is known: files and blobs, GET and HEAD', async () => {
  const url = await start(offerOf(large))
  const blob = `/v2/rfolabs/a/blobs/${digestOf(large)}`
  for (const path of ['/a+b/c.txt', '/a%2Bb/c.txt', blob]) {
    const whole = await ask(url, path)
    expect([whole.status, whole.body.equals(large), whole.whole]).toEqual([200, true, true])
    const head = await ask(url, path, { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, String(large.length), 0])
    for (const [start, last] of [
      [0, 0],
      [pieceBytes - 1, pieceBytes],
      [pieceBytes + 7, large.length - 1],
    ] as const) {
      const part = await ask(url, path, { headers: { range: `bytes=${start}-${last}` } })
      expect([part.status, part.headers['content-range']]).toEqual([206, `bytes ${start}-${last}/${large.length}`])
      expect(part.body.equals(large.subarray(start, last + 1))).toBe(true)
    }
    expect((await ask(url, path, { headers: { range: `bytes=${large.length}-` } })).status).toBe(416)
    expect((await ask(url, path, { headers: { 'if-none-match': String(whole.headers.etag) } })).status).toBe(304)
    // a part of what is no longer the same is of no use: all of it
    expect((await ask(url, path, { headers: { range: 'bytes=1-2', 'if-range': '"another"' } })).status).toBe(200)
  }
})

test.each([
  ['another byte', (bytes: Buffer) => (bytes[large.length - 5] = (bytes[large.length - 5] ?? 0) ^ 1)],
  ['another byte at the beginning', (bytes: Buffer) => (bytes[0] = (bytes[0] ?? 0) ^ 1)],
])('a file with %s never arrives whole, and no range of it arrives at all', async (_, change) => {
  const lies = Buffer.from(large)
  change(lies)
  const url = await start(offerOf(large, lies))
  expect((await ask(url, '/a+b/c.txt')).whole).toBe(false)
  expect((await ask(url, '/a+b/c.txt', { headers: { range: 'bytes=300000-300001' } })).status).toBe(0)
  expect(refused).toEqual(['a+b/c.txt RFO_CONTENT_DIGEST', 'a+b/c.txt RFO_CONTENT_DIGEST'])
})

test('fewer bytes than signed, and a range that changes after its file was hashed, break off', async () => {
  const url = await start(offerOf(large, large.subarray(0, 1000)))
  expect((await ask(url, '/a+b/c.txt')).whole).toBe(false)
  const lies = Buffer.from(large)
  const reader = checkedReader(offerOf(large, lies))
  const file = offerOf(large).files.get('a+b/c.txt') as OfferedFile
  const read = async (): Promise<number> => {
    let size = 0
    for await (const bytes of reader.read(file, { start: 10, end: large.length })) size += bytes.length
    return size
  }
  await expect(read()).resolves.toBe(large.length - 10)
  lies[pieceBytes + 1] = (lies[pieceBytes + 1] ?? 0) ^ 1
  await expect(read()).rejects.toThrow(/other bytes from 262144 on/)
})

test('nothing but GET and HEAD; nothing beside the listed paths; the API’s own errors', async () => {
  const url = await start(offerOf(large))
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
    expect((await ask(url, '/v2/rfolabs/a/blobs/uploads/', { method })).status).toBe(405)
  const escapes = [
    '/../etc/passwd',
    '/a+b/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/a+b%2f..%2f..%2fetc/passwd',
    '//etc/passwd',
    '/a+b/',
    '/a+b/c.txt%00',
  ]
  for (const path of escapes) expect((await ask(url, path)).status).toBe(404)
  expect((await ask(url, '/%zz')).status).toBe(400)
  const code = async (path: string): Promise<string> => JSON.parse((await ask(url, path)).body.toString()).errors?.[0]?.code
  expect(await code('/v2/rfolabs/b/manifests/v1')).toBe('NAME_UNKNOWN')
  expect(await code('/v2/rfolabs/a/manifests/v9')).toBe('MANIFEST_UNKNOWN')
  expect(await code('/v2/rfolabs/a/blobs/sha256:0')).toBe('DIGEST_INVALID')
  expect(await code(`/v2/rfolabs/a/blobs/sha256:${'0'.repeat(64)}`)).toBe('BLOB_UNKNOWN')
  // bytes that are no manifest are none, whoever tags them
  expect(await code('/v2/rfolabs/a/manifests/v1')).toBe('MANIFEST_UNKNOWN')
  const page = await ask(url, '/v2/rfolabs/a/tags/list?n=2')
  expect(JSON.parse(page.body.toString())).toEqual({ name: 'rfolabs/a', tags: ['v1', 'v2'] })
  expect(page.headers.link).toBe('</v2/rfolabs/a/tags/list?n=2&last=v2>; rel="next"')
  expect(JSON.parse((await ask(url, '/v2/rfolabs/a/tags/list?n=2&last=v2')).body.toString()).tags).toEqual(['v3'])
})

/** `user` and `right horse`, by libxcrypt */
const users = 'user:$2b$05$pDGllR9dXhJzexMDKj16g.C6FYn8POTV1rTZaxE5MvtuSBeJLH1kO\n'

test('passwords of another program’s bcrypt; whoever has none, or a wrong one, gets nothing', async () => {
  const url = await start(offerOf(large), { gate: htpasswdGate(`# site\n\n${users}`, 'users') })
  const as = async (auth: string | undefined): Promise<number> => (await ask(url, '/a+b/c.txt', auth === undefined ? {} : { auth })).status
  const none = await ask(url, '/v2/')
  expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Basic realm="rfo"'])
  expect([
    await as(undefined),
    await as('user:wrong'),
    await as('other:right horse'),
    await as('user:right horse'),
    await as('user:wrong'),
  ]).toEqual([401, 401, 401, 200, 401])
  // guesses wait for each other, and only so many of them
  const gate = htpasswdGate(users, 'users')
  const guess = (_: unknown, index: number) => gate(`Basic ${Buffer.from(`user:${index}`).toString('base64')}`)
  const verdicts = await Promise.all(Array.from({ length: 20 }, guess))
  expect([verdicts.filter((each) => each === 'no').length, verdicts.filter((each) => each === 'busy').length]).toEqual([16, 4])
  for (const line of ['user', 'user:{SHA}abc', 'user:$apr1$x$y', `user:$2y$20$${'a'.repeat(53)}`, `:$2y$05$${'a'.repeat(53)}`])
    expect(() => htpasswdGate(line, 'users')).toThrow(RfoError)
  expect(() => htpasswdGate('# nobody\n', 'users')).toThrow('no user in it')
})

test('who sends slowly, takes slowly or sends without end is cut off; others are served meanwhile', async () => {
  const huge = Buffer.alloc(64 * 1024 * 1024)
  const url = await start(offerOf(huge), { limits: { patience: 700, grace: 100 } })
  const { port } = new URL(url)
  const cutOff = (sent: string, each?: string): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = net.connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      const timer = each === undefined ? undefined : setInterval(() => socket.write(each), 50)
      const late = setTimeout(() => resolve(false), 20_000)
      socket.on('close', () => {
        clearInterval(timer)
        clearTimeout(late)
        resolve(true)
      })
      socket.write(sent)
      // takes nothing of the answer until it is cut off, which is only seen by who reads
      if (each === undefined && sent.endsWith('\r\n\r\n')) setTimeout(() => socket.resume(), 3000)
      else socket.resume()
    })
  const [header, body, reader, silent, meanwhile] = await Promise.all([
    cutOff('GET / HTTP/1.1\r\nhost: a\r\n', 'x: y\r\n'),
    cutOff('PUT /v2/rfolabs/a/blobs/uploads/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n', 'z'.repeat(1000)),
    cutOff('GET /a+b/c.txt HTTP/1.1\r\nhost: a\r\n\r\n'),
    cutOff(''),
    ask(url, '/v2/'),
  ])
  expect([header, body, reader, silent, meanwhile.status]).toEqual([true, true, true, true, 200])
})

test('a port that is taken is said; closing ends what is under way', async () => {
  const url = await start(offerOf(large))
  await expect(
    serveOffer({ offer: offerOf(large), host: '127.0.0.1', port: Number(new URL(url).port), onRefused() {} }),
  ).rejects.toMatchObject({ code: 'RFO_SERVE_LISTEN', exit: 'machine' })
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  const gone = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  await serving?.close()
  await gone
  expect((await ask(url, '/')).status).toBe(0)
})
