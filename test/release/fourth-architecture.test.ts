/**
 * A fourth row in the platform table, its name and base in release.yaml, and nothing else: a plan, a release and the
 * installer know loong64. It is done to a copy of the project, by the text of that one row.
 */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { checkElf } from '../../src/build/elf.ts'
import { tool } from '../tools.ts'
import { type Project, type Ran, root, smallProject, version } from './project.ts'

const row = `  loong64: {
    rpm: 'loongarch64',
    isa: 'loongarch-64',
    rpmLead: 24,
    elfMachine: 258,
    elfFlags: 0x43,
    qemu: 'loongarch64',
    node: 'loong64',
    goLevel: {},
  },
`
let project: Project
let tree: string

beforeAll(async () => {
  project = await smallProject()
  tree = await mkdtemp(join(tmpdir(), 'rfo-fourth-'))
  for (const name of ['src', 'bin', 'install', 'LICENSE', 'package.json', 'package-lock.json'])
    await cp(join(root, name), join(tree, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'))
  const table = join(tree, 'src/oci/platform.ts')
  const text = await readFile(table, 'utf8')
  const end = '} as const satisfies Record<string, ArchitectureRow>'
  expect(text.split(end)).toHaveLength(2)
  await writeFile(table, text.replace(end, `${row}${end}`))
  const file = join(project.folder, 'pipelines/release.yaml')
  const release = parse(await readFile(file, 'utf8')) as { platforms: string[]; bases: Record<string, object> }
  release.platforms.push('linux/loong64')
  release.bases['linux/loong64'] = { ...release.bases['linux/riscv64'], reason: 'a test' }
  await writeFile(file, stringify(release))
})
afterAll(async () => {
  await project.remove()
  await rm(tree, { recursive: true, force: true })
})

function run(argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(tree, 'bin/rfo-build.js'), ...argv],
      { cwd: project.folder, env: { PATH: process.env.PATH ?? '', HOME: project.folder }, maxBuffer: 1 << 26 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

test('a fourth row of the table is a fourth platform of plan, release, packages and installer', async () => {
  const planned = await run(['plan', version, '--sandbox'])
  expect(planned.stderr).toBe('')
  expect(planned.stdout).toContain('linux/loong64')

  const made = await run(['release', version, '--sandbox', '--progress', 'none'])
  expect([made.code, made.stderr]).toEqual([0, ''])
  const folder = join(project.folder, 'dist', version)
  const files = await readdir(folder, { recursive: true })
  for (const name of [
    'rfo.linux-loong64',
    'rfo.linux-loong64.tar.gz',
    'rfo-images.linux-loong64.tar.zst',
    'rfo-images-core.linux-loong64.txt',
    'sha256sum-loong64.txt',
    'rpm/stable/1.24/openeuler/24.03-LTS/loongarch64/Packages/rfo-server-1.24.8~rfor1-1.loongarch64.rpm',
  ])
    expect(files).toContain(name)
  expect(await readFile(join(folder, 'platforms.txt'), 'utf8')).toMatch(/^linux\/loong64 (bootable|partial)/m)
  const installer = await readFile(join(folder, 'install-rfo.sh'), 'utf8')
  expect(installer).toContain("RFO_ARCHITECTURES='amd64=x86_64 arm64=aarch64 riscv64=riscv64 loong64=loongarch64'\n")
  const verified = await run(['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
  expect([verified.code, verified.stderr]).toEqual([0, ''])
})

test('its programs are for its machine, and for no other', async () => {
  const program = join(project.folder, 'dist', version, 'rfo.linux-loong64')
  await expect(checkElf(program, 'amd64')).rejects.toMatchObject({
    code: 'RFO_BUILD_ELF',
    message: expect.stringContaining('e_machine 258'),
  })
  expect((await readFile(program)).readUInt32LE(48)).toBe(0x43)
})

const [rpm, sh] = [tool('rpm'), tool('sh')]
test.skipIf(rpm.skip)('rpm knows its architecture', async () => {
  const packages = join(project.folder, 'dist', version, 'rpm/stable/1.24/openeuler/24.03-LTS/loongarch64/Packages')
  const [one = ''] = await readdir(packages)
  const shown = await new Promise<string>((resolve) =>
    execFile(rpm.path, ['-qp', '--nosignature', '--qf', '%{ARCH}', join(packages, one)], (_error, stdout) => resolve(stdout)),
  )
  expect(shown).toBe('loongarch64')
})

test.skipIf(sh.skip)('the installer takes the kernel’s name for it, and refuses a stranger', async () => {
  const script = await readFile(join(project.folder, 'dist', version, 'install-rfo.sh'), 'utf8')
  // all but the last line, which would begin
  const cut = script.slice(0, script.lastIndexOf('\ndo_install'))
  const asked = (arch: string): Promise<string> =>
    new Promise((resolve) =>
      execFile(
        sh.path,
        ['-c', `${cut}\nsetup_arch; echo "$ARCH"`],
        { env: { PATH: process.env.PATH ?? '', ARCH: arch } },
        (_error, stdout, stderr) => resolve(`${stdout}${stderr}`.trim()),
      ),
    )
  expect(await asked('loongarch64')).toBe('loong64')
  expect(await asked('loong64')).toBe('loong64')
  expect(await asked('s390x')).toContain('unsupported architecture s390x')
})
