/** No claim without a test that makes it false. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { claims } from '../../src/release/verify/claims.ts'
import { root } from './project.ts'

describe('what verify claims', () => {
  test.each(Object.entries(claims))('%s names a test that is there', async (_name, claim) => {
    const [file = '', title = ''] = claim.test.split(': ')
    const text = await readFile(join(root, file), 'utf8')
    expect(text).toContain(`test('${title}'`)
  })
})

test('docs/verify.md says of every claim whether verify.sh looks at it, and of nothing else', async () => {
  const page = await readFile(join(root, 'docs/verify.md'), 'utf8')
  const rows = [...page.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| (yes|no) \| .*\|$/gm)]
  const named = rows.flatMap(([, names = '', looked]) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name, looked })))
  expect(named.map(({ name }) => name).sort()).toEqual(Object.keys(claims).sort())
  const script = await readFile(join(root, 'install/verify.sh'), 'utf8')
  // as many things as it says that it has proved
  expect(new Set(rows.filter(([, , looked]) => looked === 'yes')).size).toBe(script.match(/^ {2}proven "/gm)?.length)
})
