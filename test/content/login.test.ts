/** Basic and bearer logins, and where credentials come from. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseChallenges } from '../../src/content/challenge.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { type CredentialSource, dockerCredentials } from '../../src/content/credentials.ts'
import { endpointOf } from '../../src/content/endpoint.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { createRegistrySession, openRegistry } from '../../src/content/registry.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { tool } from '../tools.ts'
import { pushImage } from './graphs.ts'
import { atEnd, temporaryFolder } from './places.ts'

const ann: CredentialSource = async () => ({ kind: 'password', username: 'ann', password: 'pass:word' })

test.each(['basic', 'bearer'] as const)('%s: pushes, reads, mounts, tags', async (kind) => {
  const registry = await startRegistry({ login: { kind, username: 'ann', password: 'pass:word' } })
  atEnd(registry.close)
  const session = createRegistrySession({ credentials: ann })
  const from = memoryStore()
  const { index, all } = await pushImage(from, kind)
  const open = (repository: string) => openRegistry({ registry: registry.host, repository }, { addresses: {}, session })
  const how: string[] = []
  for (const repository of ['one', 'two']) {
    await copyGraph([index], from, open(repository), { concurrency: 4, onCopied: (_, each) => how.push(each) })
    await open(repository).tag(index, 'v1')
  }
  for (const each of all) expect(await open('two').exists(each)).toBe(true)
  expect(how.filter((each) => each === 'mounted')).toHaveLength(all.length - 3) // all but two manifests and the index
})

test('a token that runs out is fetched anew', async () => {
  const registry = await startRegistry({ login: { kind: 'bearer', username: 'ann', password: 'pass:word', tokenUses: 3 } })
  atEnd(registry.close)
  const retry = { wait: async () => {} }
  const store = openRegistry({ registry: registry.host, repository: 'x' }, { addresses: {}, credentials: ann, retry })
  const { index } = await pushImage(store, 'short')
  const back = memoryStore()
  await copyGraph([index], store, back, { concurrency: 2 })
  expect(await back.exists(index)).toBe(true)
})

describe('the Docker config', () => {
  const config = (value: object): string => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'config.json'), JSON.stringify(value))
    return folder
  }
  const auth = Buffer.from('ann:pass:word').toString('base64')
  const expected = { kind: 'password', username: 'ann', password: 'pass:word' }

  test.each([
    ['registry.example:5000', 'registry.example:5000'],
    ['https://registry.example:5000/v2/', 'registry.example:5000'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['docker.io', 'docker.io'],
  ])('auths %s serves %s', async (key, registry) => {
    const credentials = dockerCredentials({ DOCKER_CONFIG: config({ auths: { [key]: { auth } } }) })
    expect(await credentials(registry)).toEqual(expected)
    expect(await credentials('registry.example')).toBeUndefined()
  })

  test('HOME/.docker is looked at when DOCKER_CONFIG says nothing', async () => {
    const home = temporaryFolder()
    expect(await dockerCredentials({ HOME: home, DOCKER_CONFIG: '' })('x.example')).toBeUndefined()
  })

  test('refresh tokens', async () => {
    const credentials = dockerCredentials({ DOCKER_CONFIG: config({ auths: { 'a.example': { auth, identitytoken: 'refresh' } } }) })
    expect(await credentials('a.example')).toEqual({ kind: 'refresh', token: 'refresh' })
  })

  test.each([
    ['credHelpers', { credHelpers: { 'a.example': 'test' } }],
    ['credsStore', { credsStore: 'test' }],
  ])('asks the helper: %s', async (_, value) => {
    const folder = temporaryFolder()
    const script = `#!/bin/sh\nread name\n[ "$1 $name" = "get a.example" ] || { echo 'credentials not found'; exit 1; }\necho '{"ServerURL":"a.example","Username":"ann","Secret":"pass:word"}'\n`
    writeFileSync(join(folder, 'docker-credential-test'), script)
    chmodSync(join(folder, 'docker-credential-test'), 0o755)
    const env = { PATH: `${folder}:/usr/bin:/bin`, DOCKER_CONFIG: config(value) }
    expect(await dockerCredentials(env)('a.example')).toEqual(expected)
    expect(await dockerCredentials(env)('b.example')).toBeUndefined()
  })

  test('a helper that is not there, or has a path in its name', async () => {
    const missing = dockerCredentials({ PATH: '/nowhere', DOCKER_CONFIG: config({ credsStore: 'absent' }) })
    await expect(missing('a.example')).rejects.toMatchObject({ code: 'RFO_CONTENT_CREDENTIALS', exit: 'machine' })
    const path = dockerCredentials({ PATH: '/nowhere', DOCKER_CONFIG: config({ credsStore: '../x' }) })
    await expect(path('a.example')).rejects.toMatchObject({ code: 'RFO_CONTENT_CREDENTIALS', exit: 'usage' })
  })

  test('a file that is no JSON is not quoted', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'config.json'), '{"auths": secret')
    const error = await dockerCredentials({ DOCKER_CONFIG: folder })('a.example').catch((thrown) => thrown)
    expect(error.code).toBe('RFO_CONTENT_CREDENTIALS')
    expect(`${error.message}${error.cause}`).not.toContain('secret')
  })
})

describe('challenges', () => {
  test('several, quoted, in one header', () => {
    expect(
      parseChallenges('Basic realm="a, b", Bearer realm="https://x/token",service="s \\"q\\"",scope="repository:a:pull,push"'),
    ).toEqual([
      { scheme: 'basic', parameters: { realm: 'a, b' } },
      { scheme: 'bearer', parameters: { realm: 'https://x/token', service: 's "q"', scope: 'repository:a:pull,push' } },
    ])
  })

  test('hostile ones end', () => {
    expect(parseChallenges('')).toEqual([])
    expect(parseChallenges('"')).toEqual([])
    expect(parseChallenges(`Bearer realm="${'a'.repeat(1e6)}`)).toEqual([{ scheme: 'bearer', parameters: {} }])
    expect(parseChallenges('a '.repeat(1e5)).length).toBeLessThanOrEqual(8)
    expect(parseChallenges('Bearer __proto__="x"')[0]?.parameters.realm).toBeUndefined()
  })
})

/** A server that sends everybody elsewhere and remembers what it was told. */
async function seer(answer: (path: string) => { status: number; headers: Record<string, string>; body?: string }) {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers)
    const { status, headers, body } = answer(request.url ?? '')
    response.writeHead(status, headers).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

