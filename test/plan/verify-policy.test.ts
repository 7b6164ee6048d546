/** A policy's text: what is taken, and that nothing in it can be read as a pattern. */
import { describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { defaultPolicy, parseVerifyPolicy } from '../../src/plan/verify-policy.ts'

const fingerprint = `sha256:${'a'.repeat(64)}`
const head = 'schema: rfo-build.verify-policy/1\n'

function refusal(text: string): string {
  try {
    parseVerifyPolicy(text, 'ours.yaml')
  } catch (thrown) {
    if (thrown instanceof RfoError) return `${thrown.exit} ${thrown.code} ${thrown.where}`
  }
  return 'taken'
}

test('what is left out is the default', () => {
  expect(parseVerifyPolicy(head, 'ours.yaml')).toEqual(defaultPolicy)
})

describe('who may sign', () => {
  const signer = (identity: string): string =>
    `${head}signers:\n  statement:\n    anyOf:\n      - identity: ${JSON.stringify(identity)}\n        issuer: https://token.actions.githubusercontent.com\n`

  test('a workflow and a mail address are exact names', () => {
    for (const name of ['https://github.com/rfolabs/rfo/.github/workflows/release.yml@refs/tags/v1.24.8+rfor1', 'release@rfo.test'])
      expect(refusal(signer(name))).toBe('taken')
  })

  test('a pattern is refused, anchored or not', () => {
    for (const name of [
      'https://github.com/rfolabs/.*',
      '^https://github.com/rfolabs/rfo$',
      'https://github.com/*',
      'a|b',
      'rfo?',
      '[a-z]',
      '(a)',
      'a{2}',
      'a\\.b',
      ' ',
      '',
    ])
      expect([name, refusal(signer(name))]).toEqual([name, 'usage RFO_PLAN_YAML ours.yaml:5:19'])
  })

  test('an identity without an issuer is nobody', () => {
    expect(refusal(`${head}signers:\n  images:\n    - identity: release@rfo.test\n`)).toMatch(/^usage RFO_PLAN_YAML/)
  })

  test('a threshold that cannot be reached is refused, and so is nobody', () => {
    const statement = (more: string): string => `${head}signers:\n  statement:\n    anyOf: [${more}\n`
    expect(refusal(statement(`{ key: "${fingerprint}" }]\n    threshold: 2`))).toMatch(/^usage RFO_PLAN_YAML/)
    expect(refusal(statement(']'))).toMatch(/^usage RFO_PLAN_YAML/)
  })
})

test('what is misspelt is no setting', () => {
  expect(refusal(`${head}maxAgeDay: 3\n`)).toBe('usage RFO_PLAN_YAML ours.yaml:2:1')
  expect(refusal(`${head}maxAgeDays: 3\nmaxAgeDays: 4\n`)).toMatch(/^usage RFO_PLAN_YAML/)
})
