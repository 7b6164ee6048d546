/** The release archive: made of a folder, read where it lies, made a folder again; by GNU tar, by hostile hands, killed, on full disks. */
import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { bytesBody, gather } from '../../src/content/body.ts'
import { toRfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type ArchivedFile, type ArchiveIndex, indexBytes, parseIndexBytes } from '../../src/release/archive/form.ts'
import { materialize, planMaterialize } from '../../src/release/archive/materialize.ts'
import { type OpenArchive, openArchive } from '../../src/release/archive/open.ts'
import { archivePlace } from '../../src/release/archive/place.ts'
import { roomFor } from '../../src/release/archive/room.ts'
import { selectionOf } from '../../src/release/archive/selection.ts'
import { trustedStatement } from '../../src/release/archive/statement.ts'
import { archiveIndex, writeArchive } from '../../src/release/archive/write.ts'
import { blobDigest, folderFiles, type ReleaseFile, type ReleaseFiles } from '../../src/release/shelf.ts'
import { isChart } from '../../src/release/signed-paths.ts'
import { verifyRelease } from '../../src/release/verify/verify.ts'
import { type PublicKey, readPublicKey } from '../../src/sign/key.ts'
import { mounts } from '../mounts.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, root, run, version } from './project.ts'

const gnuTar = tool('tar')
/** changed bytes, each verified whole: a third of a second */
const flips = Number(process.env.RFO_CHANGES ?? 4)
const at = Date.UTC(2026, 10, 27)
let project: Project
let made: string
let scratch: string
let key: PublicKey
let predicate: ReleasePredicate
let folder: ReleaseFiles
let index: ArchiveIndex
let file: string

beforeAll(async () => {
  project = await madeProject('amd64,riscv64')
  made = join(project.folder, 'dist', version)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-release-archive-'))
  key = readPublicKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.pub'), 'utf8'))
  predicate = await readPredicate(made)
  folder = await folderFiles(made)
  index = await archiveIndex(folder, predicate, {})
  file = (await writeArchive(index, folder, join(scratch, 'whole.tar'))).file
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

/** Path → digest of every file, blobs too. */
async function contents(place: string): Promise<Record<string, string>> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    await Promise.all(files.sort().map(async (each) => [each.slice(place.length + 1), digestOf(await readFile(each))] as const)),
  )
}

async function using<T>(path: string, work: (archive: OpenArchive) => Promise<T>): Promise<T> {
  const archive = await openArchive(path)
  try {
    return await work(archive)
  } finally {
    await archive.close()
  }
}

/** As the command does it. */
async function unpack(path: string, into: string, selection = {}): Promise<number> {
  return await using(path, async (archive) => {
    const signed = await trustedStatement(archive, { keys: [key], at })
    const plan = await planMaterialize(archive, signed, selection, into)
    await materialize(plan, archive)
    return plan.write.length
  })
}

test('the same release gives the same bytes, of which each blob is stored once and no group archive', async () => {
  const again = await writeArchive(await archiveIndex(folder, predicate, {}), folder, join(scratch, 'again.tar'))
  expect(again.digest).toBe(digestOf(await readFile(file)))
  const madeAgain = index.files.filter((each) => each.made === true).map(({ path }) => path)
  expect(madeAgain.sort()).toEqual((await readdir(made)).filter((name) => name.endsWith('.tar.zst')).sort())
  expect(index.files.length).toBe(folder.files.length)
})

test.skipIf(gnuTar.skip)('tar unpacks it: all that is stored, what vouches for it first', async () => {
  const names = (await promisify(execFile)(gnuTar.path, ['-tf', file], { maxBuffer: 1 << 26 })).stdout.trim().split('\n')
  const stored = index.files.filter((each) => each.made !== true).map(({ path }) => path)
  expect(names).toEqual(['rfo-archive.json', ...stored])
  expect(names.slice(1, 3)).toEqual(['evidence/release.json', 'evidence/release.sigstore.json'])
  const place = await mkdtemp(join(scratch, 'tar-'))
  await promisify(execFile)(gnuTar.path, ['-xf', file, '-C', place])
  const expected = Object.fromEntries(index.files.filter((each) => each.made !== true).map(({ path, digest }) => [path, digest]))
  expect(await contents(place)).toEqual({ ...expected, 'rfo-archive.json': digestOf(indexBytes(index)) })
})

