import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectGitHub, type GitHub } from '../../src/upstream/github.ts'
import { folderCache } from '../../src/upstream/github-cache.ts'
import { gitHubState } from '../../src/upstream/track-github.ts'
import { ensureIssues } from '../../src/upstream/track-issue.ts'
import { once, type Stand, standIn } from './github.ts'

const all = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/rke2-tags.json'), 'utf8')).tags as [string, string, string][]
const real = all.filter(([, commit]) => commit !== null)
const token = 'ghp_neverprinted0123456789'

let stand: Stand
let folder: string
beforeEach(async () => {
  stand = await standIn()
  stand.tags = real
  folder = mkdtempSync(join(tmpdir(), 'rfo-track-'))
})
afterEach(async () => {
  await stand.close()
  rmSync(folder, { recursive: true })
})

const connect = (change: Partial<Parameters<typeof connectGitHub>[0]> = {}): Promise<GitHub> =>
  connectGitHub({ url: stand.url, token, env: {}, userAgent: 'rfo-build/test', second: 20, ...change })
const november = (name: string): boolean => name === 'v1.24.8+rke2r1' || name === 'v1.25.4+rke2r1'
const paths = () => stand.asked.map(({ method, path, status }) => `${method} ${path} ${status}`)

describe('tags', () => {
  test('all 1,115 come over twelve pages, dates for those that are asked for, the token in no address', async () => {
    const tags = await gitHubState(await connect(), 'rancher/rke2').tags(november)
    expect(tags).toHaveLength(1115)
    expect(tags.filter(({ date }) => date !== undefined)).toEqual([
      { name: 'v1.24.8+rke2r1', commit: 'b061438ce1f04518d980aac842b62f92095d793d', date: '2022-11-14T14:25:00+01:00' },
      expect.objectContaining({ name: 'v1.25.4+rke2r1', date: '2022-11-14T10:43:25+01:00' }),
    ])
    expect(tags.map(({ name }) => name)).toContain('v1.25.15-rc1+rke2r2\u2028')
    expect(stand.asked).toHaveLength(14)
    expect(stand.asked.every(({ headers }) => headers.authorization === `token ${token}`)).toBe(true)
    expect(stand.asked.every(({ headers }) => headers['user-agent']?.includes('rfo-build/test'))).toBe(true)
    expect(paths().join('\n')).not.toContain(token)
  })

  test('a second run is answered with 304 and costs no quota; a changed page is taken', async () => {
    const cache = folderCache(join(folder, 'cache'))
    const first = await gitHubState(await connect({ cache }), 'rancher/rke2').tags(november)
    stand.asked.length = 0
    expect(await gitHubState(await connect({ cache }), 'rancher/rke2').tags(november)).toEqual(first)
    expect(stand.asked.map(({ status }) => status)).toEqual(Array(14).fill(304))
    stand.tags = [...real, ['v1.99.0+rke2r1', 'a'.repeat(40), '2026-11-22T00:00:00Z']]
    stand.asked.length = 0
    expect(await gitHubState(await connect({ cache }), 'rancher/rke2').tags(november)).toHaveLength(1116)
    expect(stand.asked.filter(({ status }) => status === 200)).toHaveLength(1)
    // what was kept is spoilt: as good as nothing
    for (const name of readdirSync(join(folder, 'cache'))) writeFileSync(join(folder, 'cache', name), '{"etag":')
    expect(await gitHubState(await connect({ cache }), 'rancher/rke2').tags(november)).toHaveLength(1116)
    expect(readdirSync(join(folder, 'cache')).every((name) => /^[0-9a-f]{64}\.json$/.test(name))).toBe(true)
  })

  test('a failure, a secondary rate limit and a used-up quota are waited out', async () => {
    const said: string[] = []
    const reset = String(Math.ceil(Date.now() / 1000) + 1)
    stand.faults.push(
      once(/page=2/, 500, {}, { message: 'Server Error' }),
      once(/page=3/, 403, { 'retry-after': '1' }, { message: 'You have exceeded a secondary rate limit.' }),
      once(/page=4/, 403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset }, { message: 'API rate limit exceeded' }),
    )
    const tags = await gitHubState(await connect({ line: (text) => said.push(text) }), 'rancher/rke2').tags(() => false)
    expect(tags).toHaveLength(1115)
    expect(stand.asked.filter(({ status }) => status !== 200).map(({ status }) => status)).toEqual([500, 403, 403])
    expect(said).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+: secondary rate limit, waiting 1 s$/),
      expect.stringMatching(/^127\.0\.0\.1:\d+: rate limit, waiting \d s$/),
    ])
  })

  test.each([
    [
      'a quota that is free again in an hour',
      403,
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 3600) },
      /status 403/,
      /GITHUB_TOKEN|later/,
    ],
    ['a bad token', 401, {}, /status 401/, /GITHUB_TOKEN/],
    ['no such repository', 404, {}, /status 404/, /repository/],
  ])('%s ends it with exit 8, and says neither token nor header', async (_, status, headers, what, next) => {
    stand.faults.push(once(/tags/, status, headers as unknown as Record<string, string>, { message: 'refused' }))
    const failed = await gitHubState(await connect(), 'rancher/rke2')
      .tags(() => false)
      .catch((thrown) => thrown)
    expect(failed).toMatchObject({ code: 'RFO_UPSTREAM_GITHUB', exit: 'outside' })
    expect(failed.message).toMatch(what)
    expect(failed.next).toMatch(next)
    expect(JSON.stringify([failed, failed.message, failed.stack, failed.details, String(failed.cause)])).not.toContain(token)
    expect(stand.asked).toHaveLength(1)
  })

  test('a server that repeats the token in its answer is not repeated; a token with a line break is refused unseen', async () => {
    stand.faults.push(once(/tags/, 404, {}, { message: `who is ${token}?` }))
    const tags = gitHubState(await connect(), 'rancher/rke2').tags(() => false)
    await expect(tags).rejects.toMatchObject({ message: expect.stringMatching(/who is \*\*\*\?/) })
    const refusal = await connect({ token: `${token}\n` }).catch((thrown) => thrown)
    expect(refusal).toMatchObject({ code: 'RFO_UPSTREAM_GITHUB', exit: 'usage', where: 'GITHUB_TOKEN' })
    expect(refusal.line()).not.toContain(token)
  })

  test('a next page at another host gets neither question nor token', async () => {
    const other = await standIn()
    stand.faults.push((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', link: `<${other.url}/steal>; rel="next"` }).end('[]')
      return true
    })
    await expect(gitHubState(await connect(), 'rancher/rke2').tags(() => false)).rejects.toMatchObject({
      exit: 'outside',
      code: 'RFO_UPSTREAM_GITHUB',
    })
    stand.faults.push((_, response) => {
      response.writeHead(302, { location: `${other.url}/steal` }).end()
      return true
    })
    await expect(gitHubState(await connect(), 'rancher/rke2').tags(() => false)).rejects.toMatchObject({
      message: expect.stringContaining('another place'),
    })
    expect(other.asked).toEqual([])
    await other.close()
  })

  test('a repository that was renamed is followed at the same host; an answer of another form is refused', async () => {
    stand.faults.push((request, response) => {
      if (!request.url?.startsWith('/repos/rancher/rke2/tags')) return false
      response.writeHead(301, { location: '/repos/rancher/rke2/tags?per_page=100&page=12', 'content-type': 'application/json' }).end('{}')
      return true
    })
    expect(await gitHubState(await connect(), 'rancher/rke2').tags(() => false)).toHaveLength(15)
    for (const body of [{ message: 'hello' }, [{ name: 'v1', commit: { sha: '../../etc' } }], [null]]) {
      stand.faults.push(once(/tags/, 200, {}, body))
      await expect(gitHubState(await connect(), 'rancher/rke2').tags(() => false)).rejects.toMatchObject({ exit: 'outside' })
    }
  })

  test('an answer without end is cut off, and not asked for again', async () => {
    const started = Date.now()
    stand.faults.push((_, response) => {
      const block = 'x'.repeat(1024 * 1024)
      const more = (): void => void (response.destroyed || response.write(block, () => setImmediate(more)))
      response.writeHead(200, { 'content-type': 'application/json' })
      more()
      return true
    })
    const large = gitHubState(await connect({ second: 60_000 }), 'rancher/rke2').tags(() => false)
    await expect(large).rejects.toMatchObject({ message: expect.stringMatching(/more than \d+ bytes/) })
    expect(Date.now() - started).toBeLessThan(5000)
  })

  test('nobody there: exit 8 after retries; an interruption does not wait for them', async () => {
    const { url } = stand
    await stand.close()
    await expect(gitHubState(await connect({ url }), 'rancher/rke2').tags(() => false)).rejects.toMatchObject({ exit: 'outside' })
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), 100)
    const started = Date.now()
    await expect(
      gitHubState(await connect({ url, second: 60_000, signal: controller.signal }), 'rancher/rke2').tags(() => false),
    ).rejects.toBe(reason)
    expect(Date.now() - started).toBeLessThan(3000)
    stand = await standIn()
  })

  test.each(['http://api.github.com', 'ftp://127.0.0.1', 'https://user:secret@github.test', 'https://github.test/?x', 'github'])(
    'a token is not given to %s',
    async (url) => {
      await expect(connect({ url })).rejects.toMatchObject({ code: 'RFO_UPSTREAM_GITHUB', exit: 'usage' })
    },
  )
})

