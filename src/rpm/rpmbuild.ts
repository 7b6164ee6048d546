/**
 * A package made by the real rpmbuild, of its spec and the release's own files, and held against the model: what comes out says what
 * the writer would have said, or it is an error.
 */
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester } from '../oci/digest.ts'
import { cpio } from './cpio.ts'
import { rpmExtent } from './extent.ts'
import { encodeHeader, tags } from './header.ts'
import { readHeader } from './install/read-header.ts'
import { type RpmPackage, rpmFileName, sortedFiles, sourceNames } from './package.ts'
import { type Compression, compressionLevels } from './payload.ts'
import { refront, rpmFront } from './sign.ts'
import { renderSpec } from './spec.ts'
import { headerEntries } from './tags.ts'
import type { WriteRpmOptions, WrittenRpm } from './write.ts'

export interface RpmbuildOptions extends WriteRpmOptions {
  readonly workDir: string
  /** its PATH finds rpmbuild */
  readonly env: Readonly<Record<string, string>>
  readonly line?: (line: string) => void
}

const rpmIo: Readonly<Record<Compression, string>> = { gzip: 'gzdio', zstd: 'zstdio' }

/** Paths stand in macros, where nothing quotes them. */
const plainPath = /^[A-Za-z0-9/._+-]+$/

/** `RPM version 4.18.0`: decides the bytes. Throws RFO_EXEC_ABSENT. */
export async function rpmbuildVersion(env: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string> {
  const { stdout } = await exec(['rpmbuild', '--version'], { env: childEnv(env, '/'), exit: 'machine', ...(signal && { signal }) })
  return stdout.toString('utf8').trim()
}

/**
 * Pushes the RPM, unsigned, with room for a signature as writeRpm keeps it. `sources`: by their names in the spec, those of the
 * package's own architecture. Throws RFO_EXEC_ABSENT, RFO_EXEC_FAILED, RFO_RPM_BUNDLE, RFO_RPM_RPMBUILD.
 */
export async function buildRpm(
  pkg: RpmPackage,
  sources: ReadonlyMap<string, Descriptor>,
  store: ContentStore,
  options: RpmbuildOptions,
): Promise<WrittenRpm> {
  const { workDir, env, signal, line, compression, epoch } = options
  await mkdir(workDir, { recursive: true })
  const folder = await mkdtemp(join(workDir, 'rpmbuild-'))
  try {
    if (!plainPath.test(folder))
      throw new RfoError('RFO_RPM_RPMBUILD', 'rpmbuild takes no folder with such a name', {
        exit: 'machine',
        where: folder,
        next: 'choose another --store, or --rpm-backend embedded',
      })
    await writeSources(pkg, sources, store, join(folder, 'SOURCES'), options)
    const spec = join(folder, `${pkg.name}.spec`)
    await writeFile(spec, renderSpec(pkg))
    const macros = {
      _topdir: folder,
      _rpmformat: '4',
      _buildhost: 'reproducible',
      _binary_payload: `w${compressionLevels[compression]}.${rpmIo[compression]}`,
      _binary_filedigest_algorithm: '8',
      use_source_date_epoch_as_buildtime: '1',
      clamp_mtime_to_source_date_epoch: '1',
      build_mtime_policy: 'clamp_to_source_date_epoch',
    }
    const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`])
    await exec(['rpmbuild', '-bb', '--nodeps', '--target', `${pkg.arch}-linux`, ...defines, spec], {
      cwd: folder,
      env: { ...childEnv(env, folder), SOURCE_DATE_EPOCH: String(epoch) },
      exit: 'build',
      ...(signal && { signal }),
      ...(line && { line }),
    })
    const made = join(folder, 'RPMS', pkg.arch, rpmFileName(pkg))
    await compare(pkg, made, store, options)
    const rpm = await refront(() => createReadStream(made), store)
    return { rpm, unsigned: (await rpmExtent(rpm, store, signal)).unsigned }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Nothing of whoever runs it: no ~/.rpmmacros, no language, no place. */
function childEnv(env: Readonly<Record<string, string>>, home: string): Record<string, string> {
  return { PATH: env['PATH'] ?? '', HOME: home, LC_ALL: 'C', TZ: 'UTC' }
}

async function writeSources(
  pkg: RpmPackage,
  sources: ReadonlyMap<string, Descriptor>,
  store: ContentStore,
  folder: string,
  { epoch, signal }: RpmbuildOptions,
): Promise<void> {
  await mkdir(folder)
  const others = Object.entries(pkg.archives).flatMap(([arch, name]) => (arch === pkg.arch ? [] : [name]))
  for (const name of sourceNames(pkg)) {
    const file = join(folder, name)
    const content = sources.get(name)
    // rpmbuild wants every source to be there; those of another architecture its %ifarch leaves alone
    if (others.includes(name)) await writeFile(file, '')
    else if (content === undefined) throw new RfoError('RFO_RPM_BUNDLE', `no source ${name} of ${pkg.name}`, { exit: 'build' })
    else await writeFile(file, store.fetch(content, signal))
    await utimes(file, epoch, epoch)
  }
}

/** What depends on which rpm it is and which zlib, and what no installation asks for. */
const itsOwn: ReadonlySet<number> = new Set([tags.rpmVersion, tags.payloadDigest, tags.platform])

async function compare(pkg: RpmPackage, made: string, store: ContentStore, options: RpmbuildOptions): Promise<void> {
  const { epoch, compression, signal } = options
  const { header } = await rpmFront(createReadStream(made))
  const plain = createDigester()
  for await (const bytes of cpio(sortedFiles(pkg), store, epoch, signal)) plain.update(bytes)
  const archive = plain.finish()
  const theirs = readHeader(header)
  const entries = headerEntries(pkg, { plain: archive, packed: archive }, compression, epoch)
  const ours = readHeader(encodeHeader(tags.headerImmutable, entries))
  const odd = Object.entries(tags).filter(
    ([, tag]) => tag > tags.headerI18nTable && !itsOwn.has(tag) && !isDeepStrictEqual(ours.raw(tag), theirs.raw(tag)),
  )
  if (odd.length > 0)
    throw new RfoError('RFO_RPM_RPMBUILD', `rpmbuild made another package of the spec: ${odd.map(([name]) => name).join(', ')}`, {
      exit: 'build',
      where: rpmFileName(pkg),
      next: 'see what /etc/rpm of this machine changes, or use --rpm-backend embedded',
    })
}
