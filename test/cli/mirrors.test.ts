import { expect, test } from 'vitest'
import { mirrorsOf } from '../../src/cli/mirrors.ts'
import { reach, reachAll } from '../../src/plan/addresses.ts'

test('prefixes and where they are reached', () => {
  const addresses = mirrorsOf({ RFO_MIRRORS: 'docker.io=https://mirror.example, https://github.com/=https://git.example/gh/' })
  expect(reach(addresses, 'docker.io/rancher/pause')).toBe('https://mirror.example/rancher/pause')
  expect(reach(addresses, 'https://github.com/coredns/coredns')).toBe('https://git.example/gh/coredns/coredns')
  expect(reach(addresses, 'https://other.example/x')).toBe('https://other.example/x')
  expect(mirrorsOf({})).toEqual({})
})

test('a URL’s mirrors in the order in which they stand; a registry has one', () => {
  const addresses = mirrorsOf({
    RFO_MIRRORS: 'https://github.com/=https://one.example/,docker.io=https://hub.example,https://github.com/=https://two.example/gh/',
  })
  expect(reachAll(addresses, 'https://github.com/a/b')).toEqual(['https://one.example/a/b', 'https://two.example/gh/a/b'])
  expect(reachAll(addresses, 'https://other.example/x')).toEqual(['https://other.example/x'])
  expect(reach(addresses, 'docker.io/x')).toBe('https://hub.example/x')
  const twice = { RFO_MIRRORS: 'docker.io=https://one.example,docker.io=https://two.example' }
  expect(() => mirrorsOf(twice)).toThrow(expect.objectContaining({ code: 'RFO_CLI_MIRRORS', exit: 'usage' }))
})

test('what says no address is refused, and a password in it is not repeated', () => {
  expect(() => mirrorsOf({ RFO_MIRRORS: 'docker.io' })).toThrow(/RFO_MIRRORS/)
  expect(() => mirrorsOf({ RFO_MIRRORS: 'https://user:secret@x' })).toThrow(expect.not.stringContaining('secret'))
})
