/** A release whose packages rpmbuild made is the one whose packages rfo-build wrote, apart from compressed bytes. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run as ran } from '../rpm/folder.ts'
import { tool } from '../tools.ts'
import { madeProject, type Project, run, version } from './project.ts'

let project: Project
beforeAll(async () => {
  project = await madeProject('amd64')
})
afterAll(async () => {
  await project.remove()
})

const rpmbuild = tool('rpmbuild')
const asked = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none', '--json', '--rpm-backend', 'rpmbuild']

test('without rpmbuild it is said before anything is made', async () => {
  const without = await run(project.folder, [...asked, '--out', 'none'], { PATH: join(project.folder, 'pipelines') })
  expect(without.code).toBe(9)
  expect(JSON.parse(without.stdout).error).toMatchObject({
    code: 'RFO_PREFLIGHT_PROGRAM',
    message: expect.stringContaining('rpmbuild'),
    next: expect.stringContaining('--rpm-backend embedded'),
  })
})

test.skipIf(rpmbuild.skip)(
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
    expect(paths).toEqual(await packages('dist'))
    const dump =
      '%{NEVRA} %{PAYLOADDIGESTALT}\n[%{FILENAMES} %{FILEMODES:perms} %{FILEDIGESTS} %{FILEFLAGS} %{FILEMTIMES}\n][%{REQUIRENEVRS}\n]'
    // flags of a compiler are what rpmbuild alone writes
    const said = (out: string, path: string, format: string): string =>
      ran('rpm', ['-qp', '--nosignature', '--qf', format, join(project.folder, out, version, 'rpm', path)]).out
    for (const path of paths) {
      expect(said('built', path, dump)).toBe(said('dist', path, dump))
      const byRpmbuild = !path.includes('rfo-release') && !path.endsWith('.src.rpm')
      expect([path, said('built', path, '%{OPTFLAGS}') !== '(none)']).toEqual([path, byRpmbuild])
    }
    for (const name of await readdir(join(project.folder, 'built', version, 'rpm/specs')))
      expect(await readFile(join(project.folder, 'built', version, 'rpm/specs', name), 'utf8')).toBe(
        await readFile(join(project.folder, 'dist', version, 'rpm/specs', name), 'utf8'),
      )
  },
)
