import { expect, test } from 'vitest'
import { fail } from '../../src/cli/failure.ts'
import { RfoError } from '../../src/error.ts'
import { secretsIn } from '../../src/exec.ts'

function failure(thrown: unknown, env: Readonly<Record<string, string>> = {}) {
  const written = { stdout: '', stderr: '' }
  const exit = fail(thrown, 'release', true, {
    secrets: secretsIn(env),
    signal: new AbortController().signal,
    stdout: (text) => {
      written.stdout += text
    },
    stderr: {
      stream: process.stderr,
      write: (text) => {
        written.stderr += text
      },
      isTTY: false,
      columns: 80,
      rows: 24,
    },
  })
  return { exit, lines: written.stderr.trimEnd().split('\n'), document: JSON.parse(written.stdout) }
}

test('details first, the coded line last', () => {
  const { exit, lines, document } = failure(
    new RfoError('RFO_BUILD_GO', 'compilation failed', {
      exit: 'build',
      where: 'coredns',
      next: 'read the log',
      details: ['a.go:1: no', 'b.go:2: no'],
    }),
  )
  expect(exit).toBe(7)
  expect(lines).toEqual(['a.go:1: no', 'b.go:2: no', 'rfo-build: RFO_BUILD_GO: compilation failed (coredns); next: read the log'])
  expect(document).toEqual({
    schema: 'rfo-build.release/1',
    ok: false,
    exit: 7,
    error: { code: 'RFO_BUILD_GO', message: 'compilation failed', where: 'coredns', next: 'read the log' },
  })
})

test('of several failures the contract’s order decides', () => {
  const { exit, lines } = failure(
    new AggregateError([
      new RfoError('RFO_CONTENT_NETWORK', 'no answer', { exit: 'outside' }),
      new RfoError('RFO_CONTENT_DIGEST', 'other bytes', { exit: 'untrusted' }),
    ]),
  )
  expect(exit).toBe(3)
  expect(lines).toEqual(['rfo-build: RFO_CONTENT_NETWORK: no answer', 'rfo-build: RFO_CONTENT_DIGEST: other bytes'])
})

test.each([
  ['ENOSPC', 9, 'RFO_MAIN_SPACE'],
  ['EACCES', 9, 'RFO_MAIN_PERMISSION'],
  ['EROFS', 9, 'RFO_MAIN_PERMISSION'],
  ['ECONNREFUSED', 8, 'RFO_MAIN_NETWORK'],
])('%s of the system is not called a bug', (code, exit, ours) => {
  const made = failure(Object.assign(new Error(`${code}: no`), { code, path: '/x' }))
  expect(made.exit).toBe(exit)
  expect(made.document.error).toMatchObject({ code: ours, where: '/x' })
})

test('anything else is a bug, exit 1, with the stack for the report', () => {
  const { exit, lines } = failure(new TypeError('x is undefined'))
  expect(exit).toBe(1)
  expect(lines.at(-1)).toMatch(/^rfo-build: RFO_MAIN_BUG: x is undefined; next: report/)
  expect(lines.some((line) => line.includes('failure.test.ts'))).toBe(true)
})

test('text from outside stays one line, steers no terminal and tells no password', () => {
  const { lines, document } = failure(
    new RfoError('RFO_EXEC_FAILED', 'a\nb\u001b[2J https://u:p@host/ hunter22', { exit: 'build', details: ['x\r::set-output\u0007'] }),
    {
      RFO_KEY_PASSWORD: 'hunter22',
    },
  )
  expect(lines).toEqual(['x ::set-output', 'rfo-build: RFO_EXEC_FAILED: a b https://***@host/ ***'])
  expect(JSON.stringify(document)).not.toContain('hunter22')
})
