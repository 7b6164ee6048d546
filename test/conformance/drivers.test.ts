/**
 * The drivers against programs that answer as the real ones were recorded to: CI has the real hydrophone (test/real), the real
 * sonobuoy can't be installed from a registry. And what is read of ginkgo's lines.
 */

import { createReadStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DriverPorts, DriverRequest } from '../../src/conformance/driver.ts'
import { hydrophone } from '../../src/conformance/hydrophone.ts'
import { packResults } from '../../src/conformance/pack.ts'
import { readProgress, type SpecProgress } from '../../src/conformance/progress.ts'
import { readSonobuoy } from '../../src/conformance/sonobuoy.ts'
import { readStatus, runArgv, sonobuoyAsking } from '../../src/conformance/sonobuoy-driver.ts'
import { suiteRuns } from '../../src/conformance/suite.ts'
import { verdictOf } from '../../src/conformance/verdict.ts'
import { exec } from '../../src/exec.ts'

const recorded = join(import.meta.dirname, 'recorded')
const text = (name: string): Promise<string> => readFile(join(recorded, name), 'utf8')

let scratch: string
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-drivers-'))
})
afterEach(() => rm(scratch, { recursive: true, force: true }))

const junit = (specs: Readonly<Record<string, string>>): string =>
  `<testsuites><testsuite tests="${Object.keys(specs).length}">${Object.entries(specs)
    .map(([name, status]) => `<testcase name="[It] ${name}" status="${status}"></testcase>`)
    .join('')}</testsuite></testsuites>`

/** A program on the PATH of the driver: JavaScript that has `argv`, `flag(name)` and node:fs as `fs`. */
async function program(name: string, body: string): Promise<void> {
  const folder = join(scratch, 'bin')
  await mkdir(folder, { recursive: true })
  const file = join(folder, name)
  const head = `#!${process.execPath}\nconst fs = require('node:fs')\nconst argv = process.argv.slice(2)
const flag = (name) => argv.find((each) => each.startsWith('--' + name + '='))?.slice(name.length + 3)
fs.appendFileSync(${JSON.stringify(join(scratch, 'calls'))}, JSON.stringify(argv) + '\\n')\n`
  await writeFile(file, head + body)
  await chmod(file, 0o755)
}

