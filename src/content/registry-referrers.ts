/**
 * Referrers of a registry: its API, or the index under the tag `sha256-<hex>` where it has none
 * (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema). That index is read,
 * changed and put back, which loses entries when several do it at once: in this process they take turns, and those who
 * wait share one write. Two processes must not attach to one digest of such a registry at the same time.
 */
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { drain, readResponse, retrying } from './exchange.ts'
import { listed } from './referrer.ts'
import { type Ask, type Caller, call, describeAsk, safe } from './session.ts'

export interface ReferrerPlace {
  readonly caller: Caller
  readonly pull: readonly string[]
  url(path: string): URL
  getManifest(tag: string): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string } | undefined>
  putManifest(tag: string, mediaType: string, bytes: Uint8Array): Promise<unknown>
}

const maxPages = 200
const maxPageBytes = 8 * 1024 * 1024

export async function listReferrers(place: ReferrerPlace, subject: Descriptor, artifactType?: string): Promise<readonly Descriptor[]> {
  const byApi = await askApi(place, subject, artifactType)
  if (byApi !== undefined) return listed(byApi, artifactType)
  return listed((await readFallback(place, subject.digest)).entries, artifactType)
}

/** undefined = the registry has no such API */
async function askApi(place: ReferrerPlace, subject: Descriptor, artifactType?: string): Promise<readonly Descriptor[] | undefined> {
  const { caller } = place
  if (caller.site.listsReferrers === false) return undefined
  const found: Descriptor[] = []
  let next: URL | undefined = place.url(`referrers/${subject.digest}`)
  if (artifactType !== undefined) next.searchParams.set('artifactType', artifactType)
  for (let pages = 0; next !== undefined && pages < maxPages; pages += 1) {
    const ask: Ask = {
      method: 'GET',
      url: next,
      headers: { accept: mediaTypes.index },
      scopes: place.pull,
      allow: [400, 404, 405, 501],
    }
    const page: { bytes: Buffer; link: string | undefined } | undefined = await retrying(
      caller.retry,
      describeAsk(ask),
      caller.signal,
      async () => {
        const response = await call(caller, ask)
        if (response.statusCode !== 200) {
          drain(response)
          return undefined
        }
        const { link } = response.headers
        return { bytes: await readResponse(response, maxPageBytes), link: Array.isArray(link) ? link[0] : link }
      },
    )
    if (page === undefined) {
      if (pages === 0) caller.site.listsReferrers = false
      return pages === 0 ? undefined : found
    }
    caller.site.listsReferrers = true
    found.push(...parseIndex(page.bytes, maxPageBytes).manifests)
    // https://www.rfc-editor.org/rfc/rfc8288#section-3
    const link = /^\s*<([^>]{1,4096})>\s*;\s*rel="?next"?/.exec(page.link ?? '')?.[1]
    next = link === undefined ? undefined : safe(link, next)
  }
  return found
}

async function readFallback(
  place: ReferrerPlace,
  subject: Digest,
): Promise<{ readonly entries: readonly Descriptor[]; readonly raw: readonly unknown[] }> {
  const found = await place.getManifest(fallbackTag(subject))
  if (found === undefined || found.mediaType !== mediaTypes.index) return { entries: [], raw: [] }
  const entries = parseIndex(found.bytes).manifests
  // as others wrote them, members that we don't know included
  return { entries, raw: JSON.parse(Buffer.from(found.bytes).toString('utf8')).manifests }
}

function fallbackTag(subject: Digest): string {
  return `sha256-${hex(subject)}`
}

interface Turn {
  readonly waiting: Descriptor[]
  readonly done: Promise<void>
}
const turns = new Map<string, Turn>()

/** Lists `entry` under its subject where the registry doesn't do it by itself. Several for one subject share a write. */
export async function attach(place: ReferrerPlace, subject: Descriptor, entry: Descriptor): Promise<void> {
  const { caller } = place
  if (caller.site.listsReferrers === undefined) await askApi(place, subject)
  if (caller.site.listsReferrers === true) return
  const key = `${caller.at.base.origin}/${caller.at.repository}@${subject.digest}`
  const queued = turns.get(key)
  if (queued !== undefined && queued.waiting.length > 0) {
    queued.waiting.push(entry)
    return await queued.done
  }
  const waiting = [entry]
  const done = (queued?.done ?? Promise.resolve()).catch(() => {}).then(() => write(place, subject.digest, waiting.splice(0)))
  const turn = { waiting, done }
  turns.set(key, turn)
  try {
    await done
  } finally {
    if (turns.get(key) === turn) turns.delete(key)
  }
}

async function write(place: ReferrerPlace, subject: Digest, added: readonly Descriptor[], tries = 1): Promise<void> {
  const { entries, raw } = await readFallback(place, subject)
  const there = new Set(entries.map((each) => each.digest))
  const fresh = listed(added).filter((each) => !there.has(each.digest))
  if (fresh.length === 0) return
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...raw, ...fresh] }))
  await place.putManifest(fallbackTag(subject), mediaTypes.index, bytes)
  const after = await place.getManifest(fallbackTag(subject))
  // another process put its own meanwhile: once more, on top of it
  if (tries < 5 && (after === undefined || digestOf(after.bytes) !== digestOf(bytes))) await write(place, subject, added, tries + 1)
}
