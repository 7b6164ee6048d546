import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { UpstreamRelease } from '../../src/plan/component.ts'
import { counts, type Due, type LineState, madeFrom, Released, TrackPolicy, trackLines } from '../../src/plan/policy.ts'
import { sameShipped } from '../../src/plan/shipped.ts'
import { minorLine, parseUpstreamVersion, parseVersion } from '../../src/plan/version.ts'
import { parseYaml } from '../../src/plan/yaml.ts'
import { fileText } from './project.ts'

const policy: TrackPolicy = {
  repository: 'rancher/rke2',
  from: 'v1.24',
  patchDays: 7,
  lineDays: 14,
  ends: { 'v1.24': '2023-07-28' },
  withdrawn: {},
  skip: {},
  ignoring: [],
}
const commit = 'b061438ce1f04518d980aac842b62f92095d793d'
const tag = (version: string, date: string) => ({ version: parseUpstreamVersion(version), commit, date })
const at = (text: string) => Date.parse(text)

function ask(change: {
  policy?: Partial<TrackPolicy>
  tags: readonly (readonly [string, string])[]
  made: readonly string[]
  at: string
  recorded?: Record<string, UpstreamRelease>
}): readonly LineState[] {
  return trackLines({
    policy: { ...policy, ...change.policy },
    published: change.tags.map(([version, date]) => tag(version, date)),
    made: change.made.map((version) => madeFrom(version)),
    recorded: (version) => change.recorded?.[version],
    at: at(change.at),
  })
}

const november: readonly (readonly [string, string])[] = [
  ['v1.24.7+rke2r1', '2022-10-17T13:51:13-07:00'],
  ['v1.24.8-rc1+rke2r1', '2022-11-11T00:00:00Z'],
  ['v1.24.8+rke2r1', '2022-11-14T14:25:00+01:00'],
  ['v1.25.4+rke2r1', '2022-11-14T10:43:25+01:00'],
]

function lists(version: string, images: readonly string[], charts: UpstreamRelease['charts'] = []): UpstreamRelease {
  return { version, commit, date: '2022-11-14T00:00:00Z', how: 'made up', groups: { core: [...images] }, unlisted: [], charts: [...charts] }
}

