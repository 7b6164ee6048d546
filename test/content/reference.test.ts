import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, isDigest, parseDigest } from '../../src/oci/digest.ts'
import { parseDescriptor, parseImageConfig, parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { formatReference, isRepository, isTag, parseReference } from '../../src/oci/reference.ts'

const digest = digestOf('x')

describe('references', () => {
  test.each([
    ['busybox', { registry: 'docker.io', repository: 'library/busybox' }],
    ['docker.io/busybox:1', { registry: 'docker.io', repository: 'library/busybox', tag: '1' }],
    ['rancher/x:v1.24.8-rfor1', { registry: 'docker.io', repository: 'rancher/x', tag: 'v1.24.8-rfor1' }],
    [`docker.io/rancher/x:tag@${digest}`, { registry: 'docker.io', repository: 'rancher/x', tag: 'tag', digest }],
    ['index.docker.io/rancher/x', { registry: 'docker.io', repository: 'rancher/x' }],
    ['localhost/x', { registry: 'localhost', repository: 'x' }],
    ['localhost:5000/a/b:t', { registry: 'localhost:5000', repository: 'a/b', tag: 't' }],
    ['[::1]:5000/a:t', { registry: '[::1]:5000', repository: 'a', tag: 't' }],
    ['quay.io/a__b/c--d.e_f', { registry: 'quay.io', repository: 'a__b/c--d.e_f' }],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toEqual(expected)
    expect(parseReference(formatReference(parseReference(text)))).toEqual(expected)
  })

  test.each([
    '',
    ':',
    '@',
    'x:',
    'x@sha256:00',
    `x@${digest}@${digest}`,
    'quay.io/',
    'quay.io/../x',
    'quay.io//x',
    'quay.io/X',
    'a/../../b',
    'http://quay.io/x',
    'user@quay.io/x',
    'quay.io/x?y',
    'quay.io/x#y',
    'quay.io/x y',
    'quay.io:port/x',
    `x:${'t'.repeat(129)}`,
    `${'a/'.repeat(200)}b`,
    `quay.io/${'-'.repeat(100_000)}`,
    `quay.io/a${'--'.repeat(400)}`,
    'x\n',
    'x:t\n',
  ])('%j is none', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'RFO_OCI_REFERENCE', exit: 'usage' }))
  })

  const part = fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
  const reference = fc.record(
    {
      registry: fc.constantFrom('quay.io', 'localhost', '127.0.0.1:5000', 'registry.example:443', '[::1]:80'),
      repository: fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/),
      digest: fc.uint8Array().map((bytes) => digestOf(bytes)),
    },
    { requiredKeys: ['registry', 'repository'] },
  )
  test('what is formatted is parsed again', () => {
    fc.assert(
      fc.property(reference, (each) => {
        expect(parseReference(formatReference(each))).toEqual(each)
      }),
    )
  })

  test('whatever is parsed is safe in a URL path, and stays itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'ab/.:@_-[]%?#\0A0') })), (text) => {
        let parsed: ReturnType<typeof parseReference>
        try {
          parsed = parseReference(text)
        } catch (thrown) {
          expect(thrown).toMatchObject({ exit: 'usage' })
          return
        }
        expect(isRepository(parsed.repository)).toBe(true)
        if (parsed.tag !== undefined) expect(isTag(parsed.tag)).toBe(true)
        expect(new URL(`https://${parsed.registry}/v2/${parsed.repository}/`).pathname).toBe(`/v2/${parsed.repository}/`)
        expect(parseReference(formatReference(parsed))).toEqual(parsed)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('digests', () => {
  test('only the one form', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (isDigest(text)) return
        expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'RFO_OCI_DIGEST', exit: 'untrusted' }))
      }),
    )
    for (const bad of [
      digest.toUpperCase(),
      `${digest}\n`,
      ` ${digest}`,
      digest.slice(0, -1),
      `${digest}0`,
      digest.replace('256', '512'),
    ]) {
      expect(isDigest(bad)).toBe(false)
    }
  })
})

describe('documents', () => {
  const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const descriptor = { mediaType: 'text/plain', digest, size: 1 }
  const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] }
  const index = { schemaVersion: 2, manifests: [descriptor] }

  test('what is needed is taken, unknown members are dropped', () => {
    expect(parseManifest(bytes({ ...manifest, future: 1, annotations: { a: 'b' } }))).toEqual({ ...manifest, annotations: { a: 'b' } })
    expect(parseIndex(bytes({ ...index, subject: descriptor }))).toEqual({ ...index, subject: descriptor })
    expect(parseDescriptor({ ...descriptor, urls: ['x'], platform: { os: 'linux', architecture: 'arm64', 'os.version': '1' } })).toEqual({
      ...descriptor,
      platform: { os: 'linux', architecture: 'arm64' },
    })
  })

  test.each<[string, unknown]>([
    ['no JSON', '{'],
    ['bytes that are no UTF-8', '\ud800'],
    ['a list', []],
    ['null', 'null'],
    ['both kinds', { ...manifest, ...index }],
    ['schema 1', { ...manifest, schemaVersion: 1 }],
    ['another media type', { ...manifest, mediaType: 'application/vnd.oci.image.index.v1+json' }],
    ['a negative size', { ...manifest, config: { ...descriptor, size: -1 } }],
    ['a size with a fraction', { ...manifest, config: { ...descriptor, size: 1.5 } }],
    ['a path for a digest', { ...manifest, config: { ...descriptor, digest: 'sha256:../../etc/passwd' } }],
    ['a media type with a line break', { ...manifest, config: { ...descriptor, mediaType: 'a\r\nb' } }],
    ['layers that are no list', { ...manifest, layers: {} }],
    ['annotations that are no text', { ...manifest, annotations: { a: 1 } }],
  ])('%s is no manifest', (_, value) => {
    const code = expect.objectContaining({ code: 'RFO_OCI_MANIFEST', exit: 'untrusted' })
    expect(() => parseManifest(bytes(value))).toThrow(code)
  })

  test('more than 4 MiB are not parsed', () => {
    const big = bytes({ ...index, annotations: { a: 'x'.repeat(4 * 1024 * 1024) } })
    expect(() => parseIndex(big)).toThrow(expect.objectContaining({ code: 'RFO_OCI_MANIFEST' }))
    expect(parseIndex(big, 5 * 1024 * 1024).manifests).toHaveLength(1)
  })

  test('any JSON is a document or a refusal', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        for (const parse of [parseManifest, parseIndex, parseImageConfig]) {
          try {
            parse(bytes(text))
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: 'RFO_OCI_MANIFEST' })
          }
        }
      }),
    )
  })
})