test('a folder again, bit for bit what was signed; a rerun writes nothing; verify holds', async () => {
  const into = join(scratch, 'again')
  expect(await unpack(file, into)).toBe(index.files.length)
  expect(await contents(into)).toEqual(await contents(made))
  expect(await unpack(file, into)).toBe(0)
  const ran = await run(project.folder, ['verify', into, '--key', '.rfo/sandbox/cosign.pub', '--expect', version])
  expect(ran).toMatchObject({ code: 0 })
})

describe('verify, nothing unpacked', () => {
  const judge = (path: string, more: readonly string[] = []) =>
    run(project.folder, ['verify', path, '--key', '.rfo/sandbox/cosign.pub', ...more])

  test('says of the archive what it says of the folder, and opens all that is in it', async () => {
    const [whole, apart] = [await judge(file, ['--deep']), await judge(version, ['--deep'])]
    expect(whole).toMatchObject({ code: 0, stderr: '' })
    expect(whole.stdout).toBe(apart.stdout.replace(/^.*expected.*\n/m, ''))
  })

  /** In this process, many times. */
  const findings = async (path: string): Promise<string[]> =>
    await using(path, async (archive) =>
      (await verifyRelease({ folder: archivePlace(archive), keys: [key] })).findings
        .filter(({ code }) => code !== 'RFO_VERIFY_SANDBOX')
        .map(({ code, where }) => `${code} ${where}`),
    ).catch((thrown: unknown) => [`${toRfoError(thrown).code} ${toRfoError(thrown).exit}`])

  test('every byte counts', async () => {
    const path = join(scratch, 'flipped.tar')
    await cp(file, path)
    const handle = await open(path, 'r+')
    try {
      const { size } = await handle.stat()
      let state = 11
      for (let turn = 0; turn < flips; turn += 1) {
        state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
        const place = Math.floor((state / 0x80000000) * size)
        const byte = Buffer.alloc(1)
        await handle.read(byte, 0, 1, place)
        await handle.write(Buffer.from([(byte[0] ?? 0) ^ (1 << (turn % 8))]), 0, 1, place)
        expect(await findings(path), `byte ${place}`).not.toEqual([])
        await handle.write(byte, 0, 1, place)
      }
    } finally {
      await handle.close()
    }
    expect(await findings(path)).toEqual([])
  })

  test('an index that says something else of a genuine file is told', async () => {
    const forged = index.files.map((each) => (each.path === 'verify.sh' ? { ...each, digest: digestOf('other') } : each))
    const bytes = Buffer.from(await readFile(file))
    indexBytes({ ...index, files: forged }).copy(bytes, 512)
    const path = join(scratch, 'lying.tar')
    await writeFile(path, bytes)
    expect(await findings(path)).toEqual(['RFO_VERIFY_FILE verify.sh'])
  })

  test('of a damaged blob: the blob, and the archives that are made of it', async () => {
    const bytes = await readFile(file)
    const image = predicate.images.find(({ groups }) => groups.includes('core'))
    const blob = `oci/blobs/sha256/${image?.digest.slice(7)}`
    const place = bytes.indexOf(await readFile(join(made, blob)))
    bytes[place + 9] = (bytes[place + 9] ?? 0) ^ 1
    const path = join(scratch, 'damaged.tar')
    await writeFile(path, bytes)
    const found = await findings(path)
    expect(found).toContain(`RFO_VERIFY_BLOB ${blob}`)
    expect(found).toContain('RFO_VERIFY_FILE rfo-images-core.linux-amd64.tar.zst')
    expect(found.every((each) => /RFO_VERIFY_BLOB|rfo-images/.test(each))).toBe(true)
    expect(await judge(path)).toMatchObject({ code: 3 })
  })

  test('a part is no whole, a file of another kind no archive, and what is not signed is nothing', async () => {
    const part = await archiveIndex(folder, predicate, selectionOf(predicate, ['linux/riscv64'], ['core']))
    const path = (await writeArchive(part, folder, join(scratch, 'a-part.tar'))).file
    expect(await judge(path)).toMatchObject({ code: 10, stderr: expect.stringContaining('RFO_ARCHIVE_PART') })
    expect(await judge(join(made, 'RELEASE.md'))).toMatchObject({ code: 3, stderr: expect.stringContaining('RFO_ARCHIVE_INDEX') })
    const nobody = await run(project.folder, ['verify', file])
    expect(nobody).toMatchObject({ code: 5, stderr: expect.stringContaining('trust/cosign.pub') })
  })
})

