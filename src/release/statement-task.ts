/**
 * What the release consists of, as a statement: `unsigned` says it of what was made, and `statement` adds who signs, signs it,
 * and signs what carries a signature of its own.
 */
import { ReleasePredicate } from '../attest/release.ts'
import { parseStatement } from '../attest/statement.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { ContentReader, ContentStore } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { signStatement } from '../sign/bundle.ts'
import { keyFingerprint } from '../sign/key.ts'
import { provenanceStatement } from './file-statements.ts'
import { given } from './given.ts'
import { readListing, sm3 } from './listing.ts'
import type { ProvenanceTask } from './own-evidence.ts'
import { signPackages } from './package-signatures.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { type FileRecord, releasePredicate, releaseStatement } from './predicate.ts'
import { releasePackages } from './release-packages.ts'
import type { Parts } from './release-tasks.ts'
import { by } from './root.ts'
import { readGate } from './scan-tasks.ts'
import { type BesideFile, fileSignatures, keyFiles, pushBeside, type ReleaseKeys } from './signatures.ts'
import { provenancePath } from './signed-paths.ts'
import { readSupport } from './support-task.ts'
import { bundlePath, maxStatementBytes, statementPath } from './verify/files.ts'

/** Gives the statement without files of keys. */
export function unsignedTask(
  { plan, mark, bundle }: ReleaseRequest,
  { evidence, support, gate }: Parts,
  release: Task,
  ports: ReleasePorts,
): Task {
  const needs: Record<string, Task> = { release, support, ...(gate === undefined ? {} : { gate }) }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) needs[`image/${images.image.component}/${made.platform}`] = made.image
  }
  return {
    id: 'unsigned',
    needs,
    key: { rule: 'unsigned@1', mark: mark === undefined ? null : mark.keyFingerprint },
    lane: 'cpu',
    async run(inputs) {
      const { root, files } = await readListing(given(inputs['release']), ports.store)
      const judged = await readGate(inputs['gate'], ports.store)
      const predicate = releasePredicate({
        plan,
        root: { digest: root.digest, index: (await readJson(ports.store, root)) as Json },
        files,
        inputs,
        sourceOf: bundle.sourceOf,
        support: (await readSupport(inputs['support'], ports.store)).platforms,
        ...(judged === undefined ? {} : { gate: judged }),
        ...(mark === undefined ? {} : { keyFingerprint: mark.keyFingerprint }),
      })
      return await pushBytes(ports.store, mediaTypes.json, releaseStatement(predicate))
    },
  }
}

/** What is signed besides images. */
export interface Unsigned {
  /** gives the statement without files of keys */
  readonly unsigned: Task
  readonly provenances: readonly ProvenanceTask[]
}

/** Gives an index whose entries are the files that signing makes: statement, bundle, trust, signatures of single files, signed packages. */
export function statementTask({ unsigned, provenances }: Unsigned, keys: ReleaseKeys, epoch: number, store: ContentStore): Task {
  const { key, sm2, pgp, trust, keyless } = keys
  const needs: Record<string, Task> = { unsigned }
  for (const { path, task } of provenances) needs[`provenance/${path}`] = task
  const provenanceBundles = async (inputs: Parameters<Task['run']>[0], files: readonly FileRecord[]): Promise<BesideFile[]> =>
    await Promise.all(
      provenances.map(async ({ path }): Promise<BesideFile> => {
        const file = files.find((each) => each.path === path)
        if (file === undefined) throw new Error(`${path} is no file of the release`)
        const said = provenanceStatement(path, file.digest, (await readJson(store, given(inputs[`provenance/${path}`]))) as Json)
        return { path: provenancePath(file.digest), bytes: await signStatement(said, key) }
      }),
    )
  return {
    id: 'statement',
    needs,
    key: {
      rule: 'statement@8',
      key: keyFingerprint(key.publicKey),
      sm2: sm2?.publicKey.fingerprint ?? null,
      pgp: pgp?.publicKey.fingerprint ?? null,
      ...(trust === undefined ? {} : { trust: digestOf(trust) }),
      ...(keyless === undefined ? {} : { keyless: keyless.fingerprint }),
    },
    lane: 'cpu',
    async run(inputs) {
      const said = await readUnsigned(given(inputs['unsigned']), store)
      const made = said.files.map(
        ({ unsigned: part, ...file }): FileRecord => ({
          ...file,
          ...(part === undefined ? {} : { unsigned: part }),
        }),
      )
      const platforms = said.platforms
      const files = [...(pgp === undefined ? made : await signPackages({ platforms, files: made, epoch }, pgp, store))]
      const changed = files.filter((file) => !made.some((each) => each.path === file.path && each.digest === file.digest))
      const keyed = await pushBeside(await keyFiles(keys, epoch), store)
      const holders = pgp === undefined ? [] : await releasePackages({ ...said, files, epoch }, pgp, store)
      for (const file of keyed) files.push({ ...file, sm3: await sm3(store, file) })
      files.push(...holders)
      const listed = [...keyed, ...holders]
      const statement = { path: statementPath, bundlePath, bytes: releaseStatement(signedBy(said, files)) }
      const signed = await pushBeside(
        [...(await fileSignatures(keys, statement, files, store, epoch)), ...(await provenanceBundles(inputs, files))],
        store,
      )
      return await pushFiles([...changed, ...listed, ...signed], store)
    },
  }
}

/** The same release, with the files of keys in its list. */
function signedBy(predicate: ReleasePredicate, files: readonly FileRecord[]): ReleasePredicate {
  return { ...predicate, files: [...files].sort(by((file) => file.path)) }
}

async function readUnsigned(statement: Descriptor, from: ContentReader): Promise<ReleasePredicate> {
  return ReleasePredicate.parse(parseStatement(await readBytes(from, statement, maxStatementBytes)).predicate)
}

/** An index of files by title, as laying out takes it. */
export async function pushFiles(
  files: readonly { readonly path: string; readonly digest: Descriptor['digest']; readonly size: number }[],
  store: ContentStore,
): Promise<Descriptor> {
  const manifests = files.map(({ path, digest, size }) => ({
    mediaType: mediaTypes.octets,
    digest,
    size,
    annotations: { [annotationKeys.title]: path },
  }))
  return await pushBytes(
    store,
    mediaTypes.index,
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
  )
}
