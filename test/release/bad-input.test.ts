/** What people and networks get wrong: a coded error, a place, a hint, the contract's exit code, and nothing half-written. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mounts } from '../mounts.ts'
import { type Project, type Ran, root, run, smallProject, version } from './project.ts'

let project: Project
let scratch: string
beforeAll(async () => {
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-bad-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** The last line of stderr, which scripts read: `rfo-build: RFO_X_Y: what (where); next: command`. */
function lastLine(ran: Ran): string {
  return ran.stderr.trim().split('\n').at(-1) ?? ''
}

describe('asked for', () => {
  test.each([
    ['not-a-version', /RFO_PLAN_VERSION: .*; next: /],
    ['v1.24.8', /RFO_PLAN_VERSION/],
    ['v9.99.9+rfor1', /RFO_RELEASE_UPSTREAM: nothing is recorded of v9\.99\.9\+rke2r1 .*; next: .*v1\.24\.8\+rke2r1/],
  ])('release %s', async (asked, line) => {
    const ran = await run(project.folder, ['release', asked, '--sandbox'])
    expect(ran.code).toBe(2)
    expect(lastLine(ran)).toMatch(line)
    expect(ran.stdout).toBe('')
  })

  test('a release outside the sandbox without a key', async () => {
    const ran = await run(project.folder, ['release', version])
    expect([ran.code, lastLine(ran)]).toEqual([2, expect.stringMatching(/RFO_CLI_KEY: .*; next: .*rfo-build keys generate/)])
  })

  test('a platform that the release does not have', async () => {
    const ran = await run(project.folder, ['release', version, '--sandbox', '--platform', 's390x'])
    expect([ran.code, lastLine(ran)]).toEqual([2, expect.stringMatching(/RFO_CLI_VALUE/)])
  })

  test('--json tells a failure as one document', async () => {
    const ran = await run(project.folder, ['release', 'v1', '--sandbox', '--json'])
    expect(JSON.parse(ran.stdout)).toMatchObject({ schema: 'rfo-build.release/1', ok: false, exit: 2, error: { code: 'RFO_PLAN_VERSION' } })
  })

  test('nothing to verify, and no key to verify with', async () => {
    expect((await run(project.folder, ['verify', join(scratch, 'nowhere')])).code).toBe(2)
  })
})

describe('written', () => {
  test('malformed YAML is told with file, line and column', async () => {
    const other = await smallProject()
    const file = join(other.folder, 'pipelines', 'pause.yaml')
    await writeFile(file, `${await readFile(file, 'utf8')}\nlayers: [zstd\n`)
    const ran = await run(other.folder, ['release', version, '--sandbox'])
    expect([ran.code, lastLine(ran)]).toEqual([2, expect.stringMatching(/RFO_PLAN_YAML: .*\(pipelines\/pause\.yaml:\d+:\d+/)])
    expect(await readdir(other.folder)).not.toContain('dist')
    expect(await readdir(other.folder)).not.toContain('.rfo')
    await other.remove()
  })

  test('a word that the schema does not know is told with its place', async () => {
    const other = await smallProject()
    const file = join(other.folder, 'pipelines', 'pause.yaml')
    await writeFile(file, `${await readFile(file, 'utf8')}\nlayerz: zstd\n`)
    const ran = await run(other.folder, ['release', version, '--sandbox'])
    expect([ran.code, lastLine(ran)]).toEqual([2, expect.stringMatching(/RFO_PLAN_YAML: .*layerz.*\(pipelines\/pause\.yaml:\d+:\d+/)])
    await other.remove()
  })

  test('two components whose programs would lie at one path of an image that collects them', async () => {
    const other = await smallProject()
    const file = join(other.folder, 'pipelines', 'rke2-runtime.yaml')
    await writeFile(file, (await readFile(file, 'utf8')).replace('output: /bin/runc', 'output: /bin/crictl'))
    for (const argv of [
      ['build', version, 'rke2-runtime', '--sandbox'],
      ['release', version, '--sandbox'],
    ]) {
      const ran = await run(other.folder, argv)
      const line = /RFO_PLAN_PIPELINE: two things are put at \/bin\/crictl \(pipelines\/rke2-runtime\.yaml\); next: give each its own path/
      expect([ran.code, lastLine(ran)]).toEqual([2, expect.stringMatching(line)])
    }
    const lint = await run(other.folder, ['lint'])
    expect([lint.code, lint.stdout]).toEqual([
      4,
      expect.stringMatching(/pipelines\/rke2-runtime\.yaml:\d+:\d+: RFO_PLAN_PIPELINE two things/),
    ])
    await other.remove()
  })

  test('an incomplete lock ends with 6 before anything is written, and names what is missing', async () => {
    const key = join(scratch, 'rfo.key')
    expect((await run(scratch, ['keys', 'generate'])).code).toBe(0)
    const ran = await run(project.folder, ['release', version, '--sign-key', key])
    expect([ran.code, lastLine(ran)]).toEqual([6, expect.stringMatching(/RFO_LOCK_UNRESOLVED: .* next: rfo-build lock v1\.24\.8\+rfor1/)])
    expect(ran.stderr).toContain('images.lock')
    expect(await readdir(join(project.folder, 'dist')).catch(() => [])).toEqual([])
  })
})

describe('this machine', () => {
  test('no Go where it is needed ends with 9 within seconds, and says what works without it', async () => {
    const bin = join(scratch, 'bin')
    await mkdir(bin)
    const started = performance.now()
    const ran = await run(
      root,
      [
        'release',
        'v1.25.4+rfor1',
        '--stand-in',
        'bases,mirrors,git,charts,advisories',
        '--store',
        join(scratch, 'store'),
        '--out',
        join(scratch, 'dist'),
      ],
      { PATH: bin },
    )
    expect([ran.code, lastLine(ran)]).toEqual([9, expect.stringMatching(/RFO_PREFLIGHT_PROGRAM: no program go .*next: /)])
    expect(performance.now() - started).toBeLessThan(15_000) // 5 s are promised on a calm machine
    expect(await readdir(join(scratch, 'dist'))).toEqual([])
  })

  test('a folder that cannot be written', async () => {
    const file = join(scratch, 'a-file')
    await writeFile(file, '')
    const ran = await run(project.folder, ['release', version, '--sandbox', '--out', join(file, 'dist')])
    expect(ran.code).toBe(9)
    expect(lastLine(ran)).toMatch(/; next: /)
  })

  const disk = mounts()
  test.skipIf(disk.skip)('a disk that is too small is told before the first task', async () => {
    const small = join(scratch, 'small')
    await mkdir(small)
    const { execFile } = await import('node:child_process')
    const script = `mount -t tmpfs -o size=8m tmpfs "$1" && cd "$2" && exec "$3" "$4" release ${version} --sandbox --store "$1/store" --out "$1/dist"`
    const argv = ['-rm', 'sh', '-c', script, 'sh', small, project.folder, process.execPath, join(root, 'bin', 'rfo-build.js')]
    const ran = await new Promise<Ran>((resolve) => {
      const child = execFile(disk.unshare, argv, (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }))
    })
    expect([ran.code, lastLine(ran)]).toEqual([9, expect.stringMatching(/RFO_PREFLIGHT_DISK: \d MiB free, 1024 MiB needed/)])
  })
})
