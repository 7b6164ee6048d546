import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { type Lock, LockedRelease } from '../../src/plan/lock.ts'
import { parseLock, renderLock } from '../../src/plan/lock-text.ts'
import { fileText, thrownBy } from './project.ts'

const digest = fc.stringMatching(/^[0-9a-f]{64}$/).map((text) => `sha256:${text}` as Digest)
const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('1.10', 'true', 'null', '~', '- a', 'a: b', ' x', '#', '0x1f', '"', 'line\nline', '中文'),
)
const manifest = fc.record({ mediaType: text, digest, size: fc.nat() })
const platforms = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> => fc.dictionary(fc.constantFrom(...platformNames), value)
const unresolved = fc.record({ kind: fc.constant('unresolved' as const), reason: text })
const pin = fc.oneof(
  unresolved,
  fc.record({ kind: fc.constant('git' as const), url: text, tag: text, commit: fc.stringMatching(/^[0-9a-f]{40}$/) }),
  fc.record({ kind: fc.constant('image' as const), reference: text, index: manifest, platforms: platforms(manifest) }),
  fc.record({ kind: fc.constant('archive' as const), url: text, digest, size: fc.nat() }),
)
const lockArbitrary: fc.Arbitrary<Lock> = fc.record({
  schema: fc.constant('rfo-build.lock/1' as const),
  releases: fc.dictionary(
    fc.stringMatching(/^v1\.[0-9]{1,2}\.[0-9]{1,2}\+rfor[1-9]$/),
    fc.record({
      upstream: fc.record({ version: text, commit: text, list: digest }),
      epoch: fc.nat(),
      bases: platforms(unresolved),
      components: fc.dictionary(fc.stringMatching(/^[a-z0-9-]{1,12}$/), fc.record({ fingerprint: digest, pin })),
      charts: fc.dictionary(fc.stringMatching(/^[a-z0-9-]{1,12}$/), unresolved),
    }),
  ),
})

test('a lock comes back from its text, and the text from the lock', () => {
  fc.assert(
    fc.property(lockArbitrary, (lock) => {
      const written = renderLock(lock)
      expect(parseLock(written, 'images.lock')).toEqual(lock)
      expect(renderLock(parseLock(written, 'images.lock'))).toBe(written)
    }),
    { numRuns: 60 },
  )
})

test('the order in which keys were made does not show', () => {
  fc.assert(
    fc.property(lockArbitrary, (lock) => {
      const turned = JSON.parse(JSON.stringify(lock), (_, value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).toReversed())
          : value,
      ) as Lock
      expect(renderLock(turned)).toBe(renderLock(lock))
    }),
  )
})

test('the repository’s own lock is as it would be written', () => {
  const { text: own, file } = fileText('images.lock')
  expect(renderLock(parseLock(own, file))).toBe(own)
})

test('a lock that somebody edited wrongly says where', () => {
  const { text: own, file } = fileText('images.lock')
  const broken = own.replace(/h1: h1:\S+/, 'h1: sha1:abc')
  expect(thrownBy(() => parseLock(broken, file))).toMatchObject({
    code: 'RFO_PLAN_YAML',
    where: expect.stringMatching(/^images\.lock:\d+:\d+$/),
    message: expect.stringContaining('h1'),
  })
  expect(LockedRelease.safeParse({}).success).toBe(false)
})
