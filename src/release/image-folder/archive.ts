/**
 * What one archive of images holds, by whomever it was made: a docker-archive, an OCI layout, or both. One pass in constant
 * memory; what is wrong inside is a fact like others, so that one broken archive does not hide the next.
 */
import { createReadStream } from 'node:fs'
import { z } from 'zod'
import { digestOfFile } from '../../content/file.ts'
import { gunzipped } from '../../content/gzip.ts'
import { unzstd } from '../../content/zstd.ts'
import { RfoError } from '../../error.ts'
import { readTar } from '../../inspect/tar.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { createDigester, type Digest, hex, isDigest } from '../../oci/digest.ts'
import { maxManifestBytes, parseImageConfig, parseIndex, parseManifest } from '../../oci/manifest.ts'
import { annotationKeys, isIndexType, isManifestType } from '../../oci/mediatype.ts'
import { formatReference, parseReference } from '../../oci/reference.ts'
import type { Format } from './reader.ts'

export interface ArchiveFacts {
  readonly file: string
  readonly format: Format
  /** of the file as it lies */
  readonly digest: Digest
  /** bytes: the largest that a decoder needs; 0 = not zstd */
  readonly window: number
  /** of the tar's first entry */
  readonly first: string | undefined
  /** reference → its config as manifest.json names it, undefined = no manifest.json */
  readonly docker: ReadonlyMap<string, Digest | undefined> | undefined
  /** reference → what index.json says it is, undefined = no index.json */
  readonly oci: ReadonlyMap<string, Digest> | undefined
  /** platforms of an index without content here: `docker.io/a/b:v1 linux/arm64` */
  readonly absent: readonly string[]
  /** architectures that configs name */
  readonly architectures: readonly string[]
  /** one phrase each: what is not whole */
  readonly broken: readonly string[]
}

/** https://github.com/containerd/containerd/blob/v1.6.20/images/annotations.go */
const containerdName = 'io.containerd.image.name'
/** bytes; JSON that is kept of one archive */
const mostKept = 64 << 20
const mostEntries = 200_000

/** https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format */
const DockerManifest = z
  .array(
    z.looseObject({
      Config: z.string().max(4096),
      RepoTags: z.array(z.string().max(1024)).nullish(),
      Layers: z.array(z.string().max(4096)),
    }),
  )
  .max(10_000)

export function isArchive(format: Format): format is Exclude<Format, 'list' | 'bzip2' | 'lz4'> {
  return format === 'tar' || format === 'gzip' || format === 'zstd'
}

/** Throws what reading the file throws. */
export async function archiveFacts(path: string, file: string, format: Format, signal?: AbortSignal): Promise<ArchiveFacts> {
  const digester = createDigester()
  const seen = { window: 0 }
  const tar = createTarFacts()
  try {
    await tar.read(
      unpacked(
        hashed(createReadStream(path, { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) }), digester),
        format,
        seen,
      ),
    )
  } catch (thrown) {
    signal?.throwIfAborted()
    const { code, message } = thrown as { readonly code?: unknown; readonly message: string }
    const ofBytes =
      thrown instanceof RfoError ? thrown.exit === 'untrusted' : typeof code === 'string' && /^(Z_|ZSTD_|ERR_ZLIB|ERR__ZSTD)/.test(code)
    if (!ofBytes) throw thrown
    // the digest is that of all bytes, also of those that nobody could read
    return { ...tar.facts(), file, format, digest: await digestOfFile(path), window: seen.window, broken: [message] }
  }
  return { ...tar.facts(), file, format, digest: digester.finish(), window: seen.window }
}

async function* hashed(source: AsyncIterable<Buffer>, digester: { update(bytes: Uint8Array): void }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk)
    yield chunk
  }
}

async function* unpacked(source: AsyncIterable<Uint8Array>, format: Format, seen: { window: number }): AsyncGenerator<Uint8Array> {
  if (format === 'tar') yield* source
  else if (format === 'gzip') yield* gunzipped(source)
  // a window that RKE2 refuses is looked at all the same: 31 is the most that encoders write
  else yield* unzstd(source, { windowLogMax: 31, window: (bytes) => (seen.window = Math.max(seen.window, bytes)) })
}

type TarFacts = Omit<ArchiveFacts, 'file' | 'format' | 'digest' | 'window'>

