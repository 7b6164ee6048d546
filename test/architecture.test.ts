/** The rules of docs/architecture.md, read from the imports. A failure prints the offending chain. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chain, parse, readSources, roomOf, type Source } from './architecture/sources.ts'

const root = join(import.meta.dirname, '..')
const sources = readSources(root)

const words = ['oci', 'attest', 'plan']
const doors = [
  'upstream',
  'source',
  'build',
  'inspect',
  'advisory',
  'cluster',
  'conformance',
  'sign',
  'pack',
  'rpm',
  'serve',
  'daemon',
  'sandbox',
]

/** Room → rooms it may import besides itself and error.ts. A room that is not here is not in the design. */
const below: Readonly<Record<string, readonly string[]>> = {
  'error.ts': [],
  'exec.ts': [],
  oci: [],
  attest: ['oci'],
  plan: ['oci'],
  // docker's credential helpers are programs
  content: ['exec.ts', ...words],
  graph: ['content', ...words],
  ...Object.fromEntries(doors.map((door) => [door, ['exec.ts', 'content', ...words]])),
  release: [...doors, 'graph', 'content', ...words],
  report: ['graph', ...words],
  cli: ['release', 'report', ...doors, 'graph', 'content', ...words],
  'main.ts': ['cli', 'release', 'report', ...doors, 'graph', 'content', 'exec.ts', ...words],
}

function forbiddenImports(all: readonly Source[]): readonly string[] {
  return all.flatMap(({ file, imports }) =>
    imports.flatMap((each) => {
      if (each.file === undefined) return []
      const [from, to] = [roomOf(file), roomOf(each.file)]
      if (from === to || to === 'error.ts' || (below[from] ?? []).includes(to)) return []
      return [[...chain(all, 'src/main.ts', file), each.file].join(' → ')]
    }),
  )
}

/** `file:line: text` of each line of code that matches. */
function lines(all: readonly Source[], pattern: RegExp, of: (source: Source) => string = (source) => source.code): readonly string[] {
  return all.flatMap((source) =>
    of(source)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${source.file}:${index + 1}: ${line.trim()}`] : [])),
  )
}

const outside = (...files: readonly string[]): readonly Source[] =>
  sources.filter(({ file }) => !files.some((each) => file === each || (each.endsWith('/') && file.startsWith(each))))

describe('rooms', () => {
  test('every room is in the design', () => {
    expect([...new Set(sources.map(({ file }) => roomOf(file)))].filter((room) => !(room in below))).toEqual([])
  })

  test('imports go down only, and no door imports another', () => {
    expect(forbiddenImports(sources)).toEqual([])
  })

  test('every import is there, written with .ts', () => {
    const missing = sources.flatMap(({ file, imports }) =>
      imports.filter((each) => each.file !== undefined && !existsSync(join(root, each.file))).map((each) => `${file} → ${each.specifier}`),
    )
    expect(missing).toEqual([])
  })

  test('no circle of imports at run time', () => {
    const edges = new Map(
      sources.map(({ file, imports }) => [
        file,
        imports.flatMap((each) => (each.file === undefined || each.typeOnly || each.lazy ? [] : [each.file])),
      ]),
    )
    expect(circle(edges)?.join(' → ')).toBeUndefined()
  })

  test('words know neither files nor network', () => {
    const pure = ['node:crypto', 'node:buffer', 'node:util', 'node:path/posix']
    const bad = sources
      .filter(({ file }) => words.includes(roomOf(file)))
      .flatMap(({ file, imports }) =>
        imports
          .filter((each) => each.specifier.startsWith('node:') && !pure.includes(each.specifier))
          .map((each) => `${file} → ${each.specifier}`),
      )
    expect(bad).toEqual([])
  })

  test('subprocesses go through exec.ts', () => {
    expect(lines(outside('src/exec.ts'), /child_process/)).toEqual([])
  })

  test('files are named for what they hold', () => {
    expect(sources.map(({ file }) => file).filter((file) => /\/(utils?|common|helpers?|manager|service|types)\.ts$/.test(file))).toEqual([])
  })
})

describe('what only main.ts may know', () => {
  test('environment, arguments, exit, terminal', () => {
    expect(
      lines(outside('src/main.ts'), /\bprocess\.(env|argv|exit|exitCode|cwd|stdin|stdout|stderr|on|once)\b|\bprocess\[|import\s+process\b/),
    ).toEqual([])
  })

  test('the clock and chance; names of temporary files may use crypto.randomUUID', () => {
    const pattern = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b|\bhrtime\b/
    expect(lines(outside('src/main.ts'), pattern)).toEqual([])
  })

  test('the locale', () => {
    expect(lines(outside('src/main.ts'), /\btoLocale\w*\(|\blocaleCompare\b|\bIntl\./)).toEqual([])
  })
})

test('no platform is a default', () => {
  const pattern = /(\?\?|\|\||(?<![=!<>])=(?![=>])|\.default\()\s*['"](linux\/)?(amd64|arm64|riscv64|x86_64|aarch64)['"]/
  expect(lines(sources, pattern).filter((line) => !/: (export )?type /.test(line))).toEqual([])
})

test('the code after the socket does not know that something is a stand-in', () => {
  const mayName = ['src/sandbox/', 'src/cli/', 'src/main.ts', 'src/attest/release.ts', 'src/release/refusals.ts']
  // what Kubernetes calls a pod's first container
  mayName.push('src/cluster/config.ts')
  expect(lines(outside(...mayName), /sandbox/i, ({ text }) => text)).toEqual([])
})

describe('the test itself', () => {
  const made = (file: string, text: string): Source => parse(file, text)

  test('finds a forbidden import and prints the chain to it', () => {
    const all = [
      made('src/main.ts', "import { plan } from './plan/plan.ts'"),
      made('src/plan/plan.ts', "import type { ContentStore } from '../content/store.ts'"),
      made('src/content/store.ts', ''),
      made('src/sign/key.ts', "const { x } = await import('../build/go.ts')"),
      made('src/build/go.ts', "export { y } from '../error.ts'\nimport '../exec.ts'"),
    ]
    expect(forbiddenImports(all)).toEqual(['src/main.ts → src/plan/plan.ts → src/content/store.ts', 'src/sign/key.ts → src/build/go.ts'])
  })

  test('reads code, not comments', () => {
    const source = made('src/a/b.ts', "// Date.now()\n/* import './x.ts' */\nconst url = 'https://x' // Date.now()\nDate.now()\n")
    expect(lines([source], /Date\.now/)).toEqual(['src/a/b.ts:4: Date.now()'])
    expect(source.imports).toEqual([])
    expect(source.code).toContain("'https://x'")
  })

  test('finds a circle', () => {
    expect(
      circle(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b'])
    expect(
      circle(
        new Map([
          ['a', ['b']],
          ['b', []],
        ]),
      ),
    ).toBeUndefined()
  })
})

function circle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const clear = new Set<string>()
  const walk = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (clear.has(file)) return undefined
    for (const next of edges.get(file) ?? []) {
      const round = walk(next, [...path, file])
      if (round !== undefined) return round
    }
    clear.add(file)
    return undefined
  }
  for (const file of edges.keys()) {
    const round = walk(file, [])
    if (round !== undefined) return round
  }
  return undefined
}