test('bytes from and to, of what is stored and of what is made again', async () => {
  await using(file, async (archive) => {
    const stored = archive.files.find(({ path }) => path === 'rfo-verify.cjs') as ReleaseFile
    const again = archive.files.find((each) => each.made === true) as ReleaseFile
    for (const one of [stored, again]) {
      const whole = await readFile(join(made, one.path))
      expect((await gather(archive.open(one))).equals(whole)).toBe(true)
      for (const [start, end] of [
        [0, 1],
        [700, 70_000],
        [one.size - 3, one.size],
        [5, 5],
        [one.size - 1, one.size + 9000],
      ] as const)
        expect(await gather(archive.open(one, { start, end }))).toEqual(whole.subarray(start, end))
    }
  })
})

describe('a part', () => {
  test('holds the files of its platforms and the images of its groups, and what is not there is told', async () => {
    const selection = selectionOf(predicate, ['linux/riscv64'], ['core'])
    const part = await archiveIndex(folder, predicate, selection)
    const path = (await writeArchive(part, folder, join(scratch, 'part.tar'))).file
    const into = join(scratch, 'part')
    await unpack(path, into)
    const names = Object.keys(await contents(into))
    expect(names.filter((name) => /\.linux-(amd64|arm64)|sum-(amd64|arm64)|x86_64|aarch64/.test(name))).toEqual([])
    expect(names.filter((name) => name.endsWith('.tar.zst'))).toEqual(['rfo-images-core.linux-riscv64.tar.zst'])
    expect(names).toContain('sha256sum-riscv64.txt.sig')
    expect(await readFile(join(into, 'rfo-images-core.linux-riscv64.tar.zst'))).toEqual(
      await readFile(join(made, 'rfo-images-core.linux-riscv64.tar.zst')),
    )
    // every blob of the part is one that its images need, signatures included
    const blobs = new Set(part.files.flatMap(({ path: one }) => blobDigest(one) ?? []))
    const images = predicate.images.filter((image) => image.groups.includes('core'))
    for (const image of images) {
      const made64 = image.platforms['linux/riscv64']
      expect(blobs.has(image.digest)).toBe(true)
      if (made64?.status === 'made') expect(blobs.has(made64.digest)).toBe(true)
      const other = image.platforms['linux/amd64']
      if (other?.status === 'made') expect(blobs.has(other.digest)).toBe(false)
    }
    // charts belong to no group
    for (const { digest } of predicate.files.filter((each) => isChart(each.path))) expect(blobs.has(digest)).toBe(true)
    await expect(unpack(path, join(scratch, 'other'), { groups: ['calico'] })).rejects.toMatchObject({
      code: 'RFO_ARCHIVE_PART',
      exit: 'unfinished',
      details: expect.arrayContaining(['rfo-images-calico.linux-amd64.tar.zst']),
    })
  })

  test('of the whole archive: classic files alone', async () => {
    const into = join(scratch, 'classic')
    await unpack(file, into, { platforms: ['linux/amd64'], groups: ['core'] })
    const names = Object.keys(await contents(into))
    expect(names.filter((name) => name.startsWith('oci/'))).toEqual([])
    expect(names).toEqual(expect.arrayContaining(['rfo.linux-amd64', 'rfo-images-core.linux-amd64.tar.zst', 'install-rfo.sh', 'verify.sh']))
  })

  test('that the release has not is refused; a configuration that it can’t serve, too', async () => {
    expect(() => selectionOf(predicate, undefined, ['cilum'])).toThrow(
      expect.objectContaining({ code: 'RFO_ARCHIVE_SELECTION', exit: 'usage' }),
    )
    await writeFile(join(project.folder, 'config.yaml'), 'cni: cilium\n')
    const ran = await run(project.folder, ['pack', version, '--from-config', 'config.yaml', '--platform', 'amd64', '--dry-run'])
    expect(ran.code).toBe(4)
    expect(ran.stderr).toContain('linux/amd64: docker.io/rancher/hardened-etcd, needed by static-pod/etcd')
  })
})

