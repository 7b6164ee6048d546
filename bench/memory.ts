/**
 * Peak memory and disk of what carries a release, with one file of a gigabyte in it: pack, materialize, verify of the archive (which finds that
 * lists and root are older than the file, and reads all of it to say so), and a client that asks `serve`'s own server for all of it.
 *
 *     node bench/memory.ts [megabytes]
 *
 * Prints VmHWM of each process and the bytes that appeared. Goals: 150 MB, and on the disk nothing but the result.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../src/oci/digest.ts'
import { readSigningKey } from '../src/sign/key.ts'
import { root, run, smallProject, version } from '../test/release/project.ts'
import { resigned } from '../test/release/resigned.ts'

const megabytes = Number(process.argv[2] ?? 1000)
const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
const project = await smallProject()

/** MB */
function peakOf(child: ChildProcess): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  let sum = 0
  for (const entry of entries) if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0
  return sum
}

async function measured(argv: readonly string[], out: string): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'bin/rfo-build.js'), ...argv, '--progress', 'none'], {
    cwd: project.folder,
    stdio: 'ignore',
  })
  let [memory, disk] = [0, 0]
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let looking = true
  const look = (async () => {
    while (looking) {
      memory = Math.max(memory, peakOf(child))
      disk = Math.max(disk, await bytesIn(out))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  const code = await ended
  looking = false
  await look
  console.log(
    `${argv[0]}: exit ${code}, peak memory ${memory.toFixed(0)} MB (goal 150), peak disk ${(disk / 1e6).toFixed(0)} MB, result ${((await bytesIn(out)) / 1e6).toFixed(0)} MB`,
  )
}

try {
  const made = await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none'])
  if (made.code !== 0) throw new Error(made.stderr)
  const folder = join(project.folder, 'dist', version)
  const [large, hash] = [join(folder, 'rfo.linux-amd64'), createHash('sha256')]
  rmSync(large)
  const file = await open(large, 'w')
  const block = Buffer.alloc(1_000_000)
  for (let i = 0; i < megabytes; i += 1) {
    block.writeUInt32LE(i, 0)
    hash.update(block)
    await file.write(block)
  }
  await file.close()
  const key = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  await resigned(folder, key, (predicate) => {
    const entry = predicate.files.find(({ path }) => path === 'rfo.linux-amd64') as { digest: Digest; size: number }
    // what is signed of the file that was is a file too many
    for (const name of readdirSync(join(folder, 'evidence')))
      if (name.startsWith(entry.digest.slice(7))) rmSync(join(folder, 'evidence', name))
    entry.digest = `sha256:${hash.digest('hex')}` as Digest
    entry.size = statSync(large).size
  })
  const [archive, pub] = [join(work, 'out', `rfo-${version}.tar`), join(project.folder, '.rfo/sandbox/cosign.pub')]
  await measured(['pack', version, '-o', join(work, 'out')], join(work, 'out'))
  await measured(['verify', archive, '--key', pub], join(work, 'nothing'))
  await measured(['materialize', archive, '--key', pub, '-o', join(work, 'into')], join(work, 'into'))
} finally {
  await project.remove()
  rmSync(work, { recursive: true, force: true })
}
