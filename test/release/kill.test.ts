/** kill -9 at any moment, run again: the same root, no half-written release, and the signatures that were made are kept. */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Project, root, run, smallProject, version } from './project.ts'

const kills = Number(process.env.RFO_KILLS ?? 6)
const seed = Number(process.env.RFO_SEED ?? 7)
const argv = ['release', version, '--sandbox', '--platform', 'amd64,riscv64', '--progress', 'none']

let project: Project
let calm: string
beforeAll(async () => {
  project = await smallProject()
  const undisturbed = await mkdtemp(join(tmpdir(), 'rfo-calm-'))
  const started = performance.now()
  const ran = await run(project.folder, [...argv, '--store', join(undisturbed, 'store'), '--out', join(undisturbed, 'dist')])
  took = performance.now() - started
  expect(ran.stderr).toBe('')
  calm = ran.stdout.trim()
  await rm(undisturbed, { recursive: true, force: true })
})
afterAll(() => project.remove())

let took = 1000

/** Kills the whole process group after that many milliseconds; true when it was still running. */
function killed(after: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, 'bin', 'rfo-build.js'), ...argv], {
      cwd: project.folder,
      env: { PATH: process.env.PATH ?? '', HOME: project.folder },
      stdio: 'ignore',
      detached: true,
    })
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, after)
    child.on('exit', (_code, signal) => {
      clearTimeout(timer)
      resolve(signal === 'SIGKILL')
    })
  })
}

/** Signatures by name: bundles and cosign 2's, as they lie in the store. */
async function signaturesIn(folder: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (const name of await readdir(folder).catch(() => [])) {
    const bytes = await readFile(join(folder, name)).catch(() => Buffer.alloc(0))
    if (bytes.length < 1 << 20 && bytes.includes('"verificationMaterial"')) {
      expect(digestOf(bytes)).toBe(`sha256:${name}`)
      found.add(name)
    }
  }
  return found
}

test(`${kills} kills at random moments (seed ${seed})`, async () => {
  let state = seed
  const next = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
  const store = join(project.folder, '.rfo/blobs/sha256')
  let signed = new Set<string>()
  let interrupted = 0
  for (let turn = 0; interrupted < kills; turn += 1) {
    expect(turn, 'most runs are killed before they end').toBeLessThan(kills * 5)
    if (await killed(50 + next() * took * 0.8)) interrupted += 1
    else {
      // it was done before the blow came: begin anew, with the same key
      for (const name of ['blobs', 'tags', 'referrers', 'releases'])
        await rm(join(project.folder, '.rfo', name), { recursive: true, force: true })
      await rm(join(project.folder, 'dist'), { recursive: true, force: true })
      signed = new Set()
      continue
    }
    const now = await signaturesIn(store)
    for (const name of signed) expect(now.has(name), `signature ${name} is kept`).toBe(true)
    signed = now
    const laidOut = await readdir(join(project.folder, 'dist')).catch(() => [])
    for (const name of laidOut.filter((entry) => entry === version)) {
      expect((await run(project.folder, ['verify', name, '--key', '.rfo/sandbox/cosign.pub'])).code).toBe(0) // whole, or not there
    }
  }
  const last = await run(project.folder, argv)
  expect(last.stderr).toBe('')
  expect(last.stdout.trim()).toBe(calm)
  const released = await signaturesIn(join(project.folder, 'dist', version, 'oci/blobs/sha256'))
  expect(released.size).toBeGreaterThan(0)
  const verified = await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
  expect(verified.stdout.trim().split('\n').at(-1)).toMatch(new RegExp(`^verified .* ${calm} sha256:[0-9a-f]{64} SANDBOX$`))
  expect((await readdir(join(project.folder, 'dist'))).sort()).toEqual([version])
}, 900_000)

test('a second run signs nothing again', async () => {
  const before = await signaturesIn(join(project.folder, 'dist', version, 'oci/blobs/sha256'))
  const evidence = await readFile(join(project.folder, 'dist', version, 'evidence/release.sigstore.json'), 'utf8')
  await rm(join(project.folder, '.rfo/releases'), { recursive: true })
  expect((await run(project.folder, argv)).stdout.trim()).toBe(calm)
  expect(await signaturesIn(join(project.folder, 'dist', version, 'oci/blobs/sha256'))).toEqual(before)
  expect(await readFile(join(project.folder, 'dist', version, 'evidence/release.sigstore.json'), 'utf8')).toBe(evidence)
})

test('a file changed in the release folder is made again, although it was linked to the store', async () => {
  const blobs = join(project.folder, 'dist', version, 'oci/blobs/sha256')
  const [name = ''] = await readdir(blobs)
  const { chmod, writeFile } = await import('node:fs/promises')
  await chmod(join(blobs, name), 0o644)
  await writeFile(join(blobs, name), 'changed')
  expect((await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])).code).toBe(3)
  expect((await run(project.folder, argv)).stdout.trim()).toBe(calm)
  expect((await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])).code).toBe(0)
})