describe('issues', () => {
  const text = { mark: 'v1.25.4+rfor1', title: 'v1.25.4+rfor1: follow RKE2 v1.25.4+rke2r1', body: 'please' }

  test('are opened once, however often it runs; a closed or renamed one counts, a pull request does not', async () => {
    stand.issues.push({ number: 1, title: 'mine', body: `<!-- rfo-build track: ${text.mark} -->`, state: 'open', pull_request: {} })
    const gitHub = await connect()
    expect(await ensureIssues(gitHub, 'rfolabs/rfo', [text])).toEqual([{ url: 'https://github.test/rfolabs/rfo/issues/2', created: true }])
    expect(stand.issues[0]).toMatchObject({ title: text.title, body: 'please\n\n<!-- rfo-build track: v1.25.4+rfor1 -->\n' })
    Object.assign(stand.issues[0] ?? {}, { title: 'something else', state: 'closed' })
    expect(await ensureIssues(gitHub, 'rfolabs/rfo', [text])).toEqual([{ url: 'https://github.test/rfolabs/rfo/issues/2', created: false }])
    expect(stand.asked.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect(stand.asked.find(({ method }) => method === 'GET')?.path).toContain('state=all')
  })

  test('have no home without owner/name', async () => {
    for (const home of ['', 'rfo', 'a/b/c']) {
      await expect(ensureIssues(await connect(), home, [text])).rejects.toMatchObject({ code: 'RFO_UPSTREAM_ISSUE', exit: 'usage' })
    }
    expect(stand.asked).toEqual([])
  })
})