function createTarFacts(): { read(source: AsyncIterable<Uint8Array>): Promise<void>; facts(): TarFacts } {
  const names = new Set<string>()
  const kept = new Map<string, Buffer>()
  const broken: string[] = []
  let first: string | undefined
  let left = mostKept
  return {
    async read(source) {
      for await (const { path, kind, size, body } of readTar(source)) {
        const name = path.join('/')
        first ??= name
        names.add(name)
        if (names.size > mostEntries) throw new RfoError('RFO_LINT_LIMIT', `more than ${mostEntries} entries`, { exit: 'untrusted' })
        if (kind !== 'file') {
          for await (const _ of body);
          continue
        }
        const keep = size <= maxManifestBytes && size <= left && /(^|\/)(blobs\/sha256\/[0-9a-f]{64}|[^/]+\.json)$/.test(name)
        const digester = createDigester()
        const parts: Uint8Array[] = []
        for await (const chunk of body) {
          digester.update(chunk)
          if (keep && (parts.length > 0 || chunk[0] === 0x7b || chunk[0] === 0x5b)) parts.push(chunk)
        }
        if (parts.length > 0) {
          left -= size
          kept.set(name, Buffer.concat(parts))
        }
        const named = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1]
        const digest = digester.finish()
        if (named !== undefined && hex(digest) !== named) broken.push(`${name} is ${digest}`)
      }
    },
    facts() {
      const docker = dockerFacts(kept, names, broken)
      const oci = ociFacts(kept, names, broken)
      return { first, docker: docker?.images, oci: oci?.images, absent: oci?.absent ?? [], architectures: architecturesOf(kept), broken }
    },
  }
}

/** In its full spelling, as RKE2 and containerd compare; what is no reference stays as it is. */
function fullName(text: string): string {
  try {
    return formatReference(parseReference(text))
  } catch {
    return text
  }
}

function dockerFacts(
  kept: ReadonlyMap<string, Buffer>,
  names: ReadonlySet<string>,
  broken: string[],
): { images: Map<string, Digest | undefined> } | undefined {
  if (!names.has('manifest.json')) return undefined
  const images = new Map<string, Digest | undefined>()
  try {
    for (const { Config, RepoTags, Layers } of DockerManifest.parse(
      JSON.parse((kept.get('manifest.json') ?? Buffer.of()).toString('utf8')),
    )) {
      for (const name of [Config, ...Layers]) if (!names.has(name)) broken.push(`manifest.json names ${name}, which is not there`)
      const named = /([0-9a-f]{64})(?:\.json)?$/.exec(Config)?.[1]
      const config = `sha256:${named}`
      for (const tag of RepoTags ?? []) images.set(fullName(tag), isDigest(config) ? config : undefined)
    }
  } catch {
    broken.push('manifest.json is not what a docker-archive has')
  }
  return { images }
}

function ociFacts(kept: ReadonlyMap<string, Buffer>, names: ReadonlySet<string>, broken: string[]) {
  if (!names.has('index.json')) return undefined
  const images = new Map<string, Digest>()
  const absent: string[] = []
  const has = ({ digest }: Descriptor): boolean => names.has(`blobs/sha256/${hex(digest)}`)
  const bytes = ({ digest }: Descriptor): Buffer => kept.get(`blobs/sha256/${hex(digest)}`) ?? Buffer.of()
  const look = (name: string, one: Descriptor, depth: number): void => {
    if (isIndexType(one.mediaType) && depth > 0) {
      for (const child of parseIndex(bytes(one)).manifests) {
        if (has(child)) look(name, child, depth - 1)
        else absent.push(`${name} ${child.platform?.os}/${child.platform?.architecture}`)
      }
    } else if (isManifestType(one.mediaType)) {
      const { config, layers } = parseManifest(bytes(one))
      for (const part of [config, ...layers]) if (!has(part)) broken.push(`${name} needs ${part.digest}, which is not there`)
    }
  }
  try {
    for (const one of parseIndex(kept.get('index.json') ?? Buffer.of(), 2 * maxManifestBytes).manifests) {
      const name = fullName(one.annotations?.[containerdName] ?? one.annotations?.[annotationKeys.refName] ?? one.digest)
      images.set(name, one.digest)
      if (has(one)) look(name, one, 4)
      else broken.push(`index.json names ${one.digest}, which is not there`)
    }
  } catch (thrown) {
    broken.push(`index.json: ${(thrown as Error).message}`)
  }
  return { images, absent }
}

function architecturesOf(kept: ReadonlyMap<string, Buffer>): string[] {
  const found = new Set<string>()
  for (const bytes of kept.values()) {
    try {
      found.add(parseImageConfig(bytes).architecture)
    } catch {
      // a manifest, an index: no config
    }
  }
  return [...found].sort()
}