describe('what is due, and when', () => {
  test('a week for a release of a line that RFO has, two for a new line; the zone of a date counts', () => {
    const [patch, line] = ask({ tags: november, made: ['v1.24.7+rfor1'], at: '2022-11-21T13:25:00Z' })
    expect(patch).toEqual({
      state: 'due',
      line: 'v1.24',
      version: 'v1.24.8+rfor1',
      upstream: 'v1.24.8+rke2r1',
      commit,
      why: 'patch',
      made: 'v1.24.7+rfor1',
      since: '2022-11-14T13:25:00.000Z',
      due: '2022-11-21T13:25:00.000Z',
      overdue: false,
      daysLate: 0,
      answers: ['v1.24.8+rke2r1'],
    })
    expect(line).toMatchObject({ state: 'due', version: 'v1.25.4+rfor1', why: 'line', due: '2022-11-28T09:43:25.000Z', overdue: false })
    expect(ask({ tags: november, made: ['v1.24.7+rfor1'], at: '2022-11-21T13:25:01Z' })[0]).toMatchObject({ overdue: true, daysLate: 0 })
    expect(ask({ tags: november, made: ['v1.24.7+rfor1'], at: '2022-11-23T13:25:00Z' })[0]).toMatchObject({ overdue: true, daysLate: 2 })
  })

  test('what is not out yet, candidates, older lines and what RFO has are not due', () => {
    expect(ask({ tags: november, made: ['v1.24.7+rfor1'], at: '2022-11-14T00:00:00Z' })).toEqual([
      { state: 'current', line: 'v1.24', made: 'v1.24.7+rfor1', skipped: [] },
    ])
    expect(
      ask({ tags: [...november, ['v1.23.14+rke2r1', '2022-11-15T00:00:00Z']], made: ['v1.24.8+rfor1', 'v1.25.4+rfor1'], at: '2023-01-01' }),
    ).toMatchObject([{ state: 'current' }, { state: 'current' }])
  })

  test('several releases are answered by the newest at once, and the oldest of them sets the time', () => {
    const [line] = ask({
      tags: [
        ['v1.25.5+rke2r1', '2022-12-13T00:00:00Z'],
        ['v1.25.10+rke2r1', '2023-05-26T00:00:00Z'],
        ['v1.25.9+rke2r1', '2023-04-12T00:00:00Z'],
      ],
      made: ['v1.25.4+rfor1'],
      at: '2023-06-01',
    })
    expect(line).toMatchObject({
      version: 'v1.25.10+rfor1',
      due: '2022-12-20T00:00:00.000Z',
      answers: ['v1.25.5+rke2r1', 'v1.25.9+rke2r1', 'v1.25.10+rke2r1'],
    })
  })

  test('a revision of RKE2 is answered by a revision of RFO, whose numbers are its own', () => {
    const tags = [['v1.25.5+rke2r2', '2023-01-05T19:04:16-07:00']] as const
    expect(ask({ tags, made: ['v1.25.5+rfor1', 'v1.25.5+rfor2'], at: '2023-01-07' })[0]).toMatchObject({
      version: 'v1.25.5+rfor3',
      why: 'revision',
    })
    const made = [madeFrom('v1.25.5+rfor1', 'v1.25.5+rke2r2')]
    expect(counts(policy, made, at('2023-01-07'))(parseUpstreamVersion('v1.25.5+rke2r2'))).toBe(false)
  })

  test('nothing of a line is owed after its last day, nothing that upstream took back, nothing that a person judged', () => {
    const late = { tags: november, made: ['v1.24.7+rfor1'] }
    expect(ask({ ...late, at: '2023-07-28T23:59:59Z' })[0]).toMatchObject({ state: 'due' })
    expect(ask({ ...late, at: '2023-07-29' })[0]).toEqual({ state: 'ended', line: 'v1.24', made: 'v1.24.7+rfor1', ended: '2023-07-28' })
    expect(ask({ ...late, at: '2022-12-01', policy: { withdrawn: { 'v1.24.8+rke2r1': 'broken' } } })[0]).toMatchObject({ state: 'current' })
    expect(ask({ ...late, at: '2022-12-01', policy: { skip: { 'v1.24.8+rke2r1': 'Windows alone' } } })[0]).toMatchObject({
      state: 'current',
      skipped: [{ upstream: 'v1.24.8+rke2r1', because: { reason: 'Windows alone' } }],
    })
  })

  test('equal lists are skipped; unknown ones are not; a revert of a change is a change', () => {
    const tags = [
      ['v1.25.5+rke2r1', '2022-12-13T00:00:00Z'],
      ['v1.25.6+rke2r1', '2023-01-18T00:00:00Z'],
    ] as const
    const image = 'docker.io/rancher/pause:3.6'
    const old = lists('v1.25.4+rke2r1', [image])
    const run = (recorded: Record<string, UpstreamRelease>) => ask({ tags, made: ['v1.25.4+rfor1'], at: '2023-02-01', recorded })[0]
    const same = lists('v1.25.5+rke2r1', [image])
    const other = lists('v1.25.5+rke2r1', ['docker.io/rancher/pause:3.7'])
    expect(run({ 'v1.25.4+rke2r1': old, 'v1.25.5+rke2r1': same, 'v1.25.6+rke2r1': old })).toMatchObject({
      state: 'current',
      skipped: [{ because: { same: 'v1.25.4+rke2r1' } }, { because: { same: 'v1.25.5+rke2r1' } }],
    })
    expect(run({ 'v1.25.4+rke2r1': old, 'v1.25.5+rke2r1': same })).toMatchObject({ state: 'due', answers: ['v1.25.6+rke2r1'] })
    expect(run({ 'v1.25.4+rke2r1': old, 'v1.25.5+rke2r1': other, 'v1.25.6+rke2r1': old })).toMatchObject({
      state: 'due',
      version: 'v1.25.6+rfor1',
      answers: ['v1.25.5+rke2r1', 'v1.25.6+rke2r1'],
    })
    expect(run({})).toMatchObject({ state: 'due' })
  })

  test('a release without a date is said, not guessed', () => {
    const published = [{ version: parseUpstreamVersion('v1.25.5+rke2r1'), commit }]
    expect(() => trackLines({ policy, published, made: [], recorded: () => undefined, at: at('2023-01-01') })).toThrow(
      expect.objectContaining({ code: 'RFO_PLAN_DATE', exit: 'usage' }),
    )
  })
})

