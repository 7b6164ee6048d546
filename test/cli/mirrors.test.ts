import { expect, test } from 'vitest'
import { mirrorsOf } from '../../src/cli/mirrors.ts'
import { reach } from '../../src/plan/addresses.ts'

test('prefixes and where they are reached', () => {
  const addresses = mirrorsOf({ RFO_MIRRORS: 'docker.io=https://mirror.example, https://github.com/=https://git.example/gh/' })
  expect(reach(addresses, 'docker.io/rancher/pause')).toBe('https://mirror.example/rancher/pause')
  expect(reach(addresses, 'https://github.com/coredns/coredns')).toBe('https://git.example/gh/coredns/coredns')
  expect(reach(addresses, 'https://other.example/x')).toBe('https://other.example/x')
  expect(mirrorsOf({})).toEqual({})
})

test('what says no address is refused, and a password in it is not repeated', () => {
  expect(() => mirrorsOf({ RFO_MIRRORS: 'docker.io' })).toThrow(/RFO_MIRRORS/)
  expect(() => mirrorsOf({ RFO_MIRRORS: 'https://user:secret@x' })).toThrow(expect.not.stringContaining('secret'))
})
