/** Patches against real git: what git says is the difference between two trees is what we make of the first. */
import { execFile } from 'node:child_process'
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { maxPatchBytes, parsePatch } from '../../src/plan/patch.ts'
import { applyPatches } from '../../src/source/apply-patch.ts'
import { tool } from '../tools.ts'

const git = tool('git')
const file = 'pipelines/patches/tool/0001-x.patch'
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-patch-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function put(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

async function contents(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !join(entry.parentPath, entry.name).includes('/.git/'))
  const read = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    return [path.slice(root.length + 1), `${((await stat(path)).mode & 0o777).toString(8)} ${await readFile(path, 'latin1')}`] as const
  })
  return Object.fromEntries((await Promise.all(read)).sort())
}

const apply = (text: string): Promise<void> => applyPatches(dir, [{ file, text }])
const change = (path: string, body: string, head = ''): string =>
  `diff --git a/${path} b/${path}\n${head}--- a/${path}\n+++ b/${path}\n${body}`
const numbers = Array.from({ length: 12 }, (_, at) => `line ${at + 1}\n`).join('')

describe.skipIf(git.skip)('what git diff says', () => {
  const run = async (root: string, ...args: string[]): Promise<string> => {
    const named = ['-C', root, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args]
    return (await promisify(execFile)(git.path, named, { env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' } })).stdout
  }
  /** Commits `before`, then `after` in its place. */
  async function repository(
    root: string,
    before: Readonly<Record<string, string>>,
    after: Readonly<Record<string, string>>,
  ): Promise<void> {
    await mkdir(root, { recursive: true })
    await run(root, 'init', '--quiet', '-b', 'main')
    for (const [name, files] of Object.entries({ before, after })) {
      for (const each of await readdir(root)) if (each !== '.git') await rm(join(root, each), { recursive: true })
      await put(root, files)
      if (name === 'after' && 'bin/run' in files) await promisify(execFile)('chmod', ['+x', join(root, 'bin/run')])
      await run(root, 'add', '-A')
      await run(root, 'commit', '--quiet', '--allow-empty', '-m', name)
      await run(root, 'tag', name)
    }
  }

  const before = {
    'a.txt': numbers,
    'bin/run': 'x',
    'old/gone': 'one\ntwo',
    'with space/b': 'a\r\nb\r\n',
    'caf\u00e9.go': 'x\n',
    empty: '',
  }
  const after = {
    'a.txt': `first\n${numbers.replace('line 6\n', 'six\nsix and a half\n').replace('line 11\n', '')}last`,
    'bin/run': 'x\n',
    'with space/b': 'a\r\nB\r\n',
    'caf\u00e9.go': 'x\n',
    'new/er/file': '+++ not a header\n--- a/nothing\n@@ -1 +1 @@\n',
    'new/empty': '',
  }

  test.each([
    ['git diff', ['diff', '--no-renames', 'before', 'after']],
    ['git diff -U0', ['diff', '--no-renames', '-U0', 'before', 'after']],
    ['git format-patch', ['format-patch', '--no-renames', '--stdout', '--stat', 'before..after']],
  ])('is what becomes of the source (%s): new, deleted and empty files, modes, last lines, CRLF', async (_, args) => {
    const root = join(dir, 'repository')
    await repository(root, before, after)
    const [source, wanted] = [join(dir, 'source'), await contents(root)]
    await put(source, before)
    await applyPatches(source, [{ file, text: await run(root, ...args) }])
    expect(await contents(source)).toEqual(wanted)
  })

  test('any change of any text, by chance', { timeout: 120_000 }, async () => {
    const line = fc.constantFrom('a', 'b', '', '-- ', '@@ -1 +1 @@', 'diff --git a/x b/x', '\u00fc', '\t}', 'x\r')
    const text = fc.tuple(fc.array(line, { maxLength: 30 }), fc.boolean()).map(([lines, end]) => lines.join('\n') + (end ? '\n' : ''))
    let count = 0
    await fc.assert(
      fc.asyncProperty(text, text, async (one, two) => {
        fc.pre(one !== two)
        count += 1
        const root = join(dir, String(count))
        await put(root, { 'a/f': one, 'b/f': two })
        const said = await promisify(execFile)(git.path, ['-C', root, 'diff', '--no-index', '--no-prefix', '-U1', 'a/f', 'b/f'], {
          env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' },
        }).catch((thrown: { code: number; stdout: string }) => thrown)
        await put(join(root, 'source'), { f: one })
        await applyPatches(join(root, 'source'), [{ file, text: said.stdout }])
        expect(await readFile(join(root, 'source/f'), 'utf8')).toBe(two)
      }),
      { numRuns: 60 },
    )
  })
})

test('several patches build upon each other, in their order alone', async () => {
  await put(dir, { f: 'one\n' })
  const two = { file: 'two.patch', text: change('f', '@@ -1 +1 @@\n-one\n+two\n') }
  const three = { file: 'three.patch', text: change('f', '@@ -1 +1 @@\n-two\n+three\n') }
  await expect(applyPatches(dir, [three, two])).rejects.toMatchObject({ code: 'RFO_SOURCE_PATCH', where: 'three.patch:4' })
  await applyPatches(dir, [two, three])
  expect(await readFile(join(dir, 'f'), 'utf8')).toBe('three\n')
})

test('a file that is a link to another place’s is replaced: the other stays as it was', async () => {
  await put(dir, { 'cache/f': 'one\n', 'source/x': '' })
  await link(join(dir, 'cache/f'), join(dir, 'source/f'))
  await applyPatches(join(dir, 'source'), [{ file, text: change('f', '@@ -1 +1 @@\n-one\n+two\n') }])
  expect([await readFile(join(dir, 'cache/f'), 'utf8'), await readFile(join(dir, 'source/f'), 'utf8')]).toEqual(['one\n', 'two\n'])
})

describe('a patch that does not fit is refused with its line, the file’s line and the hunk', () => {
  beforeEach(() => put(dir, { 'main.go': numbers }))
  const first = '@@ -1 +1 @@\n-line 1\n+LINE 1\n'
  test.each([
    [
      'another line',
      `${first}@@ -5,3 +5,3 @@\n line 5\n-line six\n+6\n line 7\n`,
      7,
      'main.go:6: hunk 2 does not apply: expected "line six\\n", found "line 6\\n"',
    ],
    [
      'the right lines one further down: no other place is looked for',
      '@@ -4,2 +4,2 @@\n line 5\n-line 6\n+6\n',
      4,
      'main.go:4: hunk 1 does not apply: expected "line 5\\n"',
    ],
    [
      'behind the end',
      '@@ -12,2 +12,2 @@\n line 12\n-line 13\n+x\n',
      4,
      'main.go:13: hunk 1 does not apply: expected "line 13\\n", found the end',
    ],
    ['far behind the end', '@@ -900 +900 @@\n-x\n+y\n', 4, 'main.go:900: hunk 1 does not apply: there is no such place'],
    ['a last line that has a line feed', '@@ -12 +12 @@\n-line 12\n\\ No newline at end of file\n+x\n', 4, 'main.go:12: hunk 1'],
    ['hunks in another order', `@@ -5 +5 @@\n-line 5\n+5\n${first}`, 7, 'main.go:1: hunk 2 does not apply: there is no such place'],
    [
      'another place afterwards',
      '@@ -5 +6 @@\n-line 5\n+5\n',
      4,
      'main.go:5: hunk 1 does not apply: it says line 6 afterwards, which is 5',
    ],
  ])('%s', async (_, body, line, message) => {
    await expect(apply(change('main.go', body))).rejects.toMatchObject({
      code: 'RFO_SOURCE_PATCH',
      exit: 'usage',
      where: `${file}:${line}`,
      message: expect.stringContaining(message),
    })
  })

  test('no such file, a file that is there already, a deletion that leaves lines', async () => {
    const refused = (message: string) => ({ code: 'RFO_SOURCE_PATCH', message: expect.stringContaining(message) })
    await expect(apply(change('absent.go', first))).rejects.toMatchObject(refused('no file absent.go'))
    const create = 'diff --git a/main.go b/main.go\nnew file mode 100644\n--- /dev/null\n+++ b/main.go\n@@ -0,0 +1 @@\n+x\n'
    await expect(apply(create)).rejects.toMatchObject(refused('has a file main.go already'))
    const gone = 'diff --git a/main.go b/main.go\ndeleted file mode 100644\n--- a/main.go\n+++ /dev/null\n@@ -1 +0,0 @@\n-line 1\n'
    await expect(apply(gone)).rejects.toMatchObject(refused('main.go has more lines'))
  })
})

describe('what would leave the source', () => {
  const create = (path: string): string =>
    `diff --git a/${path} b/${path}\nnew file mode 100644\n--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+evil\n`

  test.each(['../out', 'a/../../out', '/etc/out', './x', 'a//b', '.git/config', 'a/.git/hooks/x', 'a\\b', ''])(
    'the path %j is refused before anything is read',
    async (path) => {
      await expect(apply(create(path))).rejects.toMatchObject({ code: 'RFO_PLAN_PATCH', exit: 'usage', where: `${file}:1` })
      const other = `diff --git a/x b/x\n--- a/x\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`
      await expect(apply(other)).rejects.toMatchObject({ code: 'RFO_PLAN_PATCH' })
    },
  )

  test('through a symbolic link: the folder, the file, a new file below it', async () => {
    await put(dir, { 'outside/f': 'one\n', 'source/real/f': 'one\n' })
    const source = join(dir, 'source')
    await symlink('../outside', join(source, 'out'))
    await symlink('real', join(source, 'inside'))
    await symlink('../outside/f', join(source, 'f'))
    const edit = '@@ -1 +1 @@\n-one\n+evil\n'
    for (const text of [change('out/f', edit), change('inside/f', edit), change('f', edit), create('out/new'), create('f')]) {
      await expect(applyPatches(source, [{ file, text }])).rejects.toMatchObject({
        code: 'RFO_SOURCE_PATH',
        exit: 'untrusted',
        where: file,
        message: expect.stringContaining('is a symbolic link'),
      })
    }
    expect(await readdir(join(dir, 'outside'))).toEqual(['f'])
    expect(await readFile(join(dir, 'outside/f'), 'utf8')).toBe('one\n')
  })
})

describe('what is no diff of git’s is refused, never half applied', () => {
  const edit = '@@ -1 +1 @@\n-a\n+b\n'
  test.each([
    ['nothing in it', '', 1, 'changes no file'],
    ['only a mail', 'From: x\n\nSubject: y\n', 1, 'changes no file'],
    ['a plain diff', `--- a/x\n+++ b/x\n${edit}`, 3, 'hunk of no file'],
    ['a rename', 'diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n', 1, 'not one plain path'],
    ['a copy', 'diff --git a/x b/x\nsimilarity index 100%\ncopy from x\ncopy to x\n', 2, 'rename or copy'],
    ['a quoted name', 'diff --git "a/\\303\\251" "b/\\303\\251"\n', 1, 'not one plain path'],
    ['a binary file', 'diff --git a/x b/x\nindex 0123456..89abcde 100644\nGIT binary patch\nliteral 1\nIcmZQz0001\n', 3, 'binary'],
    ['a binary file, unsaid', 'diff --git a/x b/x\nindex 0123456..89abcde 100644\nBinary files a/x and b/x differ\n', 3, 'binary'],
    ['a symbolic link', `diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc\n`, 2, 'mode 120000'],
    ['a submodule', 'diff --git a/x b/x\nindex 0123456..89abcde 160000\n--- a/x\n+++ b/x\n', 2, 'mode 160000'],
    ['too few lines', change('x', '@@ -1,3 +1,3 @@\n a\n-b\n+c\n'), 8, 'hunk 1 ends before its 3 and 3 lines'],
    ['too many lines', change('x', '@@ -1 +1 @@\n-a\n+b\n+c\n'), 7, 'behind the last hunk'],
    ['a lost space', change('x', '@@ -1,2 +1,2 @@\n-a\n+b\n\n'), 7, 'hunk 1 ends before'],
    ['an empty change', 'diff --git a/x b/x\nindex 0123456..89abcde 100644\n', 1, 'changes nothing'],
    ['no hunk', 'diff --git a/x b/x\n--- a/x\n+++ b/x\n', 4, 'expected @@'],
    [
      'lines kept of a new file',
      `diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -1 +1,2 @@\n a\n+b\n`,
      1,
      'were there before',
    ],
    ['a merge', `diff --cc x\n${edit}`, 1, 'hunk of no file'],
  ])('%s', (_, text, line, message) => {
    expect(() => parsePatch(text, file)).toThrow(
      expect.objectContaining({
        code: 'RFO_PLAN_PATCH',
        exit: 'usage',
        where: `${file}:${line}`,
        message: expect.stringContaining(message),
      }),
    )
  })

  test('more than a person writes', () => {
    expect(() => parsePatch('x'.repeat(maxPatchBytes + 1), file)).toThrow(expect.objectContaining({ code: 'RFO_PLAN_PATCH' }))
  })
})