describe('for any history', () => {
  const day = 86_400_000
  const start = at('2022-01-01')
  const images = fc.constantFrom('docker.io/rancher/pause:3.6', 'docker.io/rancher/pause:3.7', 'docker.io/rancher/klipper-lb:v0.3.5')
  const history = fc.record({
    tags: fc.uniqueArray(
      fc.record({ minor: fc.integer({ min: 24, max: 26 }), patch: fc.integer({ min: 0, max: 5 }), r: fc.integer({ min: 1, max: 2 }) }),
      { selector: ({ minor, patch, r }) => `${minor}.${patch}.${r}`, maxLength: 12 },
    ),
    days: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 12, maxLength: 12 }),
    lists: fc.array(fc.option(fc.uniqueArray(images, { minLength: 1 }), { nil: undefined }), { minLength: 12, maxLength: 12 }),
    made: fc.uniqueArray(fc.constantFrom('v1.24.0+rfor1', 'v1.24.2+rfor1', 'v1.25.1+rfor1', 'v1.25.1+rfor2', 'v1.26.0+rfor1')),
    ends: fc.dictionary(
      fc.constantFrom('v1.24', 'v1.25'),
      fc.integer({ min: 0, max: 500 }).map((days) => new Date(start + days * day).toISOString().slice(0, 10)),
    ),
    times: fc.tuple(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 600 })),
  })
  type History = typeof history extends fc.Arbitrary<infer T> ? T : never

  function inputOf(each: History, time: number) {
    const names = each.tags.map(({ minor, patch, r }) => `v1.${minor}.${patch}+rke2r${r}`)
    const recorded = new Map(names.flatMap((name, i) => (each.lists[i] === undefined ? [] : [[name, lists(name, each.lists[i])] as const])))
    return {
      policy: { ...policy, ends: each.ends },
      published: names.map((name, i) => tag(name, new Date(start + (each.days[i] ?? 0) * day).toISOString())),
      made: each.made.map((version) => madeFrom(version)),
      recorded: (version: string) => recorded.get(version),
      at: start + time * day,
    }
  }
  const rank = (state: LineState | undefined): number =>
    state === undefined || state.state === 'current' ? 0 : state.state === 'ended' ? 3 : state.overdue ? 2 : 1

  test('with time a line moves from current to due to overdue to ended and never back; its due moment stays', () => {
    fc.assert(
      fc.property(history, (each) => {
        const [early, late] = [Math.min(...each.times), Math.max(...each.times)]
        const before = trackLines(inputOf(each, early))
        const after = new Map(trackLines(inputOf(each, late)).map((state) => [state.line, state]))
        for (const state of before) {
          const then = after.get(state.line)
          expect(rank(then)).toBeGreaterThanOrEqual(rank(state))
          if (state.state === 'due' && then?.state === 'due') {
            expect(then.due).toBe(state.due)
            expect(then.daysLate).toBeGreaterThanOrEqual(state.daysLate)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('only equal lists are skipped; what is to be made is newer than all that RFO has; order does not matter', () => {
    fc.assert(
      fc.property(history, (each) => {
        const input = inputOf(each, each.times[0])
        const states = trackLines(input)
        expect(trackLines({ ...input, published: input.published.toReversed(), made: input.made.toReversed() })).toEqual(states)
        for (const state of states) {
          if (state.state === 'current') {
            for (const { upstream, because } of state.skipped) {
              const [a, b] = [input.recorded(upstream), 'same' in because ? input.recorded(because.same) : undefined]
              expect(a?.groups.core?.toSorted()).toEqual(b?.groups.core?.toSorted())
              expect(a).toBeDefined()
            }
          }
          if (state.state !== 'due') continue
          expect(each.made).not.toContain(state.version)
          expect(minorLine(parseVersion(state.version))).toBe(state.line)
          expect(Date.parse(state.due) - Date.parse(state.since)).toBe((state.made === undefined ? 14 : 7) * day)
          expect(state.overdue).toBe(input.at > Date.parse(state.due))
          expect(state.answers).toContain((state satisfies Due).upstream)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('lists are the same in any order, and different by one image, group, chart or an unknown digest', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const chart = { name: 'rke2-coredns', version: '1.19.401', url: 'https://rke2-charts.rancher.io/x.tgz', digest }
    const whole = lists('a', ['docker.io/rancher/pause:3.6', 'docker.io/rancher/rke2-runtime:v1.25.4-rke2r1'], [chart])
    const turned = { ...whole, version: 'b', groups: { core: [...(whole.groups.core ?? [])].reverse() } }
    expect(sameShipped(whole, turned, [])).toBe(true)
    expect(sameShipped(whole, undefined, [])).toBe(false)
    expect(sameShipped(undefined, undefined, [])).toBe(false)
    expect(sameShipped(whole, { ...whole, groups: { canal: whole.groups.core ?? [] } }, [])).toBe(false)
    expect(sameShipped(whole, { ...whole, charts: [{ ...chart, digest: null }] }, [])).toBe(false)
    expect(sameShipped({ ...whole, charts: [{ ...chart, digest: null }] }, { ...whole, charts: [{ ...chart, digest: null }] }, [])).toBe(
      false,
    )
    expect(sameShipped(whole, { ...whole, charts: [{ ...chart, digest: digest.replace(/0$/, '1') }] }, [])).toBe(false)
    const next = lists('c', ['docker.io/rancher/pause:3.6', 'docker.io/rancher/rke2-runtime:v1.25.5-rke2r1'], [chart])
    expect(sameShipped(whole, next, [])).toBe(false)
    expect(sameShipped(whole, next, ['rancher/rke2-runtime'])).toBe(true)
    expect(sameShipped(whole, lists('d', ['docker.io/rancher/pause:3.6'], [chart]), ['rancher/rke2-runtime'])).toBe(false)
  })
})

describe('pipelines/track', () => {
  const policyFile = fileText('pipelines/track/policy.yaml')
  const releasedFile = fileText('pipelines/track/released.yaml')

  test('says a week and two, and every version in it is one', () => {
    const real = parseYaml(TrackPolicy, policyFile.text, policyFile.file)
    expect(real).toMatchObject({ repository: 'rancher/rke2', from: 'v1.23', patchDays: 7, lineDays: 14 })
    for (const version of Object.keys({ ...real.withdrawn, ...real.skip })) parseUpstreamVersion(version)
    const released = parseYaml(Released, releasedFile.text, releasedFile.file)
    const made = Object.entries(released.releases).map(([version, upstream]) => madeFrom(version, upstream))
    expect(made).toHaveLength(18)
  })

  test.each([
    ['patchDays: 7', 'patchDays: 0', 'patchDays'],
    ['from: v1.23', 'from: 1.23', 'from'],
    ['v1.23: 2023-02-28', 'v1.23: 2023-02-30', 'ends.v1.23'],
    ['lineDays: 14', 'linedays: 14', 'lineDays'],
  ])('%s written as %s is found', (right, wrong, where) => {
    expect(() => parseYaml(TrackPolicy, policyFile.text.replace(right, wrong), policyFile.file)).toThrow(
      expect.objectContaining({ code: 'RFO_PLAN_YAML', details: expect.arrayContaining([expect.stringContaining(where)]) }),
    )
  })
})
