/** Passwords and keys stay inside: no child's environment or arguments, no event, log, document or file, and no core file has them. */
import { execFileSync, spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exec, filter, secretVariables } from '../../src/exec.ts'
import { type Project, type Ran, root as repository, run, smallProject, version } from './project.ts'

const password = 'marker-password-5591'
/** A value of its own for each variable, so that a finding says which. */
const markers: Readonly<Record<string, string>> = {
  ...Object.fromEntries(secretVariables.map((name) => [name, `marker-of-${name.toLowerCase()}-5591`])),
  RFO_KEY_PASSWORD: password,
}
const values = Object.values(markers)
const found = (text: string): string[] => values.filter((value) => text.includes(value))

let project: Project
let scratch: string
const home = (name: string): string => join(scratch, name)

beforeAll(async () => {
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-secrets-'))
  expect((await run(scratch, ['keys', 'generate', '--cosign', '--dir', 'keys'], { RFO_KEY_PASSWORD: password })).code).toBe(0)
}, 300_000)
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

test('no child gets them, whatever it is given', async () => {
  const told = await exec(['/usr/bin/env'], { env: { ...markers, RFO_SIGN_KEY: 'key-5591', KEPT: 'yes' } })
  expect(told.stdout.toString('utf8')).toBe('KEPT=yes\n')
  let text = ''
  for await (const chunk of filter(['/usr/bin/env'], (async function* () {})(), { env: { ...markers, KEPT: 'yes' } }))
    text += chunk.toString('utf8')
  expect(text).toBe('KEPT=yes\n')
})

describe('a release by an encrypted key', () => {
  let ran: Ran
  let children: string

  beforeAll(async () => {
    // programs that a release asks what they are: each tells what it sees of itself, and of whoever started it
    await mkdir(home('bin'))
    children = home('children')
    await writeFile(children, '')
    for (const name of ['go', 'git', 'gcc', 'cc', 'x86_64-linux-gnu-gcc', 'pkg-config', 'docker-credential-spy']) {
      const program = join(home('bin'), name)
      await writeFile(
        program,
        `#!/bin/sh\n{ env; tr '\\0' ' ' </proc/self/environ; tr '\\0' ' ' </proc/$PPID/cmdline; echo "$0 $*"; } >>'${children}' 2>/dev/null\nexit 1\n`,
      )
      await chmod(program, 0o755)
    }
    const doctor = await run(project.folder, ['doctor'], { ...markers, PATH: `${home('bin')}:/usr/bin:/bin` })
    expect(found(doctor.stdout + doctor.stderr)).toEqual([])
    const flags = ['--store', home('store'), '--out', home('dist'), '--sign-key', join(scratch, 'keys/rfo.key')]
    const argv = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'json', '--json', ...flags]
    ran = await run(project.folder, argv, { ...markers, PATH: `${home('bin')}:/usr/bin:/bin`, TMPDIR: home('bin') })
  }, 300_000)

  test('signs, and tells nobody how', async () => {
    expect(ran.code).toBe(0)
    expect(found(ran.stdout)).toEqual([])
    expect(found(ran.stderr)).toEqual([])
    expect(ran.stderr).toContain('task-done') // events were told
  })

  test('its children were there, and saw nothing', async () => {
    const seen = await readFile(children, 'utf8')
    expect(seen).toContain(`${home('bin')}/go`)
    expect(found(seen)).toEqual([])
  })

  test('no file of the store, of the release or for the while has a password, or the key', async () => {
    const key =
      /-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n([^\n]+)/.exec(await readFile(join(scratch, 'keys/rfo.key'), 'utf8'))?.[1] ?? ''
    expect(key.length).toBe(64)
    for (const folder of ['store', 'dist', 'bin']) {
      const files = (await readdir(home(folder), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
      expect(files.length).toBeGreaterThan(5)
      for (const entry of files) {
        const text = await readFile(join(entry.parentPath, entry.name), 'latin1')
        expect(found(text), join(entry.parentPath, entry.name)).toEqual([])
        expect(text.includes(key), join(entry.parentPath, entry.name)).toBe(false)
      }
    }
  })

  test('a wrong password is not told either', async () => {
    const flags = ['--store', home('store'), '--out', home('other'), '--sign-key', join(scratch, 'keys/rfo.key')]
    const refused = await run(project.folder, ['release', version, '--sandbox', '--json', ...flags], {
      RFO_KEY_PASSWORD: 'marker-wrong-5591',
    })
    expect(refused.code).toBe(2)
    expect(refused.stdout + refused.stderr).toContain('RFO_SIGN_PASSWORD')
    expect(refused.stdout + refused.stderr).not.toContain('5591')
  })
})

const pattern = process.platform === 'linux' ? execFileSync('cat', ['/proc/sys/kernel/core_pattern'], { encoding: 'utf8' }).trim() : ''
const noCores = pattern === '' || pattern.startsWith('|') || pattern.includes('/')
if (noCores)
  process.stdout.write(`core files go elsewhere here (${pattern || 'no Linux'}): whether one holds a password is not looked at\n`)

describe.skipIf(noCores)('a core file', () => {
  /** Of a process that ends by SIGABRT; the largest file that the kernel left. */
  async function coreOf(name: string, argv: readonly string[], ready: RegExp): Promise<string> {
    const folder = home(name)
    await mkdir(folder)
    const child = spawn('/bin/sh', ['-c', 'ulimit -c unlimited; exec "$@"', 'sh', ...argv], {
      cwd: folder,
      env: { ...markers, PATH: '/usr/bin:/bin', HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    let told = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        told += chunk.toString('utf8')
        if (ready.test(told)) child.kill('SIGABRT')
      })
    }
    await ended
    const [core = ''] = (await readdir(folder)).filter((entry) => entry.startsWith('core'))
    expect(core, `${told.slice(-500)}`).not.toBe('')
    expect((await stat(join(folder, core))).size).toBeGreaterThan(0)
    return join(folder, core)
  }
  const holds = (file: string, text: string): boolean => {
    try {
      execFileSync('grep', ['-q', '-a', '-F', text, file])
      return true
    } catch {
      return false
    }
  }

  test('of any other program holds what it was given', async () => {
    const core = await coreOf('plain', ['/bin/sh', '-c', 'kill -ABRT $$'], /^$/)
    expect(holds(core, password)).toBe(true)
    await rm(core)
  })

  test('of a run that has used the password holds it nowhere', async () => {
    await cp(join(scratch, 'store/sandbox'), join(scratch, 'cored/sandbox'), { recursive: true })
    const flags = ['--store', join(scratch, 'cored'), '--out', join(scratch, 'cored/dist'), '--sign-key', join(scratch, 'keys/rfo.key')]
    const argv = [
      process.execPath,
      join(repository, 'bin/rfo-build.js'),
      'sign',
      join(scratch, 'made', `${version}.unsigned`),
      '--progress',
      'lines',
      ...flags,
    ]
    const made = await run(project.folder, [
      'release',
      version,
      '--sandbox',
      '--platform',
      'amd64',
      '--unsigned',
      '--store',
      home('store'),
      '--out',
      home('made'),
    ])
    expect(made.code).toBe(0)
    const core = await coreOf('core', argv, /started sign\//)
    for (const value of values) expect(holds(core, value), value).toBe(false)
    expect(holds(core, 'marker-')).toBe(false)
  })
})
