import { posix } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linkTarget, pathIn } from '../../src/source/path.ts'

test.each(['..', '../a', 'a/../../b', '/etc/passwd', 'a\\..\\b', 'a\0b', './../a'])('%j leaves its folder', (bad) => {
  expect(() => pathIn(bad)).toThrow(expect.objectContaining({ code: 'RFO_SOURCE_PATH', exit: 'untrusted' }))
})
test.each([
  ['./a/./b//c', 'a/b/c'],
  ['a/', 'a'],
  ['./', ''],
  ['..a/b..', '..a/b..'],
])('%j is %j', (name, path) => {
  expect(pathIn(name)).toBe(path)
})
test.each([
  ['a', '../b'],
  ['a/b', '../../c'],
  ['a/b', 'c/../../..'],
  ['a', '/etc'],
  ['a', ''],
  ['a/b', 'x/../y'],
])('a link %j to %j leads out, or nobody can tell', (path, target) => {
  expect(() => linkTarget(path, target)).toThrow(expect.objectContaining({ code: 'RFO_SOURCE_PATH' }))
})
test('links that stay inside', () => {
  expect(linkTarget('a/b', '../c')).toBe('../c')
  expect(linkTarget('a', './b/c')).toBe('./b/c')
})
test('no accepted path or target resolves to a place outside', () => {
  const part = fc.oneof(fc.constantFrom('..', '.', '', '/', 'a', 'b..', '\\'), fc.string({ maxLength: 3 }))
  const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join('/'))
  fc.assert(
    fc.property(text, text, (name, target) => {
      try {
        const path = pathIn(name)
        expect(posix.join('/root', path).startsWith('/root')).toBe(true)
        if (path === '') return
        const link = linkTarget(path, target)
        expect(`${posix.resolve('/root', posix.dirname(path), link)}/`.startsWith('/root/')).toBe(true)
      } catch (thrown) {
        if ((thrown as { code?: string }).code !== 'RFO_SOURCE_PATH') throw thrown
      }
    }),
    { numRuns: 2000 },
  )
})
