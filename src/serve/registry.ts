/** The reading half of https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md: pull, referrers, tags. Pure. */
import { type Digest, isDigest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { isRepository, isTag } from '../oci/reference.ts'
import { type Answer, json, problem } from './answer.ts'
import type { Offer } from './offer.ts'

const version = { 'docker-distribution-api-version': 'registry/2.0' }

/** `path` begins with `/v2`. */
export function registryAnswer(offer: Offer, path: string, query: URLSearchParams): Answer {
  if (path === '/v2' || path === '/v2/') return json(200, {}, version)
  const [, repository = '', kind, last = ''] = /^\/v2\/(.+)\/(blobs|manifests|referrers|tags)\/([^/]+)$/.exec(path) ?? []
  if (kind === undefined) return problem(404, 'UNSUPPORTED', version)
  const tags = isRepository(repository) ? offer.tags.get(repository) : undefined
  if (tags === undefined) return problem(404, 'NAME_UNKNOWN', version)
  switch (kind) {
    case 'manifests':
      return manifest(offer, tags, last)
    case 'blobs':
      return blob(offer, last)
    case 'referrers':
      return referrers(offer, last, query.get('artifactType'))
    default:
      return last === 'list' ? tagList(repository, tags, query) : problem(404, 'UNSUPPORTED', version)
  }
}

function manifest(offer: Offer, tags: ReadonlyMap<string, Digest>, reference: string): Answer {
  if (!isDigest(reference) && !isTag(reference)) return problem(404, 'MANIFEST_UNKNOWN', version)
  const digest = isDigest(reference) ? reference : tags.get(reference)
  const node = digest === undefined ? undefined : offer.nodes.get(digest)
  const file = node === undefined ? undefined : offer.blobs.get(node.digest)
  if (node === undefined || file === undefined) return problem(404, 'MANIFEST_UNKNOWN', version)
  return { status: 200, headers: { ...version, 'content-type': node.mediaType, 'docker-content-digest': node.digest }, body: file }
}

function blob(offer: Offer, digest: string): Answer {
  if (!isDigest(digest)) return problem(400, 'DIGEST_INVALID', version)
  const file = offer.blobs.get(digest)
  if (file === undefined) return problem(404, 'BLOB_UNKNOWN', version)
  return { status: 200, headers: { ...version, 'content-type': mediaTypes.octets, 'docker-content-digest': digest }, body: file }
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers: of what nobody has ever heard, too, the list is empty. */
function referrers(offer: Offer, subject: string, artifactType: string | null): Answer {
  if (!isDigest(subject)) return problem(400, 'DIGEST_INVALID', version)
  const all = offer.referrers.get(subject) ?? []
  const manifests = artifactType === null ? all : all.filter((each) => each.artifactType === artifactType)
  return json(
    200,
    { schemaVersion: 2, mediaType: mediaTypes.index, manifests },
    { ...version, 'content-type': mediaTypes.index, ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }) },
  )
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags */
function tagList(name: string, tags: ReadonlyMap<string, Digest>, query: URLSearchParams): Answer {
  const asked = query.get('n')
  if (asked !== null && !/^\d{1,9}$/.test(asked)) return problem(400, 'UNSUPPORTED', version)
  const last = query.get('last')
  const rest = [...tags.keys()].sort().filter((tag) => last === null || tag > last)
  const page = asked === null ? rest : rest.slice(0, Number(asked))
  const end = page.at(-1)
  const more = end !== undefined && page.length < rest.length
  const link = more ? { link: `</v2/${name}/tags/list?n=${asked}&last=${encodeURIComponent(end)}>; rel="next"` } : {}
  return json(200, { name, tags: page }, { ...version, ...link })
}
