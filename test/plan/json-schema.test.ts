import { expect, test } from 'vitest'
import { schemas, schemaText } from '../../src/plan/json-schema.ts'

test.each(Object.entries(schemas()))('docs/schema/%s is fresh', async (file, schema) => {
  await expect(schemaText(schema)).toMatchFileSnapshot(`../../docs/schema/${file}`)
})

test('a pipeline need not say what has a default, a digest has its form, nothing unknown is allowed', () => {
  const all = schemas() as Record<string, { required?: string[]; additionalProperties?: boolean }>
  expect(all['component.schema.json']).toMatchObject({ required: ['name', 'action'], additionalProperties: false })
  expect(JSON.stringify(all['lock.schema.json'])).toContain('^sha256:[0-9a-f]{64}$')
})
