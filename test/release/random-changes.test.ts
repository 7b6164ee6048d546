/**
 * Random changes of a release: bits, lengths, names, kinds. Every one must be found. RFO_CHANGES says how many (CI: 500);
 * RFO_SEED repeats a run; RFO_TALLY names a file for what was done, which `npm run evidence -- mutations` shows.
 */
import { cp, mkdtemp, readdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { verifyRelease } from '../../src/release/verify/verify.ts'
import { type PublicKey, readPublicKey } from '../../src/sign/key.ts'
import { madeProject, type Project, version } from './project.ts'

const count = Number(process.env.RFO_CHANGES ?? 60)
const seed = Number(process.env.RFO_SEED ?? 20221114)

let project: Project
let folder: string
let key: PublicKey
let files: string[]

beforeAll(async () => {
  project = await madeProject('riscv64')
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  folder = join(await mkdtemp(join(tmpdir(), 'rfo-changes-')), version)
  await cp(join(project.folder, 'dist', version), folder, { recursive: true })
  files = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
})
afterAll(async () => {
  await project.remove()
  await rm(dirname(folder), { recursive: true, force: true })
})

/** mulberry32: small, seeded, good enough to pick places. */
function random(state: number): () => number {
  let a = state
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

async function found(): Promise<boolean> {
  try {
    return (await verifyRelease({ folder, keys: [key], expect: version })).findings.some((finding) => finding.exit === 'untrusted')
  } catch (thrown) {
    if (thrown instanceof RfoError) return thrown.exit === 'untrusted'
    throw thrown
  }
}

type Undo = () => Promise<void>
type Change = (file: string, pick: (below: number) => number) => Promise<{ readonly told: string; readonly undo: Undo }>

const changes: Readonly<Record<string, Change>> = {
  async flip(file, pick) {
    const bytes = await readFile(file)
    const [at, bit] = [pick(bytes.length), pick(8)]
    const other = Buffer.from(bytes)
    other[at] = (other[at] ?? 0) ^ (1 << bit)
    await writeFile(file, other)
    return { told: `bit ${bit} of byte ${at}`, undo: () => writeFile(file, bytes) }
  },
  async truncate(file, pick) {
    const bytes = await readFile(file)
    const to = pick(bytes.length)
    await writeFile(file, bytes.subarray(0, to))
    return { told: `to ${to} of ${bytes.length} bytes`, undo: () => writeFile(file, bytes) }
  },
  async drop(file) {
    const bytes = await readFile(file)
    await unlink(file)
    return { told: 'whole', undo: () => writeFile(file, bytes) }
  },
  async append(file, pick) {
    const bytes = await readFile(file)
    await writeFile(file, Buffer.concat([bytes, Buffer.from([[0x0a], [0x20], [0x00], [0x7d]][pick(4)] ?? [])]))
    return { told: 'one byte', undo: () => writeFile(file, bytes) }
  },
  async add(file, pick) {
    const extra = join(dirname(file), `extra-${pick(1 << 20)}`)
    await writeFile(extra, 'x')
    return { told: extra, undo: () => unlink(extra) }
  },
  async swap(file, pick) {
    const other = files[pick(files.length)] ?? file
    const [a, b] = [await readFile(file), await readFile(other)]
    if (a.equals(b)) return await (changes['drop'] as Change)(file, pick)
    await writeFile(file, b)
    await writeFile(other, a)
    return {
      told: `with ${other}`,
      undo: async () => {
        await writeFile(file, a)
        await writeFile(other, b)
      },
    }
  },
  /** A link, even one to the very same bytes: whoever copies the folder gets something else. */
  async link(file) {
    const aside = join(dirname(folder), 'aside')
    await rename(file, aside)
    await symlink(aside, file)
    return {
      told: 'to its bytes elsewhere',
      undo: async () => {
        await unlink(file)
        await rename(aside, file)
      },
    }
  },
  async rename(file) {
    await rename(file, `${file}.x`)
    return { told: 'to another name', undo: () => rename(`${file}.x`, file) }
  },
}

test(
  `${count} random changes are all found (seed ${seed})`,
  async () => {
    expect(await found()).toBe(false)
    const next = random(seed)
    const pick = (below: number): number => Math.floor(next() * below)
    const names = Object.keys(changes)
    const missed: string[] = []
    const tally = Object.fromEntries(names.map((name) => [name, 0]))
    for (let turn = 0; turn < count; turn += 1) {
      const file = files[pick(files.length)] ?? ''
      const name = names[pick(names.length)] ?? 'flip'
      const { told, undo } = await (changes[name] as Change)(file, pick)
      if (!(await found())) missed.push(`${name} ${file.slice(folder.length + 1)}: ${told}`)
      tally[name] = (tally[name] ?? 0) + 1
      await undo()
    }
    expect(missed).toEqual([])
    expect(await found()).toBe(false)
    const { predicate } = await verifyRelease({ folder, keys: [key] })
    if (process.env.RFO_TALLY !== undefined)
      await writeFile(process.env.RFO_TALLY, JSON.stringify({ seed, root: predicate.root.digest, files: files.length, tally }))
  },
  Math.max(600_000, count * 10_000),
)
