/**
 * The packages of a release into a package repository that is there already: what was there stays, the lists are made again over
 * both, and whoever merges signs them. So each package that is signed for has been hashed.
 */
import { dirname, join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { makeFolder, writeFileOnce } from '../content/atomic.ts'
import { bytesBody, gather } from '../content/body.ts'
import { RfoError } from '../error.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { advisoriesOf, elements, listsOf, mergeAdvisories, mergeEntries, type RepositoryEntry, repositoryEntries } from '../rpm/merge.ts'
import { listKinds, type RepositoryList, repomdPath, repositoryFiles, repositoryKinds } from '../rpm/repository.ts'
import { readRepomd } from '../rpm/solve/repomd.ts'
import { type PgpKey, type PgpPublicKey, verifyDetached } from '../sign/pgp.ts'
import { maxRepositoryList } from './package-signatures.ts'
import type { ReleaseFile, ReleaseFiles } from './shelf.ts'
import { isPackage, isReleasePackage, isRepositoryIndex, isRepositoryList, keyPaths } from './signed-paths.ts'
import { untrusted } from './verify/finding.ts'
import { hashFile, readSmall } from './verify/tree.ts'

export interface MergeRequest {
  /** verified */
  readonly files: ReleaseFiles
  /** seconds, of the release */
  readonly epoch: number
  /** as a release's folder: `rpm/` is below it */
  readonly into: string
  readonly key: PgpKey
  /** lists there that this key has not signed are taken over */
  readonly adopt: boolean
  readonly dryRun: boolean
}

export interface MergedRepository {
  /** below `into` */
  readonly path: string
  readonly packages: number
  readonly added: number
}

interface There {
  readonly entries: readonly RepositoryEntry[]
  readonly advisories: ReadonlyMap<string, string>
  /** `<data>` of what is not made of packages: groups, modules */
  readonly more: readonly string[]
  /** seconds */
  readonly revision: number
}

interface Plan extends MergedRepository {
  readonly made: ReturnType<typeof repositoryFiles>
  readonly revision: number
}

/** Nothing is written before all of it is known to fit. Throws RFO_RPM_TAKEN, RFO_RPM_METADATA, RFO_MERGE_*. */
export async function mergeRelease(request: MergeRequest): Promise<readonly MergedRepository[]> {
  const { files, epoch, into } = request
  const plans: Plan[] = []
  for (const index of files.files.filter(({ path }) => isRepositoryIndex(path))) {
    const path = index.path.slice(0, -repomdPath.length)
    const own = files.files.filter((file) => file.path.startsWith(path))
    const lists = await releaseLists(files, own)
    const added = await repositoryEntries(lists)
    const there = await repositoryThere(join(into, path), request)
    const entries = mergeEntries(there.entries, added)
    const revision = Math.max(epoch, there.revision)
    const advisories = mergeAdvisories(there.advisories, await advisoriesOf(lists))
    const made = repositoryFiles([...listsOf(entries), ...advisories], { epoch: revision }, there.more)
    plans.push({ path, packages: entries.length, added: entries.length - there.entries.length, made, revision })
  }
  if (plans.length === 0)
    throw new RfoError('RFO_MERGE_NOTHING', 'the release has no packages', {
      exit: 'usage',
      where: files.where,
      next: 'choose another one',
    })
  const copied = files.files.filter(({ path }) => isPackage(path) || isReleasePackage(path))
  const wanted: ReleaseFile[] = []
  for (const file of copied) if (!(await isThere(into, file))) wanted.push(file)
  const keys = await keyText(request)
  const merged = plans.map(({ path, packages, added }) => ({ path, packages, added }))
  if (request.dryRun) return merged
  const write = async (path: string, body: AsyncIterable<Uint8Array>): Promise<void> => {
    const folder = dirname(join(into, path))
    await makeFolder(folder)
    await writeFileOnce(folder, body, () => join(into, path))
  }
  for (const file of wanted) await write(file.path, files.open(file))
  await write(keyPaths.rpm, bytesBody(Buffer.from(keys)))
  for (const { path, made, revision } of plans) {
    const [index, ...lists] = made.toReversed()
    if (index === undefined) throw new Error('a repository without an index')
    for (const list of lists) await write(`${path}${list.path}`, bytesBody(list.bytes))
    // the old lists stay: who read the old index a moment ago still asks for them
    await write(`${path}${repomdPath}.asc`, bytesBody(Buffer.from(await request.key.detached(index.bytes, revision))))
    await write(`${path}${index.path}`, bytesBody(index.bytes))
  }
  return merged
}

async function releaseLists(files: ReleaseFiles, own: readonly ReleaseFile[]): Promise<readonly RepositoryList[]> {
  const lists: RepositoryList[] = []
  for (const kind of listKinds(own.map(({ path }) => path))) {
    const file = own.find(({ path }) => isRepositoryList(path) && path.endsWith(`-${kind}.xml.gz`))
    if (file === undefined) throw new Error(`a verified release whose repository has no ${kind}`)
    lists.push({ kind, text: unpacked(await gather(files.open(file)), file.path) })
  }
  return lists
}

/** A repository with nothing in it where there is none. What it names has been hashed. */
async function repositoryThere(folder: string, { key, adopt }: MergeRequest): Promise<There> {
  const where = join(folder, repomdPath)
  const index = await readSmall(where, maxRepositoryList, where)
  if (index === undefined) return { entries: [], advisories: new Map(), more: [], revision: 0 }
  if (!adopt) await checkSignature(where, index, key.publicKey)
  const repomd = await readRepomd(bytesBody(index))
  const read = async (href: string, digest: Digest): Promise<Buffer> => {
    const bytes = await readSmall(join(folder, href), maxRepositoryList, join(folder, href))
    if (bytes === undefined || digestOf(bytes) !== digest)
      throw untrusted('RFO_MERGE_LIST', 'is not what repomd.xml says', join(folder, href))
    return bytes
  }
  const lists: RepositoryList[] = []
  for (const kind of [...repositoryKinds, 'updateinfo'] as const) {
    const file = repomd.files.get(kind)
    if (file === undefined && kind === 'updateinfo') continue
    if (file === undefined) throw untrusted('RFO_MERGE_LIST', `names no list ${kind} with a SHA-256`, where)
    lists.push({ kind, text: unpacked(await read(file.href, file.digest), file.href) })
  }
  const entries = await repositoryEntries(lists)
  for (const { href, pkgid } of entries) {
    const { digest } = await hashFile(join(folder, href), false).catch((cause) => {
      throw untrusted('RFO_MERGE_PACKAGE', `its lists name it: ${(cause as Error).message}`, join(folder, href))
    })
    if (hex(digest) !== pkgid) throw untrusted('RFO_MERGE_PACKAGE', 'is not what the lists say', join(folder, href))
  }
  const more: string[] = []
  for (const data of await elements('repomd.xml', index.toString('utf8'), 'data')) {
    const [, kind = ''] = /^<data type="([a-z0-9_-]+)"/.exec(data) ?? []
    // of the three lists in other forms: sqlite, zchunk
    if ([...repositoryKinds, 'updateinfo'].some((own) => kind === own || kind.startsWith(`${own}_`))) continue
    const file = repomd.files.get(kind)
    if (file === undefined) throw untrusted('RFO_MERGE_LIST', `names a list ${kind} without a SHA-256`, where)
    await read(file.href, file.digest)
    more.push(data)
  }
  return {
    entries,
    advisories: await advisoriesOf(lists),
    more,
    revision: /^\d{1,10}$/.test(repomd.revision) ? Number(repomd.revision) : 0,
  }
}

async function checkSignature(where: string, index: Buffer, key: PgpPublicKey): Promise<void> {
  const signature = await readSmall(`${where}.asc`, maxRepositoryList, `${where}.asc`)
  try {
    if (signature === undefined) throw untrusted('RFO_MERGE_SIGNATURE', 'nobody has signed it')
    await verifyDetached(signature.toString('utf8'), index, key)
  } catch (cause) {
    throw new RfoError('RFO_MERGE_SIGNATURE', 'the repository that is there is not signed by this key', {
      exit: 'untrusted',
      where,
      cause,
      next: 'look at what lies there, then give --adopt to sign it with what is added',
    })
  }
}

function unpacked(bytes: Buffer, where: string): string {
  const limits = { maxOutputLength: maxRepositoryList }
  try {
    if (where.endsWith('.gz')) return gunzipSync(bytes, limits).toString('utf8')
    if (where.endsWith('.zst')) return zstdDecompressSync(bytes, limits).toString('utf8')
    if (where.endsWith('.xml')) return bytes.toString('utf8')
  } catch {
    throw untrusted('RFO_MERGE_LIST', "can't be unpacked", where)
  }
  throw new RfoError('RFO_MERGE_LIST', 'lists are read as .xml, .gz and .zst', {
    exit: 'usage',
    where,
    next: 'createrepo_c --update --general-compress-type=gz',
  })
}

/** That file, or nothing. Throws RFO_MERGE_TAKEN for another one. */
async function isThere(into: string, { path, digest }: ReleaseFile): Promise<boolean> {
  const hashed = await hashFile(join(into, path), false).catch((thrown) => {
    if (((thrown as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined
    throw thrown
  })
  if (hashed === undefined) return false
  if (hashed.digest === digest) return true
  throw new RfoError('RFO_MERGE_TAKEN', 'another file is there', {
    exit: 'condition',
    where: join(into, path),
    next: 'merge into another folder',
  })
}

/** Every key that signs something there: whoever merges may be another one than who signed the packages. */
async function keyText({ files, into, key }: MergeRequest): Promise<string> {
  const where = join(into, keyPaths.rpm)
  let text = (await readSmall(where, maxRepositoryList, where))?.toString('utf8') ?? ''
  const own = files.files.find(({ path }) => path === keyPaths.rpm)
  const release = own === undefined ? [] : [(await gather(files.open(own))).toString('utf8')]
  for (const each of [...release, key.publicKey.armored]) if (!text.includes(each.trim())) text += each
  return text
}
