import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GoBuildInfo, readGoBuildInfo } from '../../src/inspect/go-buildinfo.ts'
import { parseModuleInfo, unquote } from '../../src/inspect/go-modinfo.ts'
import { type Architecture, architectures } from '../../src/oci/platform.ts'
import { tool } from '../tools.ts'
import { inlineProgram, pointerProgram } from './go-elf.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-go-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function readFile(path: string): Promise<GoBuildInfo | undefined> {
  const handle = openSync(path, 'r')
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(handle, bytes, 0, length, offset))
    }
    return await readGoBuildInfo(read, statSync(path).size)
  } finally {
    closeSync(handle)
  }
}

const readBytes = (bytes: Buffer): Promise<GoBuildInfo | undefined> =>
  readGoBuildInfo((offset, length) => bytes.subarray(offset, offset + length), bytes.length)

const go = tool('go')
const environment = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off' }

/** The words of `go version -m`, in which everything stands that a reader can get wrong. */
function theirs(path: string): string[] {
  const [first = '', ...lines] = execFileSync(go.path, ['version', '-m', path], { encoding: 'utf8', env: environment }).split('\n')
  return [first.slice(first.lastIndexOf(': ') + 2), ...lines.map((line) => line.slice(1)).filter((line) => line !== '')]
}

function ours(info: GoBuildInfo | undefined): string[] {
  if (info === undefined) return []
  const quoted = (text: string): string => (/[ \t\r\n"`]/.test(text) ? JSON.stringify(text) : text)
  const fields = (kind: string, module: { path: string; version: string; sum: string }): string => {
    return [kind, module.path, module.version, ...(module.sum === '' && kind !== 'dep' ? [] : [module.sum])].join('\t')
  }
  return [
    info.goVersion,
    ...(info.package === '' ? [] : [`path\t${info.package}`]),
    ...(info.main === undefined ? [] : [info.main].map((one) => fields('mod', one))),
    ...info.deps.flatMap((one) => [fields('dep', one), ...(one.replace === undefined ? [] : [fields('=>', one.replace)])]),
    ...Object.entries(info.settings).map(([key, value]) => `build\t${key}=${quoted(value)}`),
  ]
}

/** Trailing tabs (a main module without a sum) and the order of settings are spelling. */
const plain = (lines: readonly string[]): string[] => lines.map((line) => line.trimEnd()).sort()

describe.skipIf(go.skip)('as go version -m says', () => {
  test('of the go tools themselves', async () => {
    const root = execFileSync(go.path, ['env', 'GOROOT'], { encoding: 'utf8', env: environment }).trim()
    const tools = readdirSync(join(root, 'bin')).map((name) => join(root, 'bin', name))
    expect(tools.length).toBeGreaterThan(0)
    for (const path of tools) expect(plain(ours(await readFile(path)))).toEqual(plain(theirs(path)))
  })

  // without -trimpath the runtime is compiled once per architecture, and only then
  const stripped = ['-ldflags=-s -w -X "main.version=v1 of it"', '-tags=one,two']
  const builds: { readonly arch: Architecture; readonly flags: readonly string[] }[] = [
    { arch: 'amd64', flags: [] },
    ...(Object.keys(architectures) as Architecture[]).map((arch) => ({ arch, flags: stripped })),
  ]
  test.each(builds)('of a program for $arch, built with $flags', { timeout: 180_000 }, async ({ arch, flags }) => {
    const work = join(folder, `${arch}-${flags.length}`)
    mkdirSync(join(work, 'dep'), { recursive: true })
    writeFileSync(
      join(work, 'go.mod'),
      'module example.com/tiny\n\ngo 1.22\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep => ./dep\n',
    )
    writeFileSync(
      join(work, 'main.go'),
      'package main\n\nimport "example.com/dep"\n\nvar version = "none"\n\nfunc main() { dep.Print(version) }\n',
    )
    writeFileSync(join(work, 'dep/go.mod'), 'module example.com/dep\n\ngo 1.22\n')
    // println, not fmt: nothing but the runtime is compiled
    writeFileSync(join(work, 'dep/dep.go'), 'package dep\n\nfunc Print(text string) { println(text) }\n')
    const env = { ...environment, GOOS: 'linux', GOARCH: arch, CGO_ENABLED: '0', GOPROXY: 'off' }
    execFileSync(go.path, ['build', ...flags, '-o', 'out', '.'], { cwd: work, env, stdio: 'pipe' })
    const path = join(work, 'out')
    const info = await readFile(path)
    expect(plain(ours(info))).toEqual(plain(theirs(path)))
    expect(info).toMatchObject({ machine: architectures[arch].elfMachine, package: 'example.com/tiny', settings: { GOARCH: arch } })
    expect(info?.deps).toEqual([
      { path: 'example.com/dep', version: 'v1.2.3', sum: '', replace: { path: './dep', version: '(devel)', sum: '' } },
    ])
    if (flags.length > 0) expect(info?.settings).toMatchObject({ '-ldflags': '-s -w -X "main.version=v1 of it"', '-tags': 'one,two' })

    // without a section table only a scan of the data segment finds it
    const bytes = readFileSync(path)
    bytes.fill(0, 40, 48)
    bytes.fill(0, 58, 64)
    expect(await readBytes(bytes)).toEqual(info)
  })
})

describe('the pointer format', () => {
  const text = 'path\tcommand-line-arguments\nmod\tx.org/m\tv1.0.0\th1:abc=\ndep\tx.org/d\tv2.0.0\th1:def=\n'
  test.each([false, true])('big endian: %s', async (big) => {
    expect(await readBytes(pointerProgram(big, 'go1.16.5', text))).toEqual({
      goVersion: 'go1.16.5',
      machine: 183,
      package: 'command-line-arguments',
      main: { path: 'x.org/m', version: 'v1.0.0', sum: 'h1:abc=' },
      deps: [{ path: 'x.org/d', version: 'v2.0.0', sum: 'h1:def=' }],
      settings: {},
    })
  })

  test('changed 2,000 times: something or nothing, at once', async () => {
    const original = pointerProgram(false, 'go1.16.5', text)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(4096),
        async (changes, length) => {
          const spoiled = Buffer.from(original)
          for (const [at, value] of changes) spoiled[at] = value
          const started = performance.now()
          await readBytes(length % 2 === 0 ? spoiled : spoiled.subarray(0, length))
          expect(performance.now() - started).toBeLessThan(1000)
        },
      ),
      { numRuns: 2000, seed: 1 },
    )
  })
})

