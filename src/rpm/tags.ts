/** A package as the entries of its main header. */
import { hex } from '../oci/digest.ts'
import { archivedSize, fullMode, isGhost } from './cpio.ts'
import { type HeaderDependency, plain, providesOf, requiresOf } from './dependencies.ts'
import { type Entry, numbers, sha256Number, tags, text, texts } from './header.ts'
import { changeTime, evrOf, type PackageFile, type RpmPackage, type ScriptName, scriptNames, sortedFiles } from './package.ts'
import { type Compression, compressionLevels, type PayloadSums } from './payload.ts'

/** Tag of the scriptlet's text, and of the program that runs it. */
const scriptTags: Readonly<Record<ScriptName, readonly [number, number]>> = {
  pre: [1023, 1085],
  post: [1024, 1086],
  preun: [1025, 1087],
  postun: [1026, 1088],
  posttrans: [1152, 1154],
}

/** https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/include/rpm/rpmfiles.h, rpmfileAttrs */
const markFlags = { config: 1, doc: 2, 'config(noreplace)': 1 | 16, license: 128 } as const
const ghostFlag = 64

/** What `rpm -V` looks at: everything; of what others make, neither digest, size, link nor time. */
const verifyAll = 0xffffffff
const verifyGhost = 0xffffffff - 0b100111

export function headerEntries(pkg: RpmPackage, payload: PayloadSums, compression: Compression, epoch: number): readonly Entry[] {
  return [
    ...commonEntries(pkg, payload, compression, epoch),
    [tags.size, numbers([installedSize(pkg)])],
    [tags.arch, text(pkg.arch)],
    // its presence is what makes a package a binary one
    [tags.sourceRpm, text(sourceRpmName(pkg))],
    [tags.platform, text(`${pkg.arch}-linux`)],
    ...scriptEntries(pkg),
    ...dependencyEntries(providesOf(pkg), tags.provideName, tags.provideFlags, tags.provideVersion),
    ...dependencyEntries(requiresOf(pkg, compression), tags.requireName, tags.requireFlags, tags.requireVersion),
    ...dependencyEntries(pkg.conflicts.map(plain), tags.conflictName, tags.conflictFlags, tags.conflictVersion),
    ...dependencyEntries(pkg.obsoletes.map(plain), tags.obsoleteName, tags.obsoleteFlags, tags.obsoleteVersion),
    ...fileEntries(sortedFiles(pkg), epoch, (file) => file.path.slice(0, file.path.lastIndexOf('/') + 1), flagsOf),
  ]
}

/** What the package and its source say alike. */
export function commonEntries(pkg: RpmPackage, payload: PayloadSums, compression: Compression, epoch: number): readonly Entry[] {
  return [
    [tags.headerI18nTable, texts(['C'])],
    [tags.name, text(pkg.name)],
    [tags.version, text(pkg.version)],
    [tags.release, text(pkg.release)],
    ...(pkg.epoch === undefined ? [] : [[tags.epoch, numbers([pkg.epoch])] as const]),
    [tags.summary, { type: 'i18n', texts: [pkg.summary] }],
    [tags.description, { type: 'i18n', texts: [pkg.description] }],
    [tags.buildTime, numbers([epoch])],
    // whoever asks for a host's name must get the same one everywhere
    [tags.buildHost, text('reproducible')],
    [tags.vendor, text(pkg.vendor)],
    [tags.license, text(pkg.license)],
    [tags.packager, text(pkg.packager)],
    // rpmbuild's word where a spec has no Group, and openEuler's specs have none
    [tags.group, { type: 'i18n', texts: ['Unspecified'] }],
    [tags.url, text(pkg.url)],
    [tags.os, text('linux')],
    // the version whose form this is
    [tags.rpmVersion, text('4.18.0')],
    [tags.encoding, text('utf-8')],
    [tags.changelogTime, numbers(pkg.changelog.map(changeTime))],
    [tags.changelogName, texts(changelogOf(pkg).map(({ author }) => author))],
    [tags.changelogText, texts(changelogOf(pkg).map(({ lines }) => lines))],
    [tags.payloadFormat, text('cpio')],
    [tags.payloadCompressor, text(compression)],
    [tags.payloadFlags, text(String(compressionLevels[compression]))],
    [tags.payloadDigest, texts([hex(payload.packed)])],
    [tags.payloadDigestAlgorithm, numbers([sha256Number])],
    [tags.payloadDigestAlt, texts([hex(payload.plain)])],
  ]
}

