/** `npm run evidence -- kills`: kill -9 at random moments of what carries a release, and disks that are full, broken or not to be written. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ReleasePredicate } from '../../src/attest/release.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentReader } from '../../src/content/store.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { offerRelease } from '../../src/release/offer.ts'
import { folderFiles } from '../../src/release/shelf.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { root, run, smallProject, version } from '../../test/release/project.ts'

/** Something that is interrupted again and again until it ends. */
interface Victim {
  readonly name: string
  readonly argv: () => readonly [string, ...string[]]
  /** throws when something half is visible; gives what there is when it has ended */
  look(): Promise<number>
  readonly all: number
  again(): Promise<void>
}

const cli = join(root, 'bin', 'rfo-build.js')

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`)
}

export async function kills(log: (line: string) => void): Promise<string> {
  const count = Number(process.env.RFO_KILLS ?? 200)
  const seed = Number(process.env.RFO_SEED ?? 7)
  const scratch = await mkdtemp(join(tmpdir(), 'rfo-kills-'))
  const project = await smallProject()
  let server: ChildProcess | undefined
  const registries: { close(): Promise<void> }[] = []
  try {
    const made = await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none'])
    check(made.code === 0, `the release is made: ${made.stderr}`)
    const folder = join(project.folder, 'dist', version)
    const key = join(project.folder, '.rfo/sandbox/cosign.pub')
    const packed = await run(project.folder, ['pack', version, '-o', scratch])
    check(packed.code === 0, `it is packed: ${packed.stderr}`)
    const archive = join(scratch, `rfo-${version}.tar`)
    const before = { folder: await contents(folder), archive: digestOf(await readFile(archive)) }
    const said = JSON.parse(await readFile(join(folder, 'evidence/release.json'), 'utf8')) as { predicate: unknown }
    const offer = await offerRelease(await folderFiles(folder), ReleasePredicate.parse(said.predicate))
    const names = [...offer.tags].flatMap(([repository, tags]) => [...tags].map(([tag, digest]) => ({ repository, tag, digest })))
    const own = names.filter(({ tag }) => !/^sha256-/.test(tag))
    await writeFile(join(scratch, 'names.json'), JSON.stringify(own))
    server = spawn(process.execPath, [cli, 'serve', archive, '--key', key, '--listen', '127.0.0.1:0'], { cwd: project.folder })
    const [url] = (await once(server.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer]
    const host = new URL(url.toString().trim()).host

    const at = { out: join(scratch, 'out'), into: join(scratch, 'into'), store: join(scratch, 'store') }
    for (const each of Object.values(at)) await mkdir(each)
    let registry = await startRegistry()
    registries.push(registry)
    const victims: Victim[] = [
      {
        name: 'pack',
        argv: () => [cli, 'pack', version, '-o', at.out],
        all: 2,
        async look() {
          const visible = (await readdir(at.out)).filter((name) => !name.startsWith('.'))
          for (const name of visible.filter((one) => one !== 'mine.txt'))
            check(digestOf(await readFile(join(at.out, name))) === before.archive, `${name} is the archive`)
          return visible.length
        },
        again: () => fresh(at.out),
      },
      {
        name: 'materialize',
        argv: () => [cli, 'materialize', archive, '--key', key, '-o', at.into],
        all: Object.keys(before.folder).length + 1,
        async look() {
          const there = await contents(at.into)
          const visible = Object.keys(there).filter((name) => !name.startsWith('.rfo-materialize/'))
          for (const name of visible.filter((one) => one !== 'mine.txt'))
            check(there[name] === before.folder[name], `${name} is what was signed`)
          // the statement's signature comes last: what is not finished is no release
          if (visible.includes('evidence/release.sigstore.json'))
            check(visible.length === Object.keys(before.folder).length + 1, 'a release is whole')
          return visible.length
        },
        again: () => fresh(at.into),
      },
      {
        name: 'load',
        argv: () => [cli, 'load', archive, '--key', key, '--to', `oci://${registry.host}`],
        all: names.length,
        look: async () =>
          await wholeNames(names, (repository) => openRegistry({ registry: registry.host, repository }, { addresses: {} }), false),
        async again() {
          await registry.close()
          registry = await startRegistry()
          registries.push(registry)
        },
      },
      {
        name: 'a client of serve',
        argv: () => [join(root, 'docs/evidence/kills-client.ts'), host, at.store, join(scratch, 'names.json')],
        all: own.length,
        async look() {
          const store = await openDirectoryStore(at.store)
          for (const name of await readdir(join(at.store, 'blobs/sha256')))
            check(hex(digestOf(await readFile(join(at.store, 'blobs/sha256', name)))) === name, `${name} is whole`)
          return await wholeNames(own, () => store, true)
        },
        again: () => fresh(at.store),
      },
    ]
    const next = random(seed)
    const rows: string[] = []
    for (const victim of victims) rows.push(await tormented(victim, count / victims.length, next, project.folder, log))
    check(JSON.stringify(await contents(folder)) === JSON.stringify(before.folder), 'the release folder is as it was')
    check(digestOf(await readFile(archive)) === before.archive, 'the archive is as it was')
    const disks = await onDisks({ archive, key, folder, project: project.folder, scratch }, (line) => log(line.replaceAll(scratch, '.')))
    const verified = await run(project.folder, ['verify', archive, '--key', key, '--expect', version])
    check(verified.code === 0, 'the archive still holds')
    return page(count, seed, rows, disks, made.stdout.trim())
  } finally {
    server?.kill('SIGKILL')
    for (const each of registries) await each.close()
    await project.remove()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** With somebody's file in it, which must stay. */
async function fresh(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder)
  await writeFile(join(folder, 'mine.txt'), 'mine')
}

