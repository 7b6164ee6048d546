/** rfo-build's own SBOM says what the lock says, and what runs has licences that the policy allows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { expect, test } from 'vitest'
import { licensePolicy, ownSbom } from '../../docs/own-sbom.ts'
import { scoreSbom } from '../../src/inspect/score.ts'

const root = join(import.meta.dirname, '..', '..')
const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
const committed = readFileSync(join(root, 'sbom/rfo-build.cdx.json'), 'utf8')

interface Component {
  readonly name: string
  readonly version: string
  readonly licenses: readonly { readonly expression?: string; readonly license?: { readonly id?: string; readonly name?: string } }[]
}

test('is fresh, valid, and has all that NTIA asks for', async () => {
  expect(await ownSbom()).toBe(committed)
  expect(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(committed)).toBeNull()
  expect(scoreSbom(committed)[0]?.percent).toBe(100)
})

test('changes with the lock', async () => {
  const other = lock.replace('"version": "4.6.7"', '"version": "4.6.8"')
  expect(other).not.toBe(lock)
  expect(await ownSbom(other)).toContain('pkg:npm/zod@4.6.8')
})

test('what runs has licences that sbom/licenses.yaml allows', () => {
  const { allowed, exceptions } = licensePolicy()
  const { components } = JSON.parse(committed) as { components: Component[] }
  const refused = ({ name, licenses: [first] }: Component): boolean => {
    const text = first?.expression ?? first?.license?.id ?? first?.license?.name ?? ''
    const fine = text.split(' OR ').some((one) => one.split(' AND ').every((each) => allowed.includes(each.replace(/[()]/g, ''))))
    return !fine && !(name in exceptions)
  }
  expect(components.filter(refused).map(({ name, version }) => `${name}@${version}`)).toEqual([])
  expect(components.length).toBeGreaterThan(50)
  // and an exception that nobody needs is none
  expect(Object.keys(exceptions).filter((name) => !components.some((each) => each.name === name))).toEqual([])
  expect(refused({ name: 'x', version: '1', licenses: [{ license: { id: 'SSPL-1.0' } }] })).toBe(true)
  expect(refused({ name: 'x', version: '1', licenses: [{ expression: 'MIT OR SSPL-1.0' }] })).toBe(false)
  expect(refused({ name: 'x', version: '1', licenses: [{ expression: 'MIT AND SSPL-1.0' }] })).toBe(true)
})
