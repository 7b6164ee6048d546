/**
 * Puts patches into an opened source: exactly where they say, or not at all. Neither `git apply` nor `patch` is asked, both of
 * which look for another place where a hunk might fit, and a module's folder is no repository.
 */
import { randomUUID } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RfoError } from '../error.ts'
import { type FilePatch, type Hunk, parsePatch } from '../plan/patch.ts'
import type { BesideText } from '../plan/source-changes.ts'
import { pathIn } from './path.ts'

/** A source file above this size is generated, and nobody patches it by hand. */
const maxFileBytes = 64 * 1024 * 1024

/** In their order. Throws RFO_SOURCE_PATCH (usage) with the patch's file:line, RFO_SOURCE_PATH where a file is no file. `dir` is spoilt then. */
export async function applyPatches(dir: string, patches: readonly BesideText[]): Promise<void> {
  for (const { file, text } of patches) {
    for (const patch of parsePatch(text, file)) await applyToFile(dir, patch, file)
  }
}

async function applyToFile(dir: string, patch: FilePatch, file: string): Promise<void> {
  const there = await fileAt(dir, patch.path, file)
  const target = join(dir, patch.path)
  const line = patch.hunks[0]?.line ?? 1
  if (there === undefined && patch.kind !== 'create') throw refused(file, line, `the source has no file ${patch.path}`)
  if (there !== undefined && patch.kind === 'create') throw refused(file, line, `the source has a file ${patch.path} already`)
  if (there !== undefined && there.size > maxFileBytes) throw refused(file, line, `${patch.path} has more than ${maxFileBytes} bytes`)
  // a character a byte: a file is patched whatever its encoding, and every byte is compared
  const before = there === undefined ? '' : await readFile(target, 'latin1')
  const after = patched(before, patch, file)
  if (patch.kind === 'delete') {
    if (after !== '') throw refused(file, line, `${patch.path} has more lines than the patch deletes`)
    return await rm(target)
  }
  // Another file in its place, never other bytes in the same one: the source's files may be links to the cache's.
  const mode = (patch.executable ?? there?.executable) === true ? 0o755 : 0o644
  const temporary = join(dirname(target), `.${randomUUID()}`)
  await mkdir(dirname(target), { recursive: true })
  await writeFile(temporary, after, { encoding: 'latin1', flag: 'wx', mode })
  await chmod(temporary, mode)
  await rename(temporary, target)
}

/** What lies there; nothing on the way to it, nor itself, may be a link. */
async function fileAt(dir: string, path: string, file: string): Promise<{ size: number; executable: boolean } | undefined> {
  const parts = pathIn(path).split('/')
  for (const at of parts.keys()) {
    const below = parts.slice(0, at + 1).join('/')
    const found = await lstat(join(dir, below)).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENOENT') return undefined
      throw thrown
    })
    if (found === undefined) return undefined
    const last = at === parts.length - 1
    if (last ? found.isFile() : found.isDirectory()) {
      if (last) return { size: found.size, executable: (found.mode & 0o111) !== 0 }
      continue
    }
    const what = found.isSymbolicLink() ? 'a symbolic link' : last ? 'no regular file' : 'no folder'
    throw new RfoError('RFO_SOURCE_PATH', `${path} can't be patched: ${below} is ${what}`, { exit: 'untrusted', where: file })
  }
  return undefined
}

function patched(before: string, patch: FilePatch, file: string): string {
  // each line with its line feed, so that a last line without one is like no other
  const old = before.match(/[^\n]*\n|[^\n]+/g) ?? []
  const result: string[] = []
  let at = 0
  for (const hunk of patch.hunks) {
    // of an empty side the header names the line before it
    const start = hunk.lines.some((line) => line.kind !== 'add') ? hunk.oldStart - 1 : hunk.oldStart
    const made = hunk.lines.some((line) => line.kind !== 'remove') ? hunk.newStart - 1 : hunk.newStart
    if (start < at || start > old.length) throw misfit(file, patch, hunk, start, 'there is no such place behind the hunk before it')
    for (; at < start; at += 1) result.push(old[at] ?? '')
    if (result.length !== made)
      throw misfit(file, patch, hunk, start, `it says line ${hunk.newStart} afterwards, which is ${result.length + 1}`)
    for (const { kind, text } of hunk.lines) {
      const bytes = Buffer.from(text, 'utf8').toString('latin1')
      if (kind === 'add') {
        result.push(bytes)
        continue
      }
      const found = old[at]
      if (found !== bytes)
        throw misfit(file, patch, hunk, at, `expected ${shown(bytes)}, found ${found === undefined ? 'the end' : shown(found)}`)
      if (kind === 'same') result.push(bytes)
      at += 1
    }
  }
  for (; at < old.length; at += 1) result.push(old[at] ?? '')
  return result.join('')
}

function shown(line: string): string {
  return JSON.stringify(Buffer.from(line, 'latin1').toString('utf8').slice(0, 80))
}

/** `at` counts from 0. */
function misfit(file: string, { path }: FilePatch, { number, line }: Hunk, at: number, why: string): RfoError {
  return refused(file, line, `${path}:${at + 1}: hunk ${number} does not apply: ${why}`)
}

function refused(file: string, line: number, why: string): RfoError {
  return new RfoError('RFO_SOURCE_PATCH', why, {
    exit: 'usage',
    where: `${file}:${line}`,
    next: 'make the patch anew from the source that the lock pins',
  })
}
