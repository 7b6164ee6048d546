/** The source of a package as an RPM: its spec and every file that the spec names, which rpmbuild --rebuild makes the package of. */
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { archivedSize, bareName, cpio, cpioSize } from './cpio.ts'
import { sourceRequiresOf } from './dependencies.ts'
import { numbers, tags, text, texts } from './header.ts'
import { checkPackage, type PackageFile, type RpmPackage, sourceNames } from './package.ts'
import { renderSpec } from './spec.ts'
import { commonEntries, dependencyEntries, fileEntries } from './tags.ts'
import { lead, type WriteRpmOptions, type WrittenRpm, writeParts } from './write.ts'

/** rpmfiles.h: rpm looks for the spec by this mark */
const specFlag = 32

/** `sources`: by their names in the spec; what lies in it is given back. Throws RFO_RPM_BUNDLE for one that is not there. */
export async function writeSourceRpm(
  pkg: RpmPackage,
  sources: ReadonlyMap<string, Descriptor>,
  store: ContentStore,
  options: WriteRpmOptions,
): Promise<WrittenRpm & { readonly source: readonly PackageFile[] }> {
  checkPackage(pkg)
  const { epoch, compression, signal } = options
  const spec = `${pkg.name}.spec`
  const names = [...sourceNames(pkg)].sort()
  const file = (name: string, content: Descriptor): PackageFile => ({ kind: 'file', path: `/${name}`, source: name, mode: 0o644, content })
  const files = [file(spec, await pushBytes(store, mediaTypes.octets, renderSpec(pkg)))]
  for (const name of names) {
    const content = sources.get(name)
    if (content === undefined) throw new RfoError('RFO_RPM_BUNDLE', `no source ${name} of ${pkg.name}`, { exit: 'build' })
    files.push(file(name, content))
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  const archs = Object.keys(pkg.archives).sort()
  const written = await writeParts(
    {
      lead: lead({ ...pkg, arch: 'noarch' }, 1),
      archive: cpio(files, store, epoch, signal, bareName),
      archiveSize: cpioSize(files, bareName),
      name: `the source of ${pkg.name}`,
      entries: (payload) => [
        ...commonEntries(pkg, payload, compression, epoch),
        [tags.size, numbers([files.reduce((sum, each) => sum + archivedSize(each), 0)])],
        // a source is of no architecture, wherever it was packed
        [tags.arch, text('noarch')],
        [tags.platform, text('noarch-linux')],
        [tags.source, texts(names)],
        [tags.sourcePackage, numbers([1])],
        ...(pkg.arch === 'noarch' ? [[tags.buildArchs, texts(['noarch'])] as const] : [[tags.exclusiveArch, texts(archs)] as const]),
        ...dependencyEntries(sourceRequiresOf(pkg, compression), tags.requireName, tags.requireFlags, tags.requireVersion),
        ...fileEntries(
          files,
          epoch,
          () => '',
          (each) => (each.path === `/${spec}` ? specFlag : 0),
        ),
      ],
    },
    store,
    options,
  )
  return { ...written, source: files }
}
