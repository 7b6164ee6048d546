/** The last task, `statement`: says, signed, what the release consists of, and signs what carries a signature of its own. */
import { pushBytes, readJson } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { signStatement } from '../sign/bundle.ts'
import { keyFingerprint } from '../sign/key.ts'
import { given } from './given.ts'
import { readListing, sm3 } from './listing.ts'
import { provenanceStatement } from './own-evidence.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { type FileRecord, releasePredicate, releaseStatement } from './predicate.ts'
import type { Parts } from './release-tasks.ts'
import { type BesideFile, fileSignatures, keyFiles, pushBeside } from './signatures.ts'
import { provenancePath } from './signed-paths.ts'
import { readSupport } from './support-task.ts'
import { bundlePath, statementPath } from './verify/files.ts'

/** Gives an index whose entries are the files beside the root: statement, bundle, trust, signatures of the checksum lists. */
export function statementTask(
  request: ReleaseRequest,
  { evidence, provenances, support }: Parts,
  release: Task,
  ports: ReleasePorts,
): Task {
  const { key, sm2, pgp, keyless, plan, mark } = request
  const needs: Record<string, Task> = { release, support }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) needs[`image/${images.image.component}/${made.platform}`] = made.image
  }
  for (const { path, task } of provenances) needs[`provenance/${path}`] = task
  const provenanceBundles = async (inputs: Parameters<Task['run']>[0], files: readonly FileRecord[]): Promise<BesideFile[]> =>
    await Promise.all(
      provenances.map(async ({ path }): Promise<BesideFile> => {
        const file = files.find((each) => each.path === path)
        if (file === undefined) throw new Error(`${path} is no file of the release`)
        const said = provenanceStatement(path, file.digest, (await readJson(ports.store, given(inputs[`provenance/${path}`]))) as Json)
        return { path: provenancePath(file.digest), bytes: await signStatement(said, key) }
      }),
    )
  return {
    id: 'statement',
    needs,
    key: {
      rule: 'statement@6',
      key: keyFingerprint(key.publicKey),
      sm2: sm2?.publicKey.fingerprint ?? null,
      pgp: pgp?.publicKey.fingerprint ?? null,
      ...(keyless === undefined ? {} : { keyless: keyless.fingerprint }),
      mark: mark === undefined ? null : mark.keyFingerprint,
    },
    lane: 'cpu',
    async run(inputs) {
      const { root, files: listed } = await readListing(given(inputs['release']), ports.store)
      const index = await readJson(ports.store, root)
      const files: FileRecord[] = [...listed]
      const keys = await pushBeside(await keyFiles(request, plan.epoch), ports.store)
      for (const file of keys) files.push({ ...file, sm3: await sm3(ports.store, file) })
      const predicate = releasePredicate({
        plan,
        root: { digest: root.digest, index: index as Json },
        files,
        inputs,
        sourceOf: request.bundle.sourceOf,
        support: (await readSupport(inputs['support'], ports.store)).platforms,
        ...(mark === undefined ? {} : { keyFingerprint: mark.keyFingerprint }),
      })
      const statement = { path: statementPath, bundlePath, bytes: releaseStatement(predicate) }
      const signed = await pushBeside(
        [...(await fileSignatures(request, statement, files, ports.store, plan.epoch)), ...(await provenanceBundles(inputs, files))],
        ports.store,
      )
      const manifests = [...keys, ...signed].map(({ path, digest, size }) => ({
        mediaType: mediaTypes.octets,
        digest,
        size,
        annotations: { [annotationKeys.title]: path },
      }))
      return await pushBytes(
        ports.store,
        mediaTypes.index,
        canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
      )
    },
  }
}
