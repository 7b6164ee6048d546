/**
 * Each check of a release in a cluster of it, and what it says when what it looks for does not happen. That they pass is the stage
 * `cluster` of .ci/run: there the command runs them. RFO_REAL_RELEASE names the release's folder, made with the store `.rfo` of this
 * checkout; RFO_CLUSTER=1 asks for it: it takes root and some minutes.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CliContext } from '../../src/cli/context.ts'
import { readReleaseKeys } from '../../src/cli/key-files.ts'
import { checkNeeds, imagesOf } from '../../src/cli/test-checks.ts'
import { withCluster } from '../../src/cli/test-cluster.ts'
import type { NodePorts } from '../../src/conformance/checks/check.ts'
import { type CheckName, checks } from '../../src/conformance/checks/checks.ts'
import { apply, eventually } from '../../src/conformance/checks/kubectl.ts'
import { exec } from '../../src/exec.ts'

const root = join(import.meta.dirname, '../..')
const folder = process.env.RFO_REAL_RELEASE
const skip = folder === undefined || process.env.RFO_CLUSTER !== '1' || process.getuid?.() !== 0
if (skip) process.stderr.write('tests of checks are skipped: RFO_CLUSTER=1 and RFO_REAL_RELEASE ask for them, as root\n')

const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
const context: CliContext = {
  env,
  secrets: [],
  cwd: root,
  stdout: () => {},
  stderr: { stream: process.stderr, write: () => {}, isTTY: false, columns: 80, rows: 24 },
  now: () => Date.now(),
  signal: new AbortController().signal,
  exec,
  host: { platform: process.platform, arch: process.arch, nodeVersion: process.versions.node, nodePath: process.execPath },
  toolVersion: '0.0.0-test',
  json: false,
  progress: 'none',
  lang: 'en',
  storeDir: join(root, '.rfo'),
  outDir: join(root, 'dist'),
  platforms: undefined,
  dryRun: false,
  standIns: ['bases'],
  keys: [],
  trustDir: undefined,
  signKeys: [],
  caFile: undefined,
  keyPassword: undefined,
}

describe.skipIf(skip)('a check fails', { timeout: 300_000 }, () => {
  let ports: NodePorts
  let end: () => void = () => {}
  let ended: Promise<void> = Promise.resolve()
  beforeAll(async () => {
    const file = join(context.storeDir, 'sandbox/cosign.key')
    const { key } = await readReleaseKeys([{ file, text: await readFile(file, 'utf8') }], undefined)
    await new Promise<void>((ready, failed) => {
      const done = new Promise<void>((resolve) => {
        end = resolve
      })
      ended = withCluster(context, { folder: folder ?? '', key, load: [] }, checkNeeds, async ({ target, local }) => {
        if (target.node === undefined || local === undefined) throw new Error('it is a node of ours')
        const { images, nodeImages } = imagesOf(local)
        const { signal } = context
        ports = {
          exec: (argv, options = {}) => target.exec(argv, { ...options, signal }),
          seconds: 15,
          signal,
          images: { ...images, ...nodeImages },
          ...target.node,
        }
        ready()
        await done
        await target.stop()
      })
      ended.catch(failed)
    })
  }, 600_000)
  afterAll(async () => {
    end()
    await ended
  }, 60_000)

  const run = async (name: CheckName, change: Partial<NodePorts>): Promise<unknown> => {
    const check = checks[name]
    if (check.needs === 'rfo') throw new Error('nothing here runs it')
    return await check.run({ ...ports, ...change })
  }

  test('when the API server encrypts nothing', async () => {
    await expect(run('secrets-encryption', { encrypt: async () => {} })).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: expect.stringMatching(/^the secret begins with "k8s\\u0000.* in etcd, not with "k8s:enc:aescbc:v1:first:"$/),
    })
  })

  test('when keys are told and not taken over', async () => {
    let told = 0
    const once: NodePorts['encrypt'] = async (configuration) => {
      told += 1
      if (told === 1) await ports.encrypt(configuration)
    }
    await expect(run('secrets-encryption', { encrypt: once })).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: expect.stringContaining('not with "k8s:enc:aescbc:v1:second:"'),
    })
  })

  test('when the node was never stopped', async () => {
    await expect(run('node-restart', { restart: async () => {} })).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: 'not within 15 seconds: the same pod runs again, its data there',
    })
  })

  test('when what installs charts does nothing', async () => {
    await expect(run('helm-chart', { images: { ...ports.images, helmJob: ports.images.pause } })).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: expect.stringMatching(/^not within 15 seconds: the chart is installed/),
    })
  })

  test('when a HelmChartConfig reaches nobody', async () => {
    const nothing = { stdout: Buffer.alloc(0), stderr: '' }
    const swallowing: NodePorts['exec'] = (argv, options) =>
      options?.stdin !== undefined && String(options.stdin).includes('"HelmChartConfig"')
        ? Promise.resolve(nothing)
        : ports.exec(argv, options)
    await expect(run('helm-chart-config', { exec: swallowing })).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: 'not within 15 seconds: the chart is installed with word=of the HelmChartConfig',
    })
  })

  test('when an image was pulled', async () => {
    const image = '192.0.2.1/absent:1'
    await apply(ports, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'pulling', namespace: 'default' },
      spec: { containers: [{ name: 'one', image }] },
    })
    await eventually(ports, 'it pulls', async () => ((await ports.log('containerd')).includes('msg="PullImage ') ? true : undefined))
    await expect(run('air-gap', {})).rejects.toMatchObject({
      code: 'RFO_CHECK_FAILED',
      message: expect.stringMatching(/pulls of images were tried$/),
      details: expect.arrayContaining([expect.stringContaining(image)]),
    })
  })
})
