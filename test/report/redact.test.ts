import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable } from '../../src/report/printable.ts'
import { redact } from '../../src/report/redact.ts'

test.each([
  ['GET https://bob:hunter2@example.org/x?y=a@b', 'GET https://***@example.org/x?y=a@b'],
  ['https://token@example.org and git+ssh://git@example.org:22/a', 'https://***@example.org and git+ssh://***@example.org:22/a'],
  ['https://bob:p@ss@example.org/', 'https://***@example.org/'],
  ['mail bob@example.org about https://example.org/@scope', 'mail bob@example.org about https://example.org/@scope'],
])('userinfo: %s', (text, clean) => {
  expect(redact(text, [])).toBe(clean)
})

test('secrets go as they are, as in a URL, as in JSON, and line by line', () => {
  const secret = 'a b"c/d'
  expect(redact(`1 ${secret} 2 ${encodeURIComponent(secret)} 3 ${JSON.stringify(secret)}`, [secret])).toBe('1 *** 2 *** 3 "***"')
  const pem = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n'
  expect(redact('key: MIGHAgEAMBMGByqGSM49', [pem])).toBe('key: ***')
  expect(redact('-----END PRIVATE KEY-----', [pem])).toBe('-----END PRIVATE KEY-----')
  expect(redact('password passwords', ['password', 'passwords', ''])).toBe('*** ***')
})

test('no secret survives', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ minLength: 1 }).filter((secret) => !'***@'.includes(secret)),
      fc.string(),
      (before, secret, after) => {
        // what the marks and their neighbours spell by accident is nobody's secret
        const left = redact(before + secret + after, [secret]).split('***')
        return left.every((part) => !part.includes(secret))
      },
    ),
  )
})

test('a long line costs linear time', () => {
  const began = performance.now()
  redact('a.'.repeat(500_000), ['secret'])
  redact('://'.repeat(300_000), ['secret'])
  expect(performance.now() - began).toBeLessThan(2000)
})

test('nothing repaints the terminal or begins a line', () => {
  expect(printable('a\r\n::set-env name=x::y\x1b[2J\x1b[31mred\x1b[0m \u202etxt\x07 ')).toBe('a ::set-env name=x::yred  txt')
})
