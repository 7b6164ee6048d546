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