describe('refused', () => {
  const other = Buffer.from('other')
  const forgedFile = (path: string): ArchivedFile => ({ path, size: other.length, digest: digestOf(other) })

  /** The archive, saying something else of its files: all of it is judged before anything is read or written. */
  async function judged(change: (files: readonly ArchivedFile[]) => readonly ArchivedFile[]): Promise<unknown> {
    return await using(file, (archive) =>
      planMaterialize({ ...archive, files: change(archive.files) }, predicate, {}, join(scratch, 'never')),
    )
  }

  async function refusedBy(path: string, code: string, exit = 'untrusted'): Promise<void> {
    const into = join(await mkdtemp(join(scratch, 'r-')), 'into')
    await expect(unpack(path, into)).rejects.toMatchObject({ code, exit })
    await expect(readdir(into)).rejects.toMatchObject({ code: 'ENOENT' })
  }

  test('whose key nobody trusts', async () => {
    await expect(using(file, (archive) => trustedStatement(archive, { keys: [], at }))).rejects.toMatchObject({ code: 'RFO_SIGN_NOKEY' })
  })

  test.each([
    [
      'another file than was signed',
      (files: readonly ArchivedFile[]) => files.map((each) => (each.path === 'verify.sh' ? forgedFile('verify.sh') : each)),
    ],
    ['one file less', (files: readonly ArchivedFile[]) => files.filter(({ path }) => path !== 'verify.sh')],
    ['one file more', (files: readonly ArchivedFile[]) => [...files, forgedFile('more.sh')]],
    ['a blob under another name', (files: readonly ArchivedFile[]) => [...files, forgedFile(`oci/blobs/sha256/${'a'.repeat(64)}`)]],
  ])('with %s', async (_, change) => {
    await expect(judged(change)).rejects.toMatchObject({ code: 'RFO_ARCHIVE_FILE', exit: 'untrusted' })
  })

  test('with another statement beside the signed one', async () => {
    const files = folder.files.map((each) => (each.path === 'evidence/release.json' ? forgedFile(each.path) : each))
    const open: ReleaseFiles['open'] = (each) => (each.path === 'evidence/release.json' ? bytesBody(other) : folder.open(each))
    await expect(trustedStatement({ ...folder, files, open }, { keys: [key], at })).rejects.toMatchObject({ code: 'RFO_VERIFY_STATEMENT' })
  })

  test('cut short, longer, or changed where nobody looks', async () => {
    const copy = async (change: (path: string) => Promise<unknown>): Promise<string> => {
      const path = join(await mkdtemp(join(scratch, 'cut-')), 'a.tar')
      await cp(file, path)
      await change(path)
      return path
    }
    const { length } = await readFile(file)
    const put = (place: number) => (path: string) =>
      open(path, 'r+').then((handle) => handle.write('x', place).finally(() => handle.close()))
    for (const place of [length - 1, length - 1024, 512 + indexBytes(index).length])
      await refusedBy(await copy(put(place)), 'RFO_ARCHIVE_INDEX')
    for (const size of [0, 511, 600, length - 1, length + 512])
      await refusedBy(await copy((path) => truncate(path, size)), 'RFO_ARCHIVE_INDEX')
  })

  test('a changed byte of a file: it never has its name, and those before it are right', async () => {
    const bytes = await readFile(file)
    const blob = index.files.findLast((each) => blobDigest(each.path) !== undefined && each.size > 100) as ArchivedFile
    const place = bytes.indexOf(await readFile(join(made, blob.path)))
    bytes[place + 50] = (bytes[place + 50] ?? 0) ^ 1
    const path = join(scratch, 'spoiled.tar')
    await writeFile(path, bytes)
    const into = join(scratch, 'spoiled')
    await expect(unpack(path, into)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
    const there = await contents(into)
    expect(there).not.toHaveProperty(blob.path)
    expect(there).not.toHaveProperty('evidence/release.sigstore.json')
    expect(await contents(made)).toMatchObject(there)
  })

  test.each([
    ['a path outside', (files: ArchivedFile[]) => files.map((each, i) => (i === 9 ? { ...each, path: '../x' } : each))],
    ['an absolute path', (files: ArchivedFile[]) => files.map((each, i) => (i === 9 ? { ...each, path: '/etc/x' } : each))],
    ['a path twice', (files: ArchivedFile[]) => [...files, files[9] as ArchivedFile]],
    ['its own index', (files: ArchivedFile[]) => [...files, { ...(files[9] as ArchivedFile), path: 'rfo-archive.json' }]],
    ['a size below nothing', (files: ArchivedFile[]) => files.map((each, i) => (i === 9 ? { ...each, size: -1 } : each))],
    ['another order', (files: ArchivedFile[]) => files.toReversed()],
    ['no file', () => []],
  ])('an index with %s', (_, change) => {
    const bytes = indexBytes({ ...index, files: change([...index.files]) })
    expect(() => parseIndexBytes(bytes)).toThrow(expect.objectContaining({ code: 'RFO_ARCHIVE_INDEX', exit: 'untrusted' }))
  })

  test('an index that is none, in another spelling, or with sizes beyond any disk', () => {
    const text = indexBytes(index).toString()
    for (const bytes of ['', '[]', `${text}\n`, text.replace('"epoch"', ' "epoch"')])
      expect(() => parseIndexBytes(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'RFO_ARCHIVE_INDEX' }))
  })
})

