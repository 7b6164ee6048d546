/** Two runs at once, and a disk that fills up: nothing is corrupted, nothing half-written, and a rerun finishes. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mounts } from '../mounts.ts'
import { type Project, type Ran, root, run, smallProject, version } from './project.ts'

let project: Project
let scratch: string
beforeAll(async () => {
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-together-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

test('three processes make one release in one store: one root, one folder', async () => {
  const argv = ['release', version, '--sandbox', '--platform', 'amd64,riscv64', '--progress', 'none']
  const runs = await Promise.all([run(project.folder, argv), run(project.folder, argv), run(project.folder, argv)])
  expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual([
    [0, ''],
    [0, ''],
    [0, ''],
  ])
  expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(1)
  expect(await readdir(join(project.folder, 'dist'))).toEqual([version])
  expect((await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])).code).toBe(0)
})

const own = mounts()
test.skipIf(own.skip)('a disk that fills up in the middle ends with 9, and the same command finishes when there is room', async () => {
  const disk = join(scratch, 'disk')
  await mkdir(disk)
  // the preflight sees 1.1 GiB; the first task's log says that it has passed, then all but a little is taken away
  const script = `
    mount -t tmpfs -o size=1100m tmpfs "$1"; cd "$2"; shift 2
    "$@" > "$OUT/first" 2> "$OUT/first.err" & pid=$!
    while [ ! -d "$DISK/store/work" ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    fallocate -l 1099m "$DISK/filler"
    wait $pid; echo "first $?"
    ls -A "$DISK/dist" 2>/dev/null | sed 's/^/half-written /'
    rm "$DISK/filler"
    "$@" > "$OUT/second" 2> "$OUT/second.err"; echo "second $?"
    tail -n 1 "$OUT/first.err"`
  const program = [process.execPath, join(root, 'bin', 'rfo-build.js'), 'release', version, '--sandbox', '--progress', 'lines']
  const argv = [
    '-rm',
    'sh',
    '-c',
    script,
    'sh',
    disk,
    project.folder,
    ...program,
    '--store',
    join(disk, 'store'),
    '--out',
    join(disk, 'dist'),
  ]
  const ran = await new Promise<Ran>((resolve) => {
    const child = execFile(
      own.unshare,
      argv,
      { env: { PATH: process.env.PATH ?? '', HOME: scratch, OUT: scratch, DISK: disk } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
  const [first, second, last, ...rest] = ran.stdout.trim().split('\n')
  expect([first, second, ran.stderr, rest]).toEqual(['first 9', 'second 0', '', []])
  expect(last).toMatch(/^rfo-build: RFO_\w+: .*; next: /)
})
