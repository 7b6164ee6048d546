import { describe, expect, test } from 'vitest'
import { Component } from '../../src/plan/component.ts'
import { parseYaml } from '../../src/plan/yaml.ts'
import { thrownBy } from './project.ts'

const file = 'pipelines/pause.yaml'
const good = `name: pause
upstream: rancher/pause
action: mirror
`
const complaint = (text: string): unknown => thrownBy(() => parseYaml(Component, text, file))

test('what is right is read, with its defaults', () => {
  expect(parseYaml(Component, good, file)).toMatchObject({ name: 'pause', layers: 'zstd', base: 'platform', packages: [] })
})

describe('complaints name file, line and column', () => {
  test.each([
    ['an unknown setting, at its key', `${good}colour: red\n`, `${file}:4:1`, 'colour: no such setting'],
    ['a wrong value, at the value', good.replace('mirror', 'burn'), `${file}:3:9`, 'action: '],
    ['a missing entry, at the document', good.replace('action: mirror\n', ''), `${file}:1:1`, 'action: '],
    ['inside a list', `${good}packages:\n  - which\n  - 7\n`, `${file}:6:5`, 'packages.1: '],
    ['inside a union, the member that was meant', `${good}source:\n  kind: git\n  url: ftp://example.org\n`, `${file}:6:8`, 'source.url: '],
    ['an architecture that is none', `${good}unsupported:\n  vax: too old\n`, `${file}:5:3`, 'unsupported'],
    ['a key twice', `${good}name: other\n`, `${file}:4:1`, 'unique'],
    ['not YAML', `${good}packages: [a, b\n`, `${file}:`, ''],
    ['a tab', `name: pause\n\tupstream: rancher/pause\n`, `${file}:`, ''],
    ['nothing', '', `${file}:1:1`, 'the document'],
    ['two documents', `${good}---\n${good}`, `${file}:`, ''],
  ])('%s', (_, text, where, message) => {
    expect(complaint(text)).toMatchObject({
      code: 'RFO_PLAN_YAML',
      exit: 'usage',
      where: expect.stringContaining(where),
      message: expect.stringContaining(message),
    })
  })

  test('all of them, first by place', () => {
    expect(complaint(`name: Pause\nupstream: rancher/pause\naction: burn\ncolour: red\n`)).toMatchObject({
      where: `${file}:1:7`,
      message: expect.stringMatching(/, and 2 more$/),
      details: [
        expect.stringContaining(`${file}:1:7: name`),
        expect.stringContaining(`${file}:3:9: action`),
        expect.stringContaining(`${file}:4:1: colour`),
      ],
    })
  })
})

describe('hostile texts end', () => {
  test('a billion laughs', () => {
    const levels = Array.from(
      { length: 12 },
      (_, at) => `a${at + 1}: &a${at + 1} [${Array.from({ length: 10 }, () => `*a${at}`).join(', ')}]`,
    )
    expect(complaint(`a0: &a0 [ha]\n${levels.join('\n')}\n`)).toMatchObject({ code: 'RFO_PLAN_YAML' })
  })

  test('more than 16 MiB is not parsed at all', () => {
    const began = performance.now()
    expect(complaint('#'.repeat(16 * 1024 * 1024 + 1))).toMatchObject({ message: expect.stringContaining('bytes') })
    expect(performance.now() - began).toBeLessThan(2000)
  })

  test('__proto__ is a setting like any other', () => {
    expect(complaint(`${good}__proto__: { polluted: true }\n`)).toMatchObject({ message: '__proto__: no such setting' })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})