const calls = async (): Promise<string[][]> =>
  (await readFile(join(scratch, 'calls'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string[])

function ports(seen: SpecProgress[] = []): DriverPorts {
  return {
    exec: ([name, ...argv], options) => exec([join(scratch, 'bin', name), ...argv], { ...options, env: {} }),
    kubeconfig: '/nowhere/kubeconfig',
    workDir: scratch,
    signal: new AbortController().signal,
    progress: (state) => seen.push(state),
  }
}

const request = (seconds = 30): DriverRequest => ({
  run: { name: 'focus', focus: 'Pods should', skip: '\\[Slow\\]', procs: 4 },
  images: { conformance: 'registry.k8s.io/conformance:v1.25.4', busybox: 'busybox:1' },
  seconds,
})

describe('what ginkgo prints', () => {
  test('parallel: a bullet, and the name on the next line', () => {
    const read = readProgress()
    const states = [
      'Running in parallel across 5 processes',
      'Will run 329 of 7067 specs',
      'SSSSSSSSSSSSSSSSS',
      '• [0.097 seconds]',
      '[sig-network] EndpointSliceMirroring should mirror [Conformance]',
      'k8s.io/kubernetes@v1.25.4/test/e2e/network/endpointslicemirroring.go:53',
      '• [FAILED] [302.637 seconds]',
      '[sig-api-machinery] AdmissionWebhook should\u001b[31m work [Conformance]',
      '•! [INTERRUPTED] [14.1 seconds]',
      '[sig-node] Probing container',
    ].flatMap((line) => read(line) ?? [])
    expect(states.map(({ total, done, failed }) => [total, done, failed])).toEqual([
      [329, 0, 0],
      [329, 1, 0],
      [329, 2, 1],
      [329, 3, 2],
    ])
    expect(states[2]?.last).toBe('[sig-api-machinery] AdmissionWebhook should [31m work [Conformance]')
  })

  test('one by one: dots in a row', () => {
    const read = readProgress()
    read('Will run 3 of 6730 specs')
    expect(read('SSSS•SSSS•S')).toEqual({ total: 3, done: 2, failed: 0, last: '' })
    expect(read('SSSS')).toBeUndefined()
  })
})

describe('hydrophone', () => {
  test('is told the run, and its files are the result', async () => {
    const log = await text('hydrophone-e2e.log.txt')
    await program(
      'hydrophone',
      `const to = flag('output-dir')
fs.writeFileSync(to + '/e2e.log', ${JSON.stringify(log)})
fs.writeFileSync(to + '/junit_01.xml', ${JSON.stringify(junit({ 'Pods should be submitted and removed': 'passed' }))})
process.stdout.write(${JSON.stringify(log)})`,
    )
    const seen: SpecProgress[] = []
    const result = await hydrophone.run(request(), ports(seen))
    expect((await calls())[0]).toEqual([
      '--kubeconfig=/nowhere/kubeconfig',
      '--focus=Pods should',
      '--skip=\\[Slow\\]',
      '--parallel=4',
      '--conformance-image=registry.k8s.io/conformance:v1.25.4',
      '--busybox-image=busybox:1',
      `--output-dir=${join(scratch, 'hydrophone')}`,
      '--verbosity=2',
    ])
    expect(seen[0]?.total).toBe(1)
    expect(await readFile(result.log, 'utf8')).toBe(log)
  })

  test('failed specs end it with a number: that is a result', async () => {
    await program(
      'hydrophone',
      "for (const each of ['e2e.log', 'junit_01.xml']) fs.writeFileSync(flag('output-dir') + '/' + each, '')\nprocess.exit(1)",
    )
    await expect(hydrophone.run(request(), ports())).resolves.toMatchObject({ junit: [expect.stringContaining('junit_01.xml')] })
  })

  test('dies before there are results: its last words', async () => {
    await program('hydrophone', "console.error('failed to deploy tests: no route'); process.exit(1)")
    await expect(hydrophone.run(request(), ports())).rejects.toMatchObject({
      code: 'RFO_CONFORMANCE_DRIVER',
      exit: 'build',
      details: ['failed to deploy tests: no route'],
    })
  })

  test('hangs: given up in time, and nothing of it goes on', async () => {
    await program(
      'hydrophone',
      `fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid)); setInterval(() => {}, 1000)`,
    )
    await expect(hydrophone.run(request(1), ports())).rejects.toMatchObject({ code: 'RFO_CONFORMANCE_TIME', exit: 'build' })
    const pid = Number(await readFile(join(scratch, 'pid'), 'utf8'))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})

describe('sonobuoy', () => {
  test('status as it was recorded', async () => {
    expect(readStatus(await text('sonobuoy-running.status.json'))).toEqual({ state: 'running', total: undefined, done: 0, failed: 0 })
    for (const name of ['passed', 'failed', 'zero', 'v1.25.4-mixed'])
      expect(readStatus(await text(`sonobuoy-${name}.status.json`))?.state).toBe('ready')
    expect(readStatus('error attempting to run sonobuoy: no pods')).toBeUndefined()
    expect(readStatus('{"status":1}')).toBeUndefined()
  })

  test('run, status until it is ready, retrieve, delete: and the count is ours', async () => {
    const [running, ready] = [await text('sonobuoy-running.status.json'), await text('sonobuoy-zero.status.json')]
    const asked = join(scratch, 'asked')
    await program(
      'sonobuoy',
      `if (argv[0] === 'status') {
  fs.appendFileSync(${JSON.stringify(asked)}, '.')
  const turn = fs.readFileSync(${JSON.stringify(asked)}).length
  if (turn === 1) { console.error('no aggregator yet'); process.exit(1) }
  process.stdout.write(turn === 2 ? ${JSON.stringify(running)} : ${JSON.stringify(ready)})
}
if (argv[0] === 'retrieve') fs.copyFileSync(${JSON.stringify(join(recorded, 'sonobuoy-zero.tar.gz'))}, argv[1] + '/202211_sonobuoy_x.tar.gz')`,
    )
    const result = await sonobuoyAsking(20).run(request(60), ports())
    const made = await calls()
    expect(made.map(([verb]) => verb)).toEqual(['run', 'status', 'status', 'status', 'retrieve', 'delete'])
    expect(made.every((argv) => argv.includes('--kubeconfig=/nowhere/kubeconfig'))).toBe(true)
    const file = join(scratch, 'results.tar.gz')
    await packResults(file, {
      runs: [{ ...result, run: request().run }],
      serverVersion: { gitVersion: 'v1.25.4+rfor1', platform: 'linux/amd64' },
      facts: {},
    })
    const run = await readSonobuoy(createReadStream(file))
    expect(run).toMatchObject({ asked: 0, kubernetes: { version: 'v1.25.4+rfor1', platform: 'linux/amd64' } })
    expect(verdictOf(run)).toMatchObject({ result: 'FAILED', ran: 0, why: ['no spec ran'] })
  })

  test('its arguments', () => {
    expect(runArgv({ ...request(), images: { conformance: 'c:1', sonobuoy: 's:1' } })).toEqual([
      'run',
      '--plugin=e2e',
      '--e2e-focus=Pods should',
      '--e2e-skip=\\[Slow\\]',
      '--kube-conformance-image=c:1',
      '--sonobuoy-image=s:1',
      '--image-pull-policy=IfNotPresent',
      '--plugin-env=e2e.E2E_USE_GO_RUNNER=true',
      '--plugin-env=e2e.E2E_EXTRA_GINKGO_ARGS=--procs=4',
      '--timeout=30',
    ])
  })
})

test('a suite of two runs is one result: asked and ran are sums, and a spec counts where it ran', async () => {
  const [parallel, serial] = suiteRuns('conformance', 4)
  if (parallel === undefined || serial === undefined) throw new Error('conformance is two runs')
  const made = async (name: string, will: number, specs: Readonly<Record<string, string>>) => {
    const folder = join(scratch, name)
    await mkdir(folder)
    await writeFile(join(folder, 'e2e.log'), `Will run ${will} of 3 specs\n`)
    await writeFile(join(folder, 'junit_01.xml'), junit(specs))
    return { log: join(folder, 'e2e.log'), junit: [join(folder, 'junit_01.xml')] }
  }
  const runs = [
    { run: parallel, ...(await made('one', 2, { a: 'passed', b: 'passed', c: 'skipped' })) },
    { run: serial, ...(await made('two', 1, { a: 'skipped', b: 'skipped', c: 'failed' })) },
  ]
  const files = [join(scratch, '1.tar.gz'), join(scratch, '2.tar.gz')]
  for (const file of files) await packResults(file, { runs, serverVersion: { gitVersion: 'v1.25.4', platform: 'linux/amd64' }, facts: {} })
  expect(await readFile(files[0] as string)).toEqual(await readFile(files[1] as string))
  expect(verdictOf(await readSonobuoy(createReadStream(files[0] as string)))).toMatchObject({
    asked: 3,
    ran: 3,
    passed: 2,
    failed: 1,
    failures: ['c'],
  })
})
