/** Same inputs, same root: whatever the time zone, the language, the umask, the key, the folder, the order of the disk. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Project, root, run, smallProject, version } from './project.ts'

let projects: readonly [Project, Project]
let scratch: string
beforeAll(async () => {
  projects = [await smallProject(), await smallProject()]
  scratch = await mkdtemp(join(tmpdir(), 'rfo-same-'))
})
afterAll(async () => {
  for (const project of projects) await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** Under a shell for its umask alone; the program gets its arguments as arguments. */
function underUmask(folder: string, umask: string, env: Readonly<Record<string, string>>): Promise<string> {
  const argv = [
    '-c',
    `umask ${umask}; exec "$@"`,
    'sh',
    process.execPath,
    join(root, 'bin', 'rfo-build.js'),
    'release',
    version,
    '--sandbox',
    '--progress',
    'none',
  ]
  return new Promise((resolve, reject) => {
    execFile('sh', argv, { cwd: folder, env: { PATH: process.env.PATH ?? '', HOME: scratch, ...env } }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(stderr)),
    )
  })
}

test('two machines, one root', async () => {
  const [one, other] = projects
  const first = await underUmask(one.folder, '022', { TZ: 'UTC', LANG: 'C' })
  const second = await underUmask(other.folder, '077', { TZ: 'Asia/Shanghai', LANG: 'zh_CN.UTF-8', LC_ALL: 'zh_CN.UTF-8', RFO_LANG: 'zh' })
  expect(second).toBe(first)
  const read = (project: Project, path: string): Promise<Buffer> => readFile(join(project.folder, 'dist', version, path))
  const texts = ['plan.json', 'images.lock', 'RELEASE.md', 'RELEASE.zh.md', 'audit.html', 'rpm/specs/rfo-server.spec', 'SANDBOX']
  for (const path of texts) {
    expect((await read(other, path)).equals(await read(one, path)), path).toBe(true)
  }
  // packages hold their signatures, and so their sums differ, and nothing else does
  for (const path of ['sha256sum-arm64.txt', 'sm3sum-riscv64.txt']) {
    const [mine = [], theirs = []] = await Promise.all([one, other].map(async (each) => (await read(each, path)).toString().split('\n')))
    const packaged = (line: string): boolean => / {2}rpm\/.*\/(Packages|repodata)\//.test(line)
    expect(theirs.filter((line) => !packaged(line))).toEqual(mine.filter((line) => !packaged(line)))
    expect(theirs.length).toBe(mine.length)
    expect(theirs.filter((line) => packaged(line) && mine.includes(line))).toEqual([])
  }
  // each signed with a key of its own: no signature is in the root
  expect((await read(other, 'trust/cosign.pub')).equals(await read(one, 'trust/cosign.pub'))).toBe(false)
})

test('whatever the umask, others can read the release', async () => {
  const folder = join(projects[1].folder, 'dist', version)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const { mode } = await stat(join(entry.parentPath, entry.name))
    expect(mode & 0o044, join(entry.parentPath, entry.name)).toBe(0o044)
  }
})

test('a second run changes nothing and takes nothing from the network', async () => {
  const [one] = projects
  const before = await stat(join(one.folder, 'dist', version, 'evidence/release.json'))
  const again = await run(one.folder, ['release', version, '--sandbox', '--json'], { HOME: scratch })
  expect(JSON.parse(again.stdout)).toMatchObject({ ok: true, unchanged: true })
  expect((await stat(join(one.folder, 'dist', version, 'evidence/release.json'))).mtimeMs).toBe(before.mtimeMs)
})
