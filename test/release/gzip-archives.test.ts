/** Archives as .tar.gz, where a project asks for them beside those in zstd. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyDeep } from '../../src/release/verify/deep.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { copyFolder, type Project, run, smallProject, version } from './project.ts'

let project: Project
let made: string
let scratch: string
const key = (): string => join(project.folder, '.rfo/sandbox/cosign.pub')
const release = (folder: string) => run(folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none'])
const core = 'rfo-images-core.linux-amd64'
const zstd = tool('zstd')

async function ask(folder: string, archives: string): Promise<void> {
  const file = join(folder, 'pipelines/release.yaml')
  await writeFile(file, `${await readFile(file, 'utf8')}\narchives: ${archives}\n`)
}

beforeAll(async () => {
  project = await smallProject()
  await ask(project.folder, '[tar.zst, tar.gz]')
  const ran = await release(project.folder)
  if (ran.code !== 0) throw new Error(ran.stderr)
  made = join(project.folder, 'dist', version)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-gzip-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

test.skipIf(zstd.skip)('each is the tar of the one in zstd, to gzip and to tar; nothing of it says when or where it was made', async () => {
  const names = (await readdir(made)).filter((name) => name.startsWith('rfo-images') && name.includes('.tar.'))
  const stems = (end: string) => names.filter((name) => name.endsWith(end)).map((name) => name.slice(0, -end.length))
  expect(stems('.tar.gz')).toEqual(stems('.tar.zst'))
  expect(stems('.tar.gz').length).toBeGreaterThan(2)
  const most = { maxBuffer: 1 << 28 }
  for (const stem of stems('.tar.gz')) {
    const [gz, zst] = [join(made, `${stem}.tar.gz`), join(made, `${stem}.tar.zst`)]
    const tar = execFileSync('gzip', ['-dc', gz], most)
    expect(tar.equals(execFileSync(zstd.path, ['-dcq', '--long=25', zst], most)), stem).toBe(true)
    expect([...(await readFile(gz)).subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, expect.any(Number), 255])
  }
  expect(execFileSync('tar', ['-tzf', join(made, `${core}.tar.gz`)], { encoding: 'utf8' })).toContain('manifest.json')
  expect(await readdir(join(made, 'sbom'))).toContain('rfo-images-core_tar_gz.linux-amd64.cdx.json')
})

test('elsewhere it is the same release', async () => {
  const folder = join(scratch, 'elsewhere')
  await copyFolder(project.folder, folder)
  for (const each of ['dist', '.rfo']) await rm(join(folder, each), { recursive: true })
  const [here, there] = [await release(project.folder), await release(folder)]
  expect([there.code, there.stdout]).toEqual([0, here.stdout])
})

test('verify looks into it, lint takes it for RKE2’s, and the one-file archive gives it back', async () => {
  const deep = await run(project.folder, ['verify', made, '--key', key(), '--deep'])
  expect([deep.code, deep.stdout]).toEqual([0, expect.stringContaining('verified')])
  const folder = join(scratch, 'images')
  await cp(join(made, `${core}.tar.gz`), join(folder, `${core}.tar.gz`))
  const lint = await run(project.folder, ['lint', '--for', 'rke2@v1.24.8', folder])
  expect([lint.code, lint.stderr]).toEqual([0, ''])
  const out = join(scratch, 'packed')
  expect((await run(project.folder, ['pack', made, '--key', key(), '-o', out, '--progress', 'none'])).code).toBe(0)
  const [archive = ''] = await readdir(out)
  const back = join(scratch, 'back')
  const unpacked = await run(project.folder, ['materialize', join(out, archive), '--key', key(), '-o', back, '--progress', 'none'])
  expect([unpacked.code, unpacked.stderr]).toEqual([0, ''])
  const sha256 = async (of: string) =>
    createHash('sha256')
      .update(await readFile(of))
      .digest('hex')
  const found = (await readdir(back, { recursive: true })).find((path) => path.endsWith(`${core}.tar.gz`)) ?? ''
  expect(await sha256(join(back, found))).toBe(await sha256(join(made, `${core}.tar.gz`)))
})

test('another group’s images under its name are found inside', async () => {
  const folder = join(scratch, 'other', version)
  await cp(made, folder, { recursive: true })
  const told = async () => (await verifyDeep(folder, await readPredicate(folder))).findings.map(({ code, where }) => `${code} ${where}`)
  await cp(join(made, 'rfo-images-kube-explorer.linux-amd64.tar.gz'), join(folder, `${core}.tar.gz`))
  expect(await told()).toEqual([`RFO_VERIFY_ARCHIVE ${core}.tar.gz`])
  // what is cut short, and what is none
  const whole = await readFile(join(made, `${core}.tar.gz`))
  for (const bytes of [whole.subarray(0, whole.length / 2), Buffer.from('no gzip'), await readFile(join(made, `${core}.tar.zst`))]) {
    await writeFile(join(folder, `${core}.tar.gz`), bytes)
    expect(await told()).toEqual([`RFO_PACK_GZIP ${core}.tar.gz`])
  }
})

test.each([
  ['[tar.gz]', 'tar.zst, and what else each once'],
  ['[tar.zst, tar.gz, tar.gz]', 'tar.zst, and what else each once'],
  ['[tar.zst, tar.xz]', 'tar.xz'],
])('%s is refused with its place', async (archives, why) => {
  const other = await smallProject()
  try {
    await ask(other.folder, archives)
    const ran = await run(other.folder, ['plan', version])
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(/pipelines\/release\.yaml:\d+:\d+/)])
    expect(ran.stderr).toContain(why === 'tar.xz' ? 'archives' : why)
  } finally {
    await other.remove()
  }
})