/** kill -9 until so many have hit; what has ended before is looked at whole, and begun anew. */
async function tormented(victim: Victim, wanted: number, next: () => number, cwd: string, log: (line: string) => void): Promise<string> {
  await victim.again()
  const started = performance.now()
  await ended(start(victim.argv(), cwd))
  let longest = performance.now() - started
  check((await victim.look()) === victim.all, `${victim.name}: all is there`)
  await victim.again()
  let [killed, finished] = [0, 1]
  while (killed < wanted) {
    const child = start(victim.argv(), cwd)
    const after = 30 + next() * longest
    const timer = setTimeout(() => child.kill('SIGKILL'), after)
    const code = await ended(child)
    clearTimeout(timer)
    const found = await victim.look()
    log(`${victim.name}: ${code === null ? `killed after ${after.toFixed(0)} ms` : `ended with ${code}`}, ${found} of ${victim.all}`)
    if (code === null) killed += 1
    else {
      check(code === 0 && found === victim.all, `${victim.name}: a rerun ends in the same`)
      finished += 1
      longest *= 0.9
      await victim.again()
    }
  }
  check(
    (await ended(start(victim.argv(), cwd))) === 0 && (await victim.look()) === victim.all,
    `${victim.name}: the last run ends in the same`,
  )
  return `| ${victim.name} | ${killed} | ${finished + 1} |`
}

function start([program, ...argv]: readonly [string, ...string[]], cwd: string): ChildProcess {
  return spawn(process.execPath, [program, ...argv], { cwd, stdio: 'ignore', env: { PATH: process.env.PATH ?? '', HOME: cwd } })
}

