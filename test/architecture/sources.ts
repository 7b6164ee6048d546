/** Reads src/ as text: which file imports which, and what is code and what is comment. No compiler: a few regular expressions do. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

export interface Import {
  /** As written: `../oci/digest.ts`, `node:fs`, `zod`. */
  readonly specifier: string
  /** Path from the project's root when the specifier is relative. */
  readonly file: string | undefined
  /** `import type`: gone at run time. */
  readonly typeOnly: boolean
  /** `import('...')`: loaded when reached. */
  readonly lazy: boolean
}

export interface Source {
  /** `src/plan/lock.ts` */
  readonly file: string
  readonly text: string
  /** The text with comments blanked, line numbers kept. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** The room of a file: `plan` for src/plan/lock.ts, `main.ts` for src/main.ts. */
export function roomOf(file: string): string {
  return file.split('/')[1] ?? ''
}

export function readSources(root: string): readonly Source[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => parse(posix.join('src', name), readFileSync(join(root, 'src', name), 'utf8')))
    .sort((a, b) => (a.file < b.file ? -1 : 1))
}

export function parse(file: string, text: string): Source {
  const code = blankComments(text)
  return { file, text, code, imports: [...importsOf(file, code)] }
}

/** A quote in a regular expression can hide the rest of one line at most; that is near enough here. */
const commentOrString = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g

function blankComments(text: string): string {
  return text.replace(commentOrString, (whole, quoted: string | undefined) => quoted ?? whole.replace(/[^\n]/g, ' '))
}

const statement =
  /^\s*(?:import|export)\s+(type\s)?[^'"`;()]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]/gm

function* importsOf(file: string, code: string): Iterable<Import> {
  for (const [, type, from, bare, lazy] of code.matchAll(statement)) {
    const specifier = from ?? bare ?? lazy ?? ''
    const relative = specifier.startsWith('.')
    yield {
      specifier,
      file: relative ? posix.join(posix.dirname(file), specifier) : undefined,
      typeOnly: type !== undefined,
      lazy: lazy !== undefined,
    }
  }
}

/** The shortest way of imports from one file to another, for a message that shows how it came to this. */
export function chain(sources: readonly Source[], from: string, to: string): readonly string[] {
  const before = new Map<string, string | undefined>([[from, undefined]])
  const queue = [from]
  for (const file of queue) {
    if (file === to) break
    for (const { file: next } of sources.find((source) => source.file === file)?.imports ?? []) {
      if (next !== undefined && !before.has(next)) {
        before.set(next, file)
        queue.push(next)
      }
    }
  }
  if (!before.has(to)) return [to]
  const path: string[] = []
  for (let file: string | undefined = to; file !== undefined; file = before.get(file)) path.unshift(file)
  return path
}
