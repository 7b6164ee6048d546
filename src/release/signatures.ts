/**
 * What is signed besides images and the statement, and the keys that a release carries. Both are in no root: who signed
 * changes nothing of what was made. The statement lists the keys, and each signature proves itself.
 */
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { digestOf } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { chartNameOf, provenanceText } from '../pack/chart-provenance.ts'
import { signKeyless } from '../sign/attach.ts'
import { signBlob, signStatement } from '../sign/bundle.ts'
import type { TrustedIdentity } from '../sign/identity.ts'
import type { SigningKey } from '../sign/key.ts'
import type { KeylessSigner } from '../sign/keyless.ts'
import type { PgpKey } from '../sign/pgp.ts'
import type { Sm2Key } from '../sign/sm2.ts'
import { trustMetadata } from '../sign/trust-metadata.ts'
import { maxChartBytes } from './chart-tasks.ts'
import { fileStatements } from './file-statements.ts'
import type { FileRecord } from './predicate.ts'
import { isChart, isChecksumList, isRepositoryIndex, keylessStatement, keyPaths, sm2Statement } from './signed-paths.ts'

/** Who signs. The first is the release's key, for everything; the others sign beside it, where somebody reads nothing else. */
export interface ReleaseKeys {
  readonly key: SigningKey
  readonly sm2?: Sm2Key
  readonly pgp?: PgpKey
  /** the project's own trust metadata, exported; absent: the release's key is all there is to say */
  readonly trust?: string
  /** signs the statement and the images */
  readonly keyless?: KeylessSigner
}

export interface BesideFile {
  readonly path: string
  readonly bytes: string | Uint8Array
}

/** Files of keys: listed in the statement, in no list of checksums. */
export async function keyFiles({ key, sm2, pgp, trust, keyless }: ReleaseKeys, epoch: number): Promise<BesideFile[]> {
  return [
    { path: keyPaths.release, bytes: key.publicKey.pem },
    { path: keyPaths.metadata, bytes: trust ?? (await trustMetadata(key, epoch)) },
    ...(sm2 === undefined ? [] : [{ path: keyPaths.sm2, bytes: sm2.publicKey.pem }]),
    ...(pgp === undefined
      ? []
      : [
          { path: keyPaths.helm, bytes: pgp.publicKey.binary },
          { path: keyPaths.rpm, bytes: pgp.publicKey.armored },
        ]),
    ...(keyless === undefined
      ? []
      : [
          { path: keyPaths.identity, bytes: identityText(keyless.trusted) },
          { path: keyPaths.trustedRoot, bytes: keyless.trusted.root.text },
        ]),
  ]
}

/** `trust/identity.json` */
export function identityText({ identity, issuer }: Pick<TrustedIdentity, 'identity' | 'issuer'>): string {
  return canonicalJson({ identity, issuer })
}

/** Everything that signs, over the statement's text and the files that carry a signature of their own. */
export async function fileSignatures(
  keys: ReleaseKeys,
  statement: { readonly path: string; readonly bundlePath: string; readonly bytes: Uint8Array },
  files: readonly FileRecord[],
  store: ContentStore,
  epoch: number,
): Promise<BesideFile[]> {
  const { key, sm2, pgp, keyless } = keys
  const beside: BesideFile[] = [
    { path: statement.path, bytes: statement.bytes },
    { path: statement.bundlePath, bytes: await signStatement(statement.bytes, key) },
  ]
  if (sm2 !== undefined) beside.push({ path: sm2Statement, bytes: await sm2.sign(statement.bytes) })
  if (keyless !== undefined) {
    const about = { mediaType: mediaTypes.octets, digest: digestOf(statement.bytes), size: statement.bytes.length }
    beside.push({ path: keylessStatement, bytes: (await signKeyless(about, keyless, store, epoch, statement.bytes)).text })
  }
  for (const [path, bytes] of fileStatements(files)) beside.push({ path, bytes: await signStatement(bytes, key) })
  for (const file of files) {
    const read = (): Promise<Uint8Array> =>
      readBytes(store, { mediaType: mediaTypes.octets, digest: file.digest, size: file.size }, maxChartBytes)
    if (isChecksumList(file.path)) {
      const bytes = await read()
      const { signature, bundle } = await signBlob(bytes, key)
      beside.push({ path: `${file.path}.sig`, bytes: signature }, { path: `${file.path}.sigstore.json`, bytes: bundle })
      if (sm2 !== undefined) beside.push({ path: `${file.path}.sm2`, bytes: await sm2.sign(bytes) })
    }
    if (pgp !== undefined && isChart(file.path)) {
      const text = await provenanceText(await read(), chartNameOf(file.path), file.path.slice('charts/'.length))
      beside.push({ path: `${file.path}.prov`, bytes: await pgp.clearSign(text, epoch) })
    }
    if (pgp !== undefined && isRepositoryIndex(file.path))
      beside.push({ path: `${file.path}.asc`, bytes: await pgp.detached(await read(), epoch) })
  }
  return beside
}

/** Pushes them, in their order. */
export async function pushBeside(
  files: readonly BesideFile[],
  store: ContentStore,
): Promise<readonly { path: string; digest: FileRecord['digest']; size: number }[]> {
  const pushed = []
  for (const { path, bytes } of files) {
    const { digest, size } = await pushBytes(store, mediaTypes.octets, bytes)
    pushed.push({ path, digest, size })
  }
  return pushed
}