/** bytes on a disk, of files alone */
export function installedSize(pkg: RpmPackage): number {
  return pkg.files.reduce((sum, file) => sum + (isGhost(file) ? 0 : archivedSize(file)), 0)
}

export function sourceRpmName(pkg: RpmPackage): string {
  return `${pkg.name}-${pkg.version}-${pkg.release}.src.rpm`
}

/** The changelog in the header's words: who and for which version, and the lines with their dashes. */
export function changelogOf(pkg: RpmPackage): readonly { readonly time: number; readonly author: string; readonly lines: string }[] {
  return pkg.changelog.map((entry, n) => ({
    time: changeTime(entry),
    // older entries have their own versions in their authors' line already, or none
    author: n === 0 ? `${entry.author} - ${evrOf(pkg)}` : entry.author,
    lines: entry.changes.map((line) => `- ${line}`).join('\n'),
  }))
}

function scriptEntries(pkg: RpmPackage): readonly Entry[] {
  return scriptNames.flatMap((name): readonly Entry[] => {
    const script = pkg.scripts[name]
    const [body, program] = scriptTags[name]
    return script === undefined
      ? []
      : [
          [body, text(script)],
          [program, text('/bin/sh')],
        ]
  })
}

export function dependencyEntries(all: readonly HeaderDependency[], name: number, flags: number, version: number): readonly Entry[] {
  return [
    [name, texts(all.map((each) => each.name))],
    [flags, numbers(all.map((each) => each.flags))],
    [version, texts(all.map((each) => each.version))],
  ]
}

/** `folder` ends with a slash, and is a part of the path; a source has none. */
export function fileEntries(
  files: readonly PackageFile[],
  epoch: number,
  folder: (file: PackageFile) => string,
  flags: (file: PackageFile) => number,
): readonly Entry[] {
  if (files.length === 0) return []
  const folders = [...new Set(files.map(folder))]
  const root = texts(files.map(() => 'root'))
  return [
    [tags.fileSizes, numbers(files.map(archivedSize))],
    [tags.fileModes, { type: 'int16', values: files.map(fullMode) }],
    [tags.fileRdevs, { type: 'int16', values: files.map(() => 0) }],
    [tags.fileMtimes, numbers(files.map(() => epoch))],
    [tags.fileDigests, texts(files.map((file) => (file.kind === 'file' ? hex(file.content.digest) : '')))],
    [tags.fileLinktos, texts(files.map((file) => (file.kind === 'symlink' ? file.target : '')))],
    [tags.fileFlags, numbers(files.map(flags))],
    [tags.fileUserName, root],
    [tags.fileGroupName, root],
    [tags.fileVerifyFlags, numbers(files.map((file) => (isGhost(file) ? verifyGhost : verifyAll)))],
    [tags.fileDevices, numbers(files.map(() => 1))],
    [tags.fileInodes, numbers(files.map((_, n) => n + 1))],
    [tags.fileLangs, texts(files.map(() => ''))],
    [tags.dirIndexes, numbers(files.map((file) => folders.indexOf(folder(file))))],
    [tags.baseNames, texts(files.map((file) => file.path.slice(Math.max(1, folder(file).length))))],
    [tags.dirNames, texts(folders)],
    [tags.fileDigestAlgorithm, numbers([sha256Number])],
  ]
}

function flagsOf(file: PackageFile): number {
  if (isGhost(file)) return ghostFlag
  return file.kind === 'file' && file.mark !== undefined ? markFlags[file.mark] : 0
}