test('what somebody has put there is not touched, and nothing is written beside it', async () => {
  const into = join(scratch, 'in-the-way')
  await mkdir(join(into, 'trust'), { recursive: true })
  await writeFile(join(into, 'trust/cosign.pub'), 'mine')
  await expect(unpack(file, into)).rejects.toMatchObject({ code: 'RFO_ARCHIVE_EXISTS', exit: 'usage' })
  expect(Object.keys(await contents(into))).toEqual(['trust/cosign.pub'])
})

test('a disk that is too small is told before anything is written', async () => {
  await expect(roomFor(Number.MAX_SAFE_INTEGER, join(scratch, 'not/there/yet'))).rejects.toMatchObject({
    code: 'RFO_ARCHIVE_ROOM',
    exit: 'machine',
  })
})

test('kill -9 while it is written: what has a name is right, and a rerun ends in the same bytes', async () => {
  const into = join(scratch, 'killed')
  const all = await contents(made)
  for (const enough of [3, 200]) {
    const child = spawn(
      process.execPath,
      [join(root, 'bin/rfo-build.js'), 'materialize', file, '--key', '.rfo/sandbox/cosign.pub', '-o', into, '--progress', 'none'],
      { cwd: project.folder, stdio: 'ignore' },
    )
    const ended = new Promise((resolve) => child.once('close', resolve))
    for (;;) {
      const entries = await readdir(into, { recursive: true }).catch(() => [])
      if (entries.length > enough || child.exitCode !== null) break
      await sleep(2)
    }
    child.kill('SIGKILL')
    await ended
    const there = Object.entries(await contents(into)).filter(([path]) => !path.startsWith('.rfo-materialize/'))
    for (const [path, digest] of there) expect(digest).toBe(all[path])
  }
  await unpack(file, into)
  expect(await contents(into)).toEqual(all)
})

test('kill -9 while an archive is made: there is none, or the same one', async () => {
  const out = join(scratch, 'packed')
  for (const size of [1, 1_000_000]) {
    const argv = [join(root, 'bin/rfo-build.js'), 'pack', version, '-o', out, '--progress', 'none']
    const child = spawn(process.execPath, argv, { cwd: project.folder, stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('close', resolve))
    for (;;) {
      const names = await readdir(out).catch(() => [])
      const sizes = await Promise.all(names.map(async (name) => (await readFile(join(out, name)).catch(() => '')).length))
      if (sizes.some((one) => one >= size) || child.exitCode !== null) break
      await sleep(2)
    }
    child.kill('SIGKILL')
    await ended
    for (const name of await readdir(out))
      if (!name.startsWith('.')) expect(digestOf(await readFile(join(out, name)))).toBe(digestOf(await readFile(file)))
  }
  const ran = await run(project.folder, ['pack', version, '-o', out])
  expect(ran.stdout).toContain(digestOf(await readFile(file)))
  expect(ran.stderr).toMatch(/^\d+ bytes to write to .*, \d+ free; about \d+ s at 100 MB a second\n$/)
})

const rootUser = process.getuid?.() === 0
test.skipIf(!rootUser || mounts().skip)(
  'a disk that is full in between: coded, nothing half, and a rerun with room ends in the same bytes',
  async () => {
    const place = await mkdtemp(join(scratch, 'full-'))
    const program = `"$1" "$2" materialize "$3" --key "$4" -o "$5/into" --progress none`
    // files cost inodes, which no plan can count: a disk that has a few of them is full when it says that it is not
    const script = `mount -t tmpfs -o size=64m,nr_inodes=150 tmpfs "$5" && ${program}; echo $?; ls -A "$5/into" | grep rfo-materialize
mount -o remount,nr_inodes=100000 "$5" && ${program} > /dev/null; echo $?; diff -r "$5/into" "$6" && echo same`
    const argv = [
      '-m',
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      join(root, 'bin/rfo-build.js'),
      file,
      join(project.folder, '.rfo/sandbox/cosign.pub'),
      place,
      made,
    ]
    const { stdout, stderr } = await promisify(execFile)('unshare', argv, { cwd: project.folder })
    expect(stderr).toContain('RFO_CONTENT_DISK')
    expect(stdout).toBe('9\n0\nsame\n')
  },
)
