/** What comes of checks, counted; and what is no result of any. The checks themselves run in a cluster: test/real/checks.test.ts. */
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiPorts } from '../../src/conformance/checks/check.ts'
import { checkNames, checks, commandsText } from '../../src/conformance/checks/checks.ts'
import { inNamespace } from '../../src/conformance/checks/kubectl.ts'
import { countChecks, type Outcomes, outcomesFile, readCheckResults } from '../../src/conformance/checks/outcome.ts'
import { runChecks } from '../../src/conformance/checks/run.ts'
import { packJson } from '../../src/conformance/pack.ts'
import { RfoError } from '../../src/error.ts'
import type { Json } from '../../src/oci/json.ts'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-checks-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const serverVersion = { gitVersion: 'v1.25.4+rfor1', platform: 'linux/amd64' }
const pack = async (content: Json, version: Json = serverVersion): Promise<string> => {
  const file = join(scratch, 'results.tar.gz')
  await packJson(file, outcomesFile, content, { serverVersion: version, facts: {} })
  return file
}
const read = (file: string) => readCheckResults(createReadStream(file))

const some: Outcomes = {
  'air-gap': { result: 'passed', seen: { refused: 'Failed to pull' } },
  'helm-chart': { result: 'failed', why: 'not within 120 seconds\nof time', excerpt: ['one', 'two'] },
  'rfo-install': { result: 'not proven', why: 'needs an installed rfo' },
}

describe('what came of checks', () => {
  test('is what was packed, and is counted by name', async () => {
    const results = await read(await pack(some))
    expect(results).toEqual({ outcomes: some, kubernetes: { version: 'v1.25.4+rfor1', platform: 'linux/amd64' } })
    expect(countChecks(results)).toMatchObject({
      kind: 'checks',
      result: 'FAILED',
      passed: ['air-gap'],
      failed: ['helm-chart'],
      notProven: { 'rfo-install': 'needs an installed rfo' },
      facts: { counts: { ran: 2, passed: 1, failed: 1, notProven: 1 }, why: ['helm-chart: not within 120 seconds of time'] },
    })
    const { 'helm-chart': _, ...good } = some
    expect(countChecks(await read(await pack(good))).result).toBe('PASSED')
  })

  test.each<[string, Json, Json?]>([
    ['no result of that name', { 'air-gap': { result: 'skipped', why: '' } }],
    ['a name that is none', { 'Air Gap': { result: 'not proven', why: '' } }],
    ['more than is known', { 'air-gap': { result: 'not proven', why: '', passed: true } }],
    ['no object', ['air-gap']],
    ['no version of the server', some, {}],
  ])('%s: refused', async (_why, content, version = serverVersion) => {
    await expect(read(await pack(content, version))).rejects.toMatchObject({ code: 'RFO_CONFORMANCE_RESULTS', exit: 'untrusted' })
  })

  test('a tarball without them is refused, and so is none', async () => {
    const file = join(scratch, 'other.tar.gz')
    await packJson(file, 'other.json', some, { serverVersion, facts: {} })
    await expect(read(file)).rejects.toMatchObject({ code: 'RFO_CONFORMANCE_RESULTS' })
    await writeFile(file, gzipSync('no tar'))
    await expect(read(file)).rejects.toMatchObject({ code: 'RFO_CONFORMANCE_RESULTS' })
  })
})

describe('a cluster that is somebody’s', () => {
  const ports = (answer: ApiPorts['exec']): ApiPorts => ({ exec: answer, seconds: 1, signal: new AbortController().signal, images: {} })
  const nothing = { stdout: Buffer.alloc(0), stderr: '' }

  test('without helm-controller: nothing is proven, and each says what it needs', async () => {
    const began: string[] = []
    const outcomes = await runChecks({ kind: 'api', ports: ports(async () => nothing) }, (name) => began.push(name))
    expect(Object.keys(outcomes)).toEqual([...checkNames])
    expect(new Set(Object.values(outcomes).map(({ result }) => result))).toEqual(new Set(['not proven']))
    expect(began).toEqual(checkNames.filter((name) => checks[name].needs === 'api'))
    expect(outcomes['helm-chart']).toMatchObject({ why: expect.stringContaining('no helm-controller in this cluster') })
    expect(outcomes['node-restart']).toMatchObject({ why: expect.stringContaining('--cluster local') })
    expect(outcomes['rfo-etcd-snapshot']).toMatchObject({ why: expect.stringContaining('rfo etcd-snapshot save --name check') })
  })

  test('an API that refuses is a failure of the check; a machine without kubectl is nobody’s', async () => {
    const refusing = ports(async () => {
      throw new RfoError('RFO_EXEC_FAILED', 'kubectl ended with 1', { exit: 'build', details: ['refused'] })
    })
    const outcomes = await runChecks({ kind: 'api', ports: refusing }, () => {})
    expect(outcomes['helm-chart']).toMatchObject({ result: 'failed', why: 'kubectl ended with 1', excerpt: ['refused', ''] })
    const absent = ports(async () => {
      throw new RfoError('RFO_EXEC_ABSENT', 'no program kubectl on the PATH', { exit: 'machine' })
    })
    await expect(runChecks({ kind: 'api', ports: absent }, () => {})).rejects.toMatchObject({ code: 'RFO_EXEC_ABSENT' })
  })
})

test('a check begins when its namespace has its service account: a pod before it is refused', async () => {
  let asked = 0
  const late: ApiPorts['exec'] = async (argv) => {
    if (!argv.includes('serviceaccount')) return { stdout: Buffer.alloc(0), stderr: '' }
    asked += 1
    if (asked < 3) throw new RfoError('RFO_EXEC_FAILED', 'serviceaccounts "default" not found', { exit: 'build' })
    return { stdout: Buffer.from('default'), stderr: '' }
  }
  const ports = { exec: late, seconds: 10, signal: new AbortController().signal, images: {} }
  expect(await inNamespace(ports, 'one', async () => asked)).toBe(3)
})

test('the page names every check, and the commands of those that nobody has run', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8')
  for (const name of checkNames) {
    const check = checks[name]
    expect(page).toContain(`| \`${name}\` | ${check.title.en} |`)
    if (check.needs === 'rfo') expect(page).toContain(`\`${commandsText(check.commands)}\``)
  }
})