async function ended(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

/** How many names there are; each leads to all that it should. */
async function wholeNames(
  names: readonly { readonly repository: string; readonly tag: string; readonly digest: Digest }[],
  open: (repository: string) => ContentReader,
  full: boolean,
): Promise<number> {
  let count = 0
  for (const { repository, tag, digest } of names) {
    const from = open(repository)
    const named = await from.resolve(full ? `${repository}:${tag}` : tag)
    if (named === undefined) continue
    check(named.digest === digest, `${repository}:${tag} is the signed one`)
    await copyGraph([named], from, memoryStore(), { concurrency: 4 })
    count += 1
  }
  return count
}

interface On {
  readonly archive: string
  readonly key: string
  readonly folder: string
  readonly project: string
  readonly scratch: string
}

/** A disk of its own for each; a rerun on a good one ends in the same bytes. */
async function onDisks({ archive, key, folder, project, scratch }: On, log: (line: string) => void): Promise<string[]> {
  const place = join(scratch, 'disk')
  await mkdir(place)
  const materialize = 'materialize "$3" --key "$4" -o "$5/into" --progress none'
  const pack = 'pack v1.24.8+rfor1 -o "$5/into" --progress none'
  const full = 'size=64m,nr_inodes=150'
  const cases = [
    ['full in between: materialize', full, '', materialize, 'remount,nr_inodes=100000', 'RFO_CONTENT_DISK'],
    ['too small: materialize', 'size=2m', '', materialize, 'remount,size=200m', 'RFO_ARCHIVE_ROOM'],
    ['too small: pack', 'size=2m', '', pack, 'remount,size=200m', 'RFO_ARCHIVE_ROOM'],
    ['not to be written: materialize', 'size=200m', 'mount -o remount,ro "$5" &&', materialize, 'remount,rw', 'RFO_CONTENT_DISK'],
    ['not to be written: pack', 'size=200m', 'mount -o remount,ro "$5" &&', pack, 'remount,rw', 'RFO_CONTENT_DISK'],
  ] as const
  const rows: string[] = []
  for (const [name, options, spoil, verb, mend, code] of cases) {
    const program = `"$1" "$2" ${verb}`
    const script = `mount -t tmpfs -o ${options} tmpfs "$5" && { ${spoil} ${program}; echo "exit $?"; }
find "$5" -name .rfo-materialize -o -name '.*.tmp' | grep . && echo left
mount -o ${mend} "$5" && ${program} > /dev/null; echo "exit $?"
[ ! -d "$5/into/evidence" ] || diff -r "$5/into" "$6" && echo same
[ ! -f "$5/into/rfo-v1.24.8+rfor1.tar" ] || cmp "$5/into/rfo-v1.24.8+rfor1.tar" "$3" && echo same`
    const argv = ['-m', 'sh', '-c', script, 'sh', process.execPath, cli, archive, key, place, folder]
    const { stdout, stderr } = await promisify(execFile)('unshare', argv, { cwd: project, maxBuffer: 1 << 26 })
    log(
      `${name}: ${stdout.trim().split('\n').join(', ')}; ${stderr
        .trim()
        .split('\n')
        .find((line) => line.startsWith('rfo-build: '))}`,
    )
    check(stdout === 'exit 9\nexit 0\nsame\nsame\n' && stderr.includes(code), `${name}: ${stdout}${stderr}`)
    rows.push(`| ${name} | 9 \`${code}\` | 0, the same bytes |`)
  }
  return rows
}

async function contents(place: string): Promise<Record<string, string>> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    await Promise.all(files.sort().map(async (each) => [each.slice(place.length + 1), digestOf(await readFile(each))] as const)),
  )
}

function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
}

function page(count: number, seed: number, rows: readonly string[], disks: readonly string[], made: string): string {
  return `# kill -9, and disks that fail

\`npm run evidence -- kills\` ({machine}): a release of few images for amd64, made in the sandbox, and its archive. ${count} times a process was killed
with SIGKILL at a random moment of its run, and what lay there was looked at: no archive under its name that is not whole, no file of a folder
with other bytes than were signed, no name in a registry or store that leads to half an image. The next run went on there; each that was let end
ended with 0 in the same. A file of somebody else in each folder, the release and its archive were as before. Seed ${seed} ([log](kills.log)).

Root: \`${made}\`

| of | killed | ended |
|---|---|---|
${rows.join('\n')}

| disk | first run | again, mended |
|---|---|---|
${disks.join('\n')}
`
}