test('the inline format, without a section', async () => {
  const info = await readBytes(inlineProgram('go1.26.8', 'path\tx.org/m\nmod\tx.org/m\tv1.0.0\th1:abc=\n'))
  expect(info).toMatchObject({ goVersion: 'go1.26.8', main: { path: 'x.org/m', version: 'v1.0.0' } })
})

test('what is no Go program has none', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('\x7fELF'), Buffer.alloc(8192), Buffer.from('#!/bin/sh\n')])
    expect(await readBytes(bytes)).toBeUndefined()
  expect(await readFile(process.execPath)).toBeUndefined()
})

test('settings that are quoted, lines that are not known', () => {
  expect(unquote('"a\\tb \\"c\\" \\x41 \\u4e2d \\\\"')).toBe('a\tb "c" A \u4e2d \\')
  expect(unquote('`raw "text"`')).toBe('raw "text"')
  expect(parseModuleInfo('build\t-ldflags="-s -w"\nbuild\t"odd key"=1\nnews\tfrom\ta\tnewer Go\nbuild\tno value\n').settings).toEqual({
    '-ldflags': '-s -w',
    'odd key': '1',
  })
  expect(parseModuleInfo('mod\tm\t(devel)\t\n=>\tn\tv1\th1:x=\n').main).toEqual({
    path: 'm',
    version: '(devel)',
    sum: '',
    replace: { path: 'n', version: 'v1', sum: 'h1:x=' },
  })
})
