/** What every store promises, asked of every store. */
import { describe, expect, test } from 'vitest'
import { bodyOf, bytesBody } from '../../src/content/body.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes, readJson } from '../../src/content/read.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { noise, pushImage, pushReferrer } from './graphs.ts'
import { places } from './places.ts'

const core = ({ mediaType, digest, size }: { mediaType: string; digest: string; size: number }) => ({ mediaType, digest, size })
const octets = (bytes: Uint8Array) => ({ mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length })

for (const place of places()) {
  describe.skipIf(place.skip)(place.name, () => {
    test('gives back what it was given', async () => {
      const store = await place.open()
      const bytes = noise('a blob', 3_000_000)
      const target = await pushBytes(store, mediaTypes.octets, bytes)
      expect(await store.exists(target)).toBe(true)
      expect(digestOf(await readBytes(store, target))).toBe(target.digest)
      await expect(readBytes(store, target, 1000)).rejects.toMatchObject({ code: 'RFO_CONTENT_SIZE' })
    })

    test('holds an empty blob', async () => {
      const store = await place.open()
      const target = await pushBytes(store, mediaTypes.octets, '')
      expect(await store.exists(target)).toBe(true)
      expect((await readBytes(store, target)).length).toBe(0)
    })

    test('does not hold what it was not given', async () => {
      const store = await place.open()
      const target = octets(Buffer.from('nothing'))
      expect(await store.exists(target)).toBe(false)
      expect(await store.resolve('no-such-tag')).toBeUndefined()
      expect(await store.referrers(target)).toEqual([])
      await expect(readBytes(store, target)).rejects.toMatchObject({ code: 'RFO_CONTENT_ABSENT' })
      const manifest = { ...target, mediaType: mediaTypes.manifest }
      expect(await store.exists(manifest)).toBe(false)
      await expect(readBytes(store, manifest)).rejects.toMatchObject({ code: 'RFO_CONTENT_ABSENT' })
      await expect(store.tag(manifest, 'x')).rejects.toMatchObject({ code: 'RFO_CONTENT_ABSENT' })
    })

    // crane's registry keeps blobs for all repositories together: each case has bytes of its own
    test.each([
      ['other bytes', Buffer.from('1234X'), Buffer.from('12345')],
      ['fewer', Buffer.from('2345'), Buffer.from('23456')],
      ['more', Buffer.from('345678'), Buffer.from('34567')],
    ])('takes nothing that is not what was announced: %s', async (_, bytes, announced) => {
      const store = await place.open()
      const target = octets(announced)
      await expect(store.push(target, bytesBody(bytes))).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
      expect(await store.exists(target)).toBe(false)
      await store.push(target, bytesBody(announced))
      expect(await store.exists(target)).toBe(true)
    })

    test('does not read a body that it has', async () => {
      const store = await place.open()
      const target = await pushBytes(store, mediaTypes.octets, `there in ${place.name}`)
      let read = false
      const body = bodyOf(async function* () {
        read = true
        yield Buffer.from(`there in ${place.name}`)
      })
      await store.push(target, body)
      expect(read).toBe(false)
    })

    test('ten writers of one blob at once', async () => {
      const store = await place.open()
      const bytes = noise('ten', 200_000)
      const targets = await Promise.all(Array.from({ length: 10 }, () => pushBytes(store, mediaTypes.octets, bytes)))
      expect(digestOf(await readBytes(store, targets[0]!))).toBe(digestOf(bytes))
    })

    test('a body that fails leaves nothing', async () => {
      const store = await place.open()
      const bytes = noise('half', 100_000)
      const failing = bodyOf(async function* () {
        yield bytes.subarray(0, 50_000)
        throw new Error('the disk went away')
      })
      await expect(store.push(octets(bytes), failing)).rejects.toThrow('the disk went away')
      expect(await store.exists(octets(bytes))).toBe(false)
    })

    test('tags, and moves them', async () => {
      const store = await place.open()
      const [one, two] = [await pushImage(store, 'one', 100), await pushImage(store, 'two', 100)]
      await store.tag(one.index, 'v1.0_a')
      expect(core((await store.resolve('v1.0_a'))!)).toEqual(core(one.index))
      await store.tag(two.index, 'v1.0_a')
      await store.tag(two.index, 'other')
      expect((await store.resolve('v1.0_a'))?.digest).toBe(two.index.digest)
      expect((await store.resolve('other'))?.digest).toBe(two.index.digest)
      expect(core((await store.resolve(one.index.digest))!)).toEqual(core(one.index))
      expect(core((await store.resolve(one.manifests[0]!.digest))!)).toEqual(core(one.manifests[0]!))
      expect(await readJson(store, one.index)).toMatchObject({ schemaVersion: 2, mediaType: mediaTypes.index })
    })

    test('lists referrers, by type too, for images and indexes', async () => {
      const store = await place.open()
      const { index, manifests } = await pushImage(store, 'signed', 100)
      const signature = await pushReferrer(store, index, 'application/x-signature', 'signed')
      const sbom = await pushReferrer(store, index, 'application/x-sbom', 'parts')
      const other = await pushReferrer(store, manifests[0]!, 'application/x-sbom', 'of a child')
      expect(new Set((await store.referrers(index)).map((each) => each.digest))).toEqual(new Set([signature.digest, sbom.digest]))
      expect(await store.referrers(index, 'application/x-sbom')).toEqual([
        { ...core(sbom), artifactType: 'application/x-sbom', annotations: { 'org.example.text': 'parts' } },
      ])
      expect((await store.referrers(manifests[0]!)).map((each) => each.digest)).toEqual([other.digest])
      expect(await store.referrers(manifests[1]!)).toEqual([])
    })

    test('six attached at once: none is lost', async () => {
      const store = await place.open()
      const { index } = await pushImage(store, 'six', 100)
      const pushed = await Promise.all(
        Array.from({ length: 6 }, (_, i) => pushReferrer(store, index, 'application/x-signature', `number ${i}`)),
      )
      expect((await store.referrers(index)).map((each) => each.digest)).toEqual(pushed.map((each) => each.digest).sort())
    })

    test('a manifest pushed again is listed once', async () => {
      const store = await place.open()
      const { index } = await pushImage(store, 'again', 100)
      await pushReferrer(store, index, 'application/x-signature', 'same')
      await pushReferrer(store, index, 'application/x-signature', 'same')
      expect(await store.referrers(index)).toHaveLength(1)
    })

    test('copies in and out, referrers too', async () => {
      const from = memoryStore()
      const image = await pushImage(from, 'copied', 300_000)
      const signature = await pushReferrer(from, image.index, 'application/x-signature', 's')
      await pushReferrer(from, signature, 'application/x-countersignature', 'c')
      const store = await place.open()
      const options = { concurrency: 4, referrers: true }
      const report = await copyGraph([image.index], from, store, options)
      // two referrers share the empty config, which crane's registry has from another repository
      expect(report.copied + report.present).toBe(image.all.length + 5)
      expect(report.present).toBe(place.name === 'crane registry serve' ? 1 : 0)
      const back = memoryStore()
      await copyGraph([image.index], store, back, options)
      for (const each of image.all) expect(await back.exists(each)).toBe(true)
      expect((await back.referrers(image.index)).map((each) => each.digest)).toEqual([signature.digest])
      expect(await back.referrers(signature)).toHaveLength(1)
      const again = await copyGraph([image.index], from, store, options)
      expect(again).toEqual({ copied: 0, present: image.all.length + 5, bytes: 0 })
    })
  })
}
