/** What `release` refuses before it begins. */
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { defaultGate } from '../../src/plan/gate.ts'
import type { LockedAdvisories } from '../../src/plan/lock.ts'
import { preflight } from '../../src/release/preflight.ts'
import { smallPlan } from './small-plan.ts'

test('a live line is not judged by a snapshot of long ago; an old line, a stand-in and a build are', async () => {
  const taken = '2026-11-01T00:00:00Z'
  const pin = { kind: 'advisories', digest: `sha256:${'1'.repeat(64)}`, size: 7, taken } as LockedAdvisories
  const plan = { ...smallPlan(), images: [], unresolved: [], gate: defaultGate, advisories: pin }
  const asked = (at: string | undefined, change: object = {}) =>
    preflight({
      plan: { ...plan, ...change },
      env: { PATH: process.env.PATH ?? '' },
      writes: [],
      workDir: tmpdir(),
      host: 'amd64',
      ...(at === undefined ? {} : { at: Date.parse(at) }),
    })
  await asked('2026-12-01T12:00:00Z')
  await expect(asked('2026-12-02T12:00:00Z')).rejects.toMatchObject({ code: 'RFO_PREFLIGHT_STALE', exit: 'undecided' })
  await asked('2027-12-01T00:00:00Z', { gate: { ...defaultGate, mode: { asOf: '2022-12-31' } } })
  await asked('2027-12-01T00:00:00Z', { advisories: { ...pin, standIn: 'advisories' } })
  await asked(undefined)
})
