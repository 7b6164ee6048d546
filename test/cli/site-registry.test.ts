/**
 * A site's registry as sites have them: behind a proxy, with a certificate of their own, a login that a credential helper knows, as the
 * mirror of a public one. Every command meets registries through one of three doors: what releases pull by, what `lock` asks by, `load`.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CliContext } from '../../src/cli/context.ts'
import { givenCa } from '../../src/cli/given-file.ts'
import { mirrorsOf } from '../../src/cli/mirrors.ts'
import { withPorts } from '../../src/cli/world.ts'
import { dockerCredentials } from '../../src/content/credentials.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { resolvers } from '../../src/release/resolvers.ts'
import { type RunningRegistry, startRegistry } from '../../src/sandbox/registry.ts'
import { pushImage } from '../content/graphs.ts'
import { madeProject, type Project, run, version } from '../release/project.ts'
import { tool } from '../tools.ts'

const openssl = tool('openssl')
const site = 'registry.site:5443'
let scratch: string
let registry: RunningRegistry
let project: Project
let index: Descriptor
let env: Record<string, string>
const closing: (() => unknown)[] = []
/** hosts that the proxy was asked for */
const asked: string[] = []

async function listening(server: http.Server | https.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

beforeAll(async () => {
  if (openssl.skip) return
  project = await madeProject('amd64')
  scratch = await mkdtemp(join(tmpdir(), 'rfo-site-'))
  const subject = ['-subj', '/CN=site', '-addext', 'subjectAltName=DNS:registry.site']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', 'site.key', '-out', 'site.crt']
  await promisify(execFile)(openssl.path, ['req', '-x509', ...kind, ...subject], { cwd: scratch })
  registry = await startRegistry({ login: { kind: 'basic', username: 'ann', password: 'pass:word' } })
  closing.push(registry.close)
  const to = new URL(registry.url)
  const [key, cert] = [await readFile(join(scratch, 'site.key')), await readFile(join(scratch, 'site.crt'))]
  const tls = await listening(
    https.createServer({ key, cert }, (request, response) => {
      const { method, url: path, headers } = request
      const through = http.request({ host: to.hostname, port: to.port, method, path, headers }, (answer) => {
        const { location } = answer.headers
        const moved = location === undefined ? {} : { location: location.replace(registry.url, `https://${site}`) }
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...moved })
        answer.pipe(response)
      })
      request.pipe(through)
    }),
  )
  const proxy = http.createServer((_, response) => response.writeHead(405).end())
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    const up = connect(tls, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      up.pipe(socket).pipe(up)
    })
    const end = (): void => {
      up.destroy()
      socket.destroy()
    }
    for (const each of [up, socket]) each.on('error', end)
  })
  const proxyPort = await listening(proxy)
  const helper = join(scratch, 'docker-credential-site')
  await writeFile(helper, `#!/bin/sh\nread name\n[ "$1 $name" = "get ${site}" ] && echo '{"Username":"ann","Secret":"pass:word"}'\n`)
  await chmod(helper, 0o755)
  await writeFile(join(scratch, 'config.json'), JSON.stringify({ credHelpers: { [site]: 'site' } }))
  env = {
    PATH: `${scratch}:${process.env.PATH}`,
    HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`,
    DOCKER_CONFIG: scratch,
    RFO_MIRRORS: `docker.io=https://${site}/mirror`,
  }
  const direct = openRegistry(
    { registry: registry.host, repository: 'mirror/rancher/pause' },
    { addresses: {}, credentials: async () => ({ kind: 'password', username: 'ann', password: 'pass:word' }) },
  )
  index = (await pushImage(direct, 'site')).index
  await direct.tag(index, '3.6')
})
afterAll(async () => {
  for (const close of closing) await close()
  await project?.remove()
  if (scratch !== undefined) await rm(scratch, { recursive: true, force: true })
})

const context = (change: Partial<CliContext> = {}): CliContext =>
  ({
    env,
    cwd: scratch,
    caFile: 'site.crt',
    storeDir: join(scratch, 'store'),
    secrets: [],
    progress: 'none',
    lang: 'en',
    stderr: { stream: process.stderr, isTTY: false, columns: 80, rows: 24, write: () => {} },
    now: () => 0,
    signal: new AbortController().signal,
    ...change,
  }) as CliContext

/** `release`, `build`, `sign` and `test` */
const pulled = (given: CliContext): Promise<Descriptor | undefined> =>
  withPorts(given, { env: given.env, addresses: mirrorsOf(given.env) }, ({ registries: session, addresses, signal }) =>
    openRegistry({ registry: 'docker.io', repository: 'rancher/pause' }, { addresses, session, signal, retry: { attempts: 1 } }).resolve(
      '3.6',
    ),
  )

describe.skipIf(openssl.skip)('proxy, certificate, credential helper, mirror', () => {
  test('what releases and builds pull by', async () => {
    expect(await pulled(context())).toMatchObject({ digest: index.digest })
    expect(new Set(asked)).toEqual(new Set([site]))
  })

  test('what `lock` asks by', async () => {
    const { signal } = context()
    const resolve = resolvers({
      env,
      addresses: mirrorsOf(env),
      credentials: dockerCredentials(env),
      ...(await givenCa(context())),
      workDir: scratch,
      signal,
      line: () => {},
    })
    expect(await resolve.image('docker.io/rancher/pause:3.6')).toMatchObject({ index: { digest: index.digest } })
  })

  test('`load`, the program itself', async () => {
    const ca = join(scratch, 'site.crt')
    const argv = ['load', version, '--key', '.rfo/sandbox/cosign.pub', '--to', `oci://${site}/loaded`]
    const ran = await run(project.folder, [...argv, '--ca', ca], env)
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/^present registry\.site:5443\/loaded\//) })
  })

  test('each of them is needed', async () => {
    await expect(pulled(context({ caFile: undefined }))).rejects.toMatchObject({ exit: 'outside' })
    await expect(pulled(context({ env: { ...env, DOCKER_CONFIG: '/nowhere' } }))).rejects.toMatchObject({ code: 'RFO_CONTENT_LOGIN' })
    const before = asked.length
    await expect(pulled(context({ env: { ...env, NO_PROXY: 'registry.site' } }))).rejects.toMatchObject({ exit: 'outside' })
    expect(asked.length).toBe(before)
    await expect(givenCa(context({ caFile: 'absent.crt' }))).rejects.toMatchObject({ code: 'RFO_CLI_VALUE', exit: 'usage' })
  })
})
