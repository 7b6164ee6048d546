import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { download } from '../../src/source/download.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'

const body = Buffer.from('the source\n'.repeat(100_000))
const expected = { digest: digestOf(body), size: body.length }
let server: Server
let base: string
let dir: string
let requests: string[] = []
let answer: (request: IncomingMessage, response: ServerResponse, nth: number) => void

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '')
    answer(request, response, requests.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(async () => {
  requests = []
  answer = (_, response) => response.end(body)
  dir = await mkdtemp(join(tmpdir(), 'rfo-download-'))
  return () => rm(dir, { recursive: true, force: true })
})

const waits: number[] = []
const get = (more: Partial<Parameters<typeof download>[0]> = {}) =>
  download({
    url: 'https://example.org/a.tar.gz',
    addresses: { 'https://example.org/': `${base}/` },
    env: {},
    workDir: dir,
    sleep: async (ms) => void waits.push(ms),
    ...more,
  })
const left = () => readdir(join(dir, 'downloads'))

test('is reached by its address, kept by its digest, and not fetched again', async () => {
  const first = await get({ expected })
  expect(first).toMatchObject(expected)
  expect((await readFile(first.file)).equals(body)).toBe(true)
  await get({ expected })
  expect(requests).toEqual(['/a.tar.gz'])
})

test('a damaged copy is fetched again', async () => {
  const { file } = await get({ expected })
  await writeFile(file, Buffer.alloc(body.length))
  expect((await readFile((await get({ expected })).file)).equals(body)).toBe(true)
  expect(requests.length).toBe(2)
})

test.each([
  ['other bytes', Buffer.from(body).fill('x', 5, 6)],
  ['fewer bytes', body.subarray(0, 10)],
  ['more bytes', Buffer.concat([body, body])],
])('%s are refused, naming what was expected and what came, and nothing stays', async (_, bytes) => {
  answer = (__, response) => response.end(bytes)
  await expect(get({ expected })).rejects.toMatchObject({
    code: 'RFO_SOURCE_SUM',
    exit: 'untrusted',
    message: expect.stringContaining(expected.digest),
  })
  expect(requests.length).toBe(1)
  expect(await left()).toEqual([])
})

test.each([429, 500, 503])('%i passes: tried again with growing waits', async (status) => {
  waits.length = 0
  answer = (_, response, nth) => (nth < 3 ? response.writeHead(status).end() : response.end(body))
  await get({ expected })
  expect(waits).toEqual([500, 1000])
})

test('half a body is tried again, and in the end the error is outside', async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, 1000))
    setTimeout(() => response.destroy(), 20)
  }
  await expect(get({ expected })).rejects.toMatchObject({ code: 'RFO_SOURCE_DOWNLOAD', exit: 'outside' })
  expect(requests.length).toBe(4)
  expect(await left()).toEqual([])
})

test('404 is final; redirects are followed, not for ever, and not to files', async () => {
  answer = (_, response) => response.writeHead(404).end()
  await expect(get({ expected })).rejects.toMatchObject({ code: 'RFO_SOURCE_DOWNLOAD', message: expect.stringContaining('HTTP 404') })
  expect(requests.length).toBe(1)
  answer = (request, response) => (request.url === '/a.tar.gz' ? response.writeHead(302, { location: '/b' }).end() : response.end(body))
  expect(await get({ expected })).toMatchObject(expected)
  answer = (_, response) => response.writeHead(302, { location: '/a' }).end()
  await expect(get({})).rejects.toMatchObject({ code: 'RFO_SOURCE_DOWNLOAD' })
  answer = (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()
  await expect(get({})).rejects.toMatchObject({ code: 'RFO_SOURCE_DOWNLOAD' })
})

test('a server that changes the protocol is asked again, and waited for by nobody', async () => {
  answer = (request, _, nth) => {
    if (nth > 1) return void request.socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    request.socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n')
  }
  expect(await get({ expected })).toMatchObject(expected)
  expect(requests.length).toBe(2)
})

test('an abort ends it and leaves nothing', async () => {
  const controller = new AbortController()
  answer = (_, response) => {
    response.write(body.subarray(0, 1000))
    setTimeout(() => controller.abort(new Error('enough')), 20)
  }
  await expect(get({ expected, signal: controller.signal })).rejects.toThrow('enough')
  expect(await left()).toEqual([])
})

test('an archive is resolved to its digest and opened as that alone', async () => {
  const { pack } = await import('tar-stream')
  const packer = pack()
  packer.entry({ name: 'tool-1/bin/amd64/x' }, 'x')
  packer.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packer as AsyncIterable<Buffer>) chunks.push(chunk)
  const tar = Buffer.concat(chunks)
  answer = (_, response) => response.end(tar)
  const options = { env: {}, addresses: { 'https://example.org/': `${base}/` }, host: 'linux-amd64' as const, workDir: dir }
  const pin = await resolveSource({ kind: 'archive', url: 'https://example.org/tool.tar' }, options)
  expect(pin).toEqual({ kind: 'archive', url: 'https://example.org/tool.tar', digest: digestOf(tar), size: tar.length })
  const opened = await openSource(pin, options)
  expect(await readFile(join(opened.dir, 'bin/amd64/x'), 'utf8')).toBe('x')
  expect(opened).toMatchObject({
    revision: pin.kind === 'archive' ? pin.url : '',
    materials: [{ uri: 'https://example.org/tool.tar', digest: { sha256: hex(digestOf(tar)) } }],
  })
  await rm(opened.dir, { recursive: true })
  expect(await readdir(join(dir, 'sources'))).toEqual([])
})

test('several mirrors: the next one where one is gone or lacks it; other bytes are refused, not passed over', async () => {
  const gone = 'http://127.0.0.1:1'
  const mirrors = (...places: string[]) => ({ 'https://example.org/': places })
  const before = [...waits]
  expect(await get({ expected, addresses: mirrors(`${gone}/`, `${base}/`) })).toMatchObject(expected)
  expect(waits).toEqual(before) // nobody was waited for
  await rm(join(dir, 'downloads'), { recursive: true })
  requests = []
  answer = ({ url }, response) => (url?.startsWith('/empty/') ? response.writeHead(404).end() : response.end(body))
  expect(await get({ expected, addresses: mirrors(`${base}/empty/`, `${base}/full/`) })).toMatchObject(expected)
  expect(requests).toEqual(['/empty/a.tar.gz', '/full/a.tar.gz'])
  await rm(join(dir, 'downloads'), { recursive: true })
  requests = []
  answer = ({ url }, response) => response.end(url?.startsWith('/evil/') ? 'other bytes' : body)
  await expect(get({ expected, addresses: mirrors(`${base}/evil/`, `${base}/good/`) })).rejects.toMatchObject({
    code: 'RFO_SOURCE_SUM',
    exit: 'untrusted',
  })
  expect(requests).toEqual(['/evil/a.tar.gz'])
  answer = (_, response) => response.writeHead(404).end()
  await expect(get({ expected, addresses: mirrors(`${base}/a/`, `${base}/b/`) })).rejects.toMatchObject({ code: 'RFO_SOURCE_DOWNLOAD' })
})
