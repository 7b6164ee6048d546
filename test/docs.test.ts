/**
 * What the pages say is run: every `sh` block of every page, in one scratch copy of the project, page by page. The first block
 * that needs a release makes it, the others find it made; a plain line that has run already is not run again. Two markers on the line before a block:
 * `<!-- run by .ci/run -->`: too long for here; each of its lines stands in .ci/run word for word.
 * `<!-- not run: why -->`: nobody runs it.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pages } from '../docs/generate.ts'
import { tool } from './tools.ts'

const root = join(import.meta.dirname, '..')
const markdown = ['.', '.github', 'bench', 'docs', 'docs/decisions'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => relative('.', join(folder, name))),
)
const text = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Block {
  readonly file: string
  readonly line: number
  readonly code: string
  readonly marker: string | undefined
}

function blocksOf(file: string): readonly Block[] {
  const page = text(file)
  return [...page.matchAll(/(?:^<!-- (.*) -->\n)?^```sh\n([\s\S]*?)^```$/gm)].map((found) => ({
    file,
    line: page.slice(0, found.index).split('\n').length,
    code: found[2] ?? '',
    marker: found[1],
  }))
}

const blocks = markdown.flatMap(blocksOf)
const titled = (kind: (block: Block) => boolean) => blocks.filter(kind).map((block) => [`${block.file}:${block.line}`, block] as const)

/** Lines that have run, in one spelling. */
const ran = new Set<string>()

/** The block without the plain lines that ran before; a line with a pipe, a redirection or a change of folder always runs. */
function fresh(code: string): string {
  return code
    .split('\n')
    .filter((line) => {
      const plain = line.replace(' --no-install', '').replace(' --lang zh', '').trim()
      if (/[|>&;]|^cd /.test(plain)) return true
      const first = !ran.has(plain)
      ran.add(plain)
      return first
    })
    .join('\n')
}

let scratch: string
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rfo-docs-'))
  for (const name of ['bin', 'src', 'bench', 'install', 'LICENSE', 'pipelines', 'package.json', 'package-lock.json', 'images.lock'])
    cpSync(join(root, name), join(scratch, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Programs of others that a page shows; a block with one that is not there is skipped, and tool() says so. */
const foreign = ['openssl'].filter((name) => tool(name).skip)
const needs = (code: string): boolean => foreign.some((name) => code.includes(`${name} `))

describe('every command in the pages', () => {
  test.each(titled(({ marker, code }) => marker === undefined && !needs(code)))('%s runs', { timeout: 180_000 }, (_, { code }) => {
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? scratch,
      LANG: 'C.UTF-8',
      NODE_COMPILE_CACHE: join(scratch, '.compiled'),
    }
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', `:\n${fresh(code)}`], {
      cwd: scratch,
      env,
      encoding: 'utf8',
      timeout: 170_000,
    })
    expect(status, `${code}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`).toBe(0)
  })

  test.each(titled(({ marker }) => marker === 'run by .ci/run'))('%s stands in .ci/run word for word', (_, { code }) => {
    const ci = text('.ci/run')
    for (const line of code.trim().split('\n')) expect(ci).toContain(`\n  ${line}\n`)
  })

  test('a block that nobody runs says why', () => {
    const markers = blocks.map(({ marker }) => marker).filter((marker) => marker !== undefined && marker !== 'run by .ci/run')
    for (const marker of markers) expect(marker).toMatch(/^not run: \S+/)
    expect(markers.length).toBeLessThan(blocks.length / 4)
  })
})

describe('every page', () => {
  test.each(Object.entries(pages))('docs/%s is what the code says: npm run docs:write', async (name, make) => {
    expect(text(`docs/${name}`)).toBe(await make())
  })

  test.each(markdown)('%s: its links lead to files that are there', (file) => {
    const links = [...text(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)].map((found) => found[1] ?? '')
    expect(links.filter((link) => !existsSync(join(root, dirname(file), link)))).toEqual([])
  })

  test('both READMEs show the same commands', () => {
    const commands = (file: string) => blocksOf(file).map(({ code }) => code.replaceAll(' --lang zh', ''))
    expect(commands('README.zh.md')).toEqual(commands('README.md'))
  })

  test('every command of the product is in docs/cli.md, and every exit code in docs/exit-codes.md', async () => {
    const { exitCodes } = await import('../src/error.ts')
    for (const code of Object.values(exitCodes)) expect(text('docs/exit-codes.md')).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'))
  })
})
