/**
 * Git's diffs, read strictly: what is no part of the form is refused, so that nothing of a patch is silently left out. Text
 * in, values out; source/apply-patch.ts applies them. https://git-scm.com/docs/diff-format#generate_patch_text_with_p
 */
import { RfoError } from '../error.ts'

export interface FilePatch {
  /** below the source's root */
  readonly path: string
  /** what becomes of the file */
  readonly kind: 'change' | 'create' | 'delete'
  /** the file's mode afterwards, when the patch says one */
  readonly executable?: boolean
  readonly hunks: readonly Hunk[]
}

export interface Hunk {
  /** from 1, in its file's patch */
  readonly number: number
  /** line of the patch file, from 1 */
  readonly line: number
  /** first line in the file before and after, from 1; of an empty side the line before it */
  readonly oldStart: number
  readonly newStart: number
  readonly lines: readonly HunkLine[]
}

export interface HunkLine {
  readonly kind: 'same' | 'remove' | 'add'
  /** with its line feed, which the last line of a file may lack */
  readonly text: string
}

/** Bytes that somebody wrote by hand, or git for him. */
export const maxPatchBytes = 1024 * 1024

const header = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/

/** Throws RFO_PLAN_PATCH (usage) with file:line. Text before, between and after the files' patches is what mail holds, and skipped. */
export function parsePatch(text: string, file: string): readonly FilePatch[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const refuse = (
    at: number,
    why: string,
    next = 'make it with git: `git diff --no-renames` or `git format-patch --no-renames`',
  ): RfoError => new RfoError('RFO_PLAN_PATCH', why, { exit: 'usage', where: `${file}:${at + 1}`, next })
  if (Buffer.byteLength(text) > maxPatchBytes) throw refuse(0, `more than ${maxPatchBytes} bytes`)
  const found: FilePatch[] = []
  let at = 0
  while (at < lines.length) {
    const line = lines[at] ?? ''
    if (line.startsWith('diff --git ')) {
      const { patch, next } = filePatch(lines, at, refuse)
      found.push(patch)
      at = afterHunks(lines, next, refuse)
    } else if (header.test(line) || line.startsWith('diff --cc ') || line.startsWith('diff --combined ')) {
      throw refuse(at, 'a hunk of no file: git begins each file with `diff --git`')
    } else at += 1
  }
  if (found.length === 0) throw refuse(0, 'it changes no file')
  return found
}

type Refuse = (at: number, why: string, next?: string) => RfoError

function filePatch(lines: readonly string[], start: number, refuse: Refuse): { patch: FilePatch; next: number } {
  const path = pathOf(lines[start] ?? '')
  if (path === undefined) throw refuse(start, 'not one plain path inside the source on both sides: renames and quoted names are not taken')
  let at = start + 1
  let kind: FilePatch['kind'] = 'change'
  let executable: boolean | undefined
  const mode = (said: string): boolean => {
    if (said !== '100644' && said !== '100755') throw refuse(at, `mode ${said.slice(0, 20)}: only regular files are patched`)
    return said === '100755'
  }
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    const [, word, said = ''] = /^(old mode|new mode|deleted file mode|new file mode|index) (.*)$/.exec(line) ?? []
    if (word === undefined) break
    if (word === 'index') {
      const own = / (\d+)$/.exec(said)?.[1]
      if (own !== undefined) mode(own)
    } else if (word === 'old mode') mode(said)
    else if (word === 'new mode') executable = mode(said)
    else {
      const bit = mode(said)
      kind = word === 'new file mode' ? 'create' : 'delete'
      if (kind === 'create') executable = bit
    }
  }
  const line = lines[at] ?? ''
  if (/^(similarity|dissimilarity|copy|rename) /.test(line)) throw refuse(at, 'a rename or copy')
  if (/^(GIT binary patch|Binary files )/.test(line)) throw refuse(at, 'a binary file: only lines of text are patched')
  if (!line.startsWith('--- ')) return { patch: whole({ path, kind, executable, hunks: [] }, start, refuse), next: at }
  const [old, now] = [kind === 'create' ? '/dev/null' : `a/${path}`, kind === 'delete' ? '/dev/null' : `b/${path}`]
  // git ends a name that holds a space with a tab
  if (line.replace(/\t$/, '') !== `--- ${old}`) throw refuse(at, `expected --- ${old}`)
  if (lines[at + 1]?.replace(/\t$/, '') !== `+++ ${now}`) throw refuse(at + 1, `expected +++ ${now}`)
  at += 2
  const hunks: Hunk[] = []
  while (header.test(lines[at] ?? '')) {
    const { hunk, next } = hunkAt(lines, at, hunks.length + 1, refuse)
    hunks.push(hunk)
    at = next
  }
  if (hunks.length === 0) throw refuse(at, 'expected @@')
  return { patch: whole({ path, kind, executable, hunks }, start, refuse), next: at }
}

