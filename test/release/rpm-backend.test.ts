/**
 * A release whose packages rpmbuild made is the one whose packages rfo-build wrote, apart from compressed bytes; and one package more, since
 * the project has got a policy's source.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run as ran } from '../rpm/folder.ts'
import { tool } from '../tools.ts'
import { madeProject, type Project, run, version } from './project.ts'

let project: Project
let policies: string
beforeAll(async () => {
  project = await madeProject('amd64')
  policies = join(project.folder, 'pipelines/selinux')
  await mkdir(policies)
  await writeFile(join(policies, 'rfo.te'), 'module rfo 1.0;\nrequire { type bin_t; }\ntype rfo_t;\n')
})
afterAll(async () => {
  await project.remove()
})

const [rpmbuild, checkmodule] = [tool('rpmbuild'), tool('checkmodule')]
const asked = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none', '--json', '--rpm-backend', 'rpmbuild']

test('without rpmbuild and checkmodule it is said before anything is made', async () => {
  const without = await run(project.folder, [...asked, '--out', 'none'], { PATH: policies })
  expect(without.code).toBe(9)
  expect(JSON.parse(without.stdout).error).toMatchObject({
    code: 'RFO_PREFLIGHT_PROGRAM',
    message: 'no program rpmbuild on the PATH, and 2 more',
    next: expect.stringContaining('--rpm-backend embedded'),
  })
  await writeFile(join(policies, 'other.fc'), '')
  const stray = await run(project.folder, asked)
  await rm(join(policies, 'other.fc'))
  expect(JSON.parse(stray.stdout).error).toMatchObject({ code: 'RFO_RELEASE_PROJECT', message: expect.stringContaining('other.fc') })
})

test.skipIf(rpmbuild.skip || checkmodule.skip)(
  'rpmbuild makes the packages of a release, which verify takes; the same packages in the same lists',
  async () => {
    const made = await run(project.folder, [...asked, '--out', 'built'])
    expect(made.code, made.stderr).toBe(0)
    expect(JSON.parse(made.stdout)).toMatchObject({ ok: true, rpmBackend: 'rpmbuild', unchanged: false })
    const again = await run(project.folder, [...asked, '--out', 'built'])
    expect(JSON.parse(again.stdout)).toMatchObject({ rpmBackend: 'rpmbuild', unchanged: true })
    const verified = await run(project.folder, ['verify', join('built', version), '--key', '.rfo/sandbox/cosign.pub'])
    expect(verified.code, verified.stderr).toBe(0)
    const packages = async (out: string): Promise<string[]> => {
      const all = await readdir(join(project.folder, out, version, 'rpm'), { recursive: true })
      return all.filter((path) => path.endsWith('.rpm')).sort()
    }
    const paths = await packages('built')
    const policy = paths.filter((path) => path.includes('rfo-selinux'))
    expect(policy.map((path) => path.split('/').at(-1))).toEqual([
      'rfo-selinux-1.24.8~rfor1-1.src.rpm',
      'rfo-selinux-1.24.8~rfor1-1.noarch.rpm',
    ])
    expect(paths.filter((path) => !policy.includes(path))).toEqual(await packages('dist'))
    const dump =
      '%{NEVRA} %{PAYLOADDIGESTALT}\n[%{FILENAMES} %{FILEMODES:perms} %{FILEDIGESTS} %{FILEFLAGS} %{FILEMTIMES}\n][%{REQUIRENEVRS}\n]'
    // flags of a compiler are what rpmbuild alone writes
    const said = (out: string, path: string, format: string): string =>
      ran('rpm', ['-qp', '--nosignature', '--qf', format, join(project.folder, out, version, 'rpm', path)]).out
    for (const path of paths) {
      if (!policy.includes(path)) expect(said('built', path, dump)).toBe(said('dist', path, dump))
      const byRpmbuild = !path.includes('rfo-release') && !path.endsWith('.src.rpm')
      expect([path, said('built', path, '%{OPTFLAGS}') !== '(none)']).toEqual([path, byRpmbuild])
    }
    for (const name of await readdir(join(project.folder, 'dist', version, 'rpm/specs')))
      expect(await readFile(join(project.folder, 'built', version, 'rpm/specs', name), 'utf8')).toBe(
        await readFile(join(project.folder, 'dist', version, 'rpm/specs', name), 'utf8'),
      )
  },
)