describe('who sees credentials', () => {
  test('a redirect to another host does not', async () => {
    const blob = await seer(() => ({ status: 200, headers: {}, body: 'bytes' }))
    const registry = await seer((path) =>
      path.includes('/blobs/')
        ? { status: 307, headers: { location: `http://${blob.host}/elsewhere?signature=1` } }
        : { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    )
    const store = openRegistry({ registry: registry.host, repository: 'x' }, { addresses: {}, credentials: ann, retry: { attempts: 1 } })
    await store.resolve('v1').catch(() => {})
    const target = await pushBytes(memoryStore(), mediaTypes.octets, 'bytes')
    expect(Buffer.from(await readBytes(store, target)).toString()).toBe('bytes')
    expect(registry.seen.at(-1)?.authorization).toMatch(/^Basic /)
    expect(blob.seen.at(-1)?.authorization).toBeUndefined()
  })

  test('redirects without end do', async () => {
    const round = await seer((path) => ({ status: 307, headers: { location: path } }))
    const store = openRegistry({ registry: round.host, repository: 'x' }, { addresses: {} })
    await expect(store.exists(await pushBytes(memoryStore(), mediaTypes.octets, 'bytes'))).rejects.toMatchObject({
      code: 'RFO_CONTENT_REFUSED',
    })
  })

  test('a token server by plain http elsewhere does not', async () => {
    const registry = await seer(() => ({ status: 401, headers: { 'www-authenticate': 'Bearer realm="http://evil.example/token"' } }))
    const store = openRegistry({ registry: registry.host, repository: 'x' }, { addresses: {}, credentials: ann })
    await expect(store.resolve('v1')).rejects.toMatchObject({ code: 'RFO_CONTENT_LOGIN' })
  })
})

describe('where a repository is reached', () => {
  test.each([
    ['docker.io', 'rancher/x', {}, 'https://registry-1.docker.io/', 'rancher/x', 'docker.io'],
    ['docker.io', 'rancher/x', { 'docker.io': 'http://127.0.0.1:5000' }, 'http://127.0.0.1:5000/', 'rancher/x', '127.0.0.1:5000'],
    ['docker.io', 'rancher/x', { 'docker.io': 'https://m.example/hub' }, 'https://m.example/', 'hub/rancher/x', 'm.example'],
    ['docker.io', 'rancher/x', { 'docker.io': 'm.example' }, 'https://m.example/', 'rancher/x', 'm.example'],
    ['m.example', 'x', { 'm.example': 'http://plain.example:80' }, 'http://plain.example/', 'x', 'plain.example:80'],
    ['localhost:5000', 'x', {}, 'http://localhost:5000/', 'x', 'localhost:5000'],
    ['[::1]:5000', 'x', {}, 'http://[::1]:5000/', 'x', '[::1]:5000'],
    ['127.0.0.1.example', 'x', {}, 'https://127.0.0.1.example/', 'x', '127.0.0.1.example'],
    ['quay.io', 'a/b', {}, 'https://quay.io/', 'a/b', 'quay.io'],
  ])('%s/%s', (registry, repository, addresses, base, at, login) => {
    expect(endpointOf({ registry, repository }, addresses as Record<string, string>)).toEqual({
      base: new URL(base),
      repository: at,
      login,
    })
  })

  test.each([
    ['quay.io', '../x'],
    ['quay.io/..', 'x'],
    ['user:pass@quay.io', 'x'],
    ['quay.io', 'x?y'],
    ['', 'x'],
  ])('%s/%s is refused', (registry, repository) => {
    expect(() => endpointOf({ registry, repository }, {})).toThrow()
  })
})

describe('connections', () => {
  const openssl = tool('openssl')
  test.skipIf(openssl.skip)('https: an unknown certificate is refused at once, a given one is trusted', async () => {
    const folder = temporaryFolder()
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    execFileSync(openssl.path, ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
    let location: string | undefined
    let requests = 0
    const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_, response) => {
      requests += 1
      response.writeHead(location === undefined ? 200 : 307, location === undefined ? {} : { location }).end('bytes')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(() => {
      server.closeAllConnections()
      server.close()
    })
    const registry = `localhost:${(server.address() as AddressInfo).port}`
    const addresses = { [registry]: `https://${registry}` }
    const target = await pushBytes(memoryStore(), mediaTypes.octets, 'bytes')
    const stranger = openRegistry({ registry, repository: 'x' }, { addresses })
    await expect(readBytes(stranger, target)).rejects.toMatchObject({ code: 'RFO_CONTENT_OUTSIDE', exit: 'outside' })
    expect(requests).toBe(0)
    const session = createRegistrySession({ ca: readFileSync(certificate, 'utf8') })
    const store = openRegistry({ registry, repository: 'x' }, { addresses, session })
    expect((await readBytes(store, target)).length).toBe(5)
    location = 'http://plain.example/x'
    await expect(readBytes(store, target)).rejects.toMatchObject({
      code: 'RFO_CONTENT_REFUSED',
      message: expect.stringContaining('plain.example'),
    })
  })

  test('a proxy is used when it is given, and not for loopback', async () => {
    const proxy = await seer(() => ({ status: 200, headers: {}, body: 'bytes' }))
    const direct = await seer(() => ({ status: 200, headers: {}, body: 'bytes' }))
    const target = await pushBytes(memoryStore(), mediaTypes.octets, 'bytes')
    const options = {
      addresses: { 'registry.example': 'http://registry.example' },
      proxy: { HTTP_PROXY: `http://${proxy.host}`, NO_PROXY: 'other.example' },
    }
    await readBytes(openRegistry({ registry: 'registry.example', repository: 'x' }, options), target)
    expect(proxy.seen.at(-1)?.host).toBe('registry.example')
    await readBytes(openRegistry({ registry: direct.host, repository: 'x' }, options), target)
    expect([proxy.seen.length, direct.seen.length]).toEqual([1, 1])
  })
})