/** `diff --git a/x b/x`: the same path twice, so that a space in it divides nothing. */
function pathOf(line: string): string | undefined {
  const names = line.slice('diff --git '.length)
  const path = names.slice('a/'.length, (names.length - 1) / 2)
  const inside =
    path !== '' && !path.includes('\0') && !/[\\"\t]/.test(path) && path.split('/').every((part) => !['', '.', '..', '.git'].includes(part))
  return inside && names === `a/${path} b/${path}` ? path : undefined
}

function whole(
  { executable, ...patch }: Omit<FilePatch, 'executable'> & { executable: boolean | undefined },
  at: number,
  refuse: Refuse,
): FilePatch {
  const one = (kept: HunkLine['kind']): boolean =>
    patch.hunks.length <= 1 && patch.hunks.every((hunk) => hunk.lines.every((line) => line.kind === kept))
  if (patch.kind === 'create' && !one('add')) throw refuse(at, 'a new file has lines that were there before')
  if (patch.kind === 'delete' && !one('remove')) throw refuse(at, 'of a deleted file lines stay')
  if (patch.kind === 'change' && patch.hunks.length === 0 && executable === undefined) throw refuse(at, 'it changes nothing of this file')
  return { ...patch, ...(executable === undefined ? {} : { executable }) }
}

function hunkAt(lines: readonly string[], start: number, number: number, refuse: Refuse): { hunk: Hunk; next: number } {
  const [, oldStart = '', oldCount = '1', newStart = '', newCount = '1'] = header.exec(lines[start] ?? '') ?? []
  let [old, now] = [Number(oldCount), Number(newCount)]
  const found: HunkLine[] = []
  let at = start + 1
  while (old > 0 || now > 0) {
    const line = lines[at]
    const kind = line === undefined ? undefined : kinds[line.slice(0, 1)]
    if (line === undefined || kind === undefined) throw refuse(at, `hunk ${number} ends before its ${oldCount} and ${newCount} lines`)
    if (kind !== 'add') old -= 1
    if (kind !== 'remove') now -= 1
    if (old < 0 || now < 0) throw refuse(at, `hunk ${number} has more than its ${oldCount} and ${newCount} lines`)
    const ends = lines[at + 1]?.startsWith('\\ ') === true
    found.push({ kind, text: ends ? line.slice(1) : `${line.slice(1)}\n` })
    at += ends ? 2 : 1
  }
  return { hunk: { number, line: start + 1, oldStart: Number(oldStart), newStart: Number(newStart), lines: found }, next: at }
}

const kinds: Readonly<Record<string, HunkLine['kind']>> = { ' ': 'same', '-': 'remove', '+': 'add' }

/** Where a hunk's lines could still stand, only a mail's signature may: lines behind the last hunk mean that its counts are wrong. */
function afterHunks(lines: readonly string[], start: number, refuse: Refuse): number {
  for (let at = start; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    if (line.startsWith('diff --git ') || line.startsWith('From ')) return at
    if (!/^(|--|-- |\d+\.\d+[\w.() -]*)$/.test(line)) throw refuse(at, 'a line behind the last hunk: its counts are wrong')
  }
  return lines.length
}
