/** One package in each of a repository's three lists, from its model and from where it lies. */
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import { archivedSize, bareName, cpioSize, isGhost } from './cpio.ts'
import { type HeaderDependency, plain, providesOf, requiresOf, sense } from './dependencies.ts'
import { type PackageFile, type RpmPackage, rpmFileName, sortedFiles } from './package.ts'
import type { Compression } from './payload.ts'
import { changelogOf, installedSize, sourceRpmName } from './tags.ts'
import { parseEvr } from './vercmp.ts'

export interface Listed {
  readonly pkg: RpmPackage
  readonly rpm: Descriptor
  readonly extent: { readonly headerStart: number; readonly headerEnd: number }
  readonly compression: Compression
  /** of its source, which it is then: what lies in it */
  readonly source?: readonly PackageFile[]
}

/** What the lists say of a package, and otherwise of its source: which gives nothing and, where nothing is compiled, needs nothing. */
function saidOf({ pkg, source, compression }: Listed) {
  if (source !== undefined)
    return {
      ...{ arch: 'src', path: sourcePath(pkg), sourceRpm: '', own: [], needed: [], conflicts: [], obsoletes: [] },
      installed: source.reduce((sum, file) => sum + archivedSize(file), 0),
      archive: cpioSize(source, bareName),
      files: source.map((file) => ({ ...file, path: bareName(file) })),
    }
  const [files, own] = [sortedFiles(pkg), providesOf(pkg)]
  return {
    ...{ arch: pkg.arch, path: packagePath(pkg), installed: installedSize(pkg), archive: cpioSize(files), files, own },
    sourceRpm: sourceRpmName(pkg),
    needed: requiresOf(pkg, compression).filter((each) => !isKnownAnyway(each, own)),
    conflicts: pkg.conflicts.map(plain),
    obsoletes: pkg.obsoletes.map(plain),
  }
}

/** Where a package lies in its repository. */
export function packagePath(pkg: RpmPackage): string {
  return `Packages/${rpmFileName(pkg)}`
}

export function sourcePath(pkg: RpmPackage): string {
  return `Packages/${sourceRpmName(pkg)}`
}

export function primaryEntry(listed: Listed, epoch: number): string {
  const { pkg, rpm, extent } = listed
  const { arch, path, installed, archive, files, own, needed, conflicts, obsoletes, sourceRpm } = saidOf(listed)
  return `<package type="rpm">
  <name>${xmlText(pkg.name)}</name>
  <arch>${arch}</arch>
  ${versionOf(pkg)}
  <checksum type="sha256" pkgid="YES">${hex(rpm.digest)}</checksum>
  <summary>${xmlText(pkg.summary)}</summary>
  <description>${xmlText(pkg.description)}</description>
  <packager>${xmlText(pkg.packager)}</packager>
  <url>${xmlText(pkg.url)}</url>
  <time file="${epoch}" build="${epoch}"/>
  <size package="${rpm.size}" installed="${installed}" archive="${archive}"/>
  <location href="${xmlText(path)}"/>
  <format>
    <rpm:license>${xmlText(pkg.license)}</rpm:license>
    <rpm:vendor>${xmlText(pkg.vendor)}</rpm:vendor>
    <rpm:group>Unspecified</rpm:group>
    <rpm:buildhost>reproducible</rpm:buildhost>
    <rpm:sourcerpm>${xmlText(sourceRpm)}</rpm:sourcerpm>
    <rpm:header-range start="${extent.headerStart}" end="${extent.headerEnd}"/>
${dependencies('provides', own)}${dependencies('requires', needed)}${dependencies('conflicts', conflicts)}${dependencies('obsoletes', obsoletes)}${files
  .filter(isPrimary)
  .map((file) => `    ${fileElement(file)}`)
  .join('')}  </format>
</package>`
}

export function filelistsEntry(listed: Listed): string {
  return `${head(listed)}\n${saidOf(listed)
    .files.map((file) => `  ${fileElement(file)}`)
    .join('')}</package>`
}

/** createrepo_c keeps ten entries, and writes the oldest of them first. */
export function otherEntry(listed: Listed): string {
  const entries = changelogOf(listed.pkg)
    .slice(0, 10)
    .reverse()
    .map(
      ({ time, author, lines }) =>
        `  <changelog author="${xmlText(author).replaceAll('"', '&quot;')}" date="${time}">${xmlText(lines)}</changelog>\n`,
    )
  return `${head(listed)}\n${entries.join('')}</package>`
}

function head({ pkg, rpm, source }: Listed): string {
  return `<package pkgid="${hex(rpm.digest)}" name="${xmlText(pkg.name)}" arch="${source === undefined ? pkg.arch : 'src'}">\n  ${versionOf(pkg)}`
}

function versionOf(pkg: RpmPackage): string {
  return `<version epoch="${pkg.epoch ?? 0}" ver="${xmlText(pkg.version)}" rel="${xmlText(pkg.release)}"/>`
}

/** rpmlib is what rpm itself brings, and what a package provides itself nobody has to look for. */
function isKnownAnyway(needed: HeaderDependency, own: readonly HeaderDependency[]): boolean {
  if ((needed.flags & sense.rpmlib) !== 0) return true
  const relation = (each: HeaderDependency): number => each.flags & (sense.less | sense.greater | sense.equal)
  return own.some((each) => each.name === needed.name && each.version === needed.version && relation(each) === relation(needed))
}

const relationNames: Readonly<Record<number, string>> = { 2: 'LT', 4: 'GT', 8: 'EQ', 10: 'LE', 12: 'GE' }
/** of `Requires(pre)`, `Requires(post)` and a scriptlet's program: legacy prerequisite, interpreter aside */
const beforeInstalling = (1 << 6) | (1 << 9) | (1 << 10)

function dependencies(element: string, all: readonly HeaderDependency[]): string {
  const lines = all.map((each) => {
    const relation = relationNames[each.flags & (sense.less | sense.greater | sense.equal)]
    const { epoch, version, release } = parseEvr(each.version)
    const rel = release === undefined ? '' : ` rel="${xmlText(release)}"`
    const is = relation === undefined ? '' : ` flags="${relation}" epoch="${epoch}" ver="${xmlText(version)}"${rel}`
    const pre = element === 'requires' && (each.flags & beforeInstalling) !== 0 ? ' pre="1"' : ''
    return `      <rpm:entry name="${xmlText(each.name)}"${is}${pre}/>\n`
  })
  // createrepo_c compares each with the last one of its name; all of a name stand together
  const once = lines.filter((line, n) => line !== lines[n - 1])
  return once.length === 0 ? '' : `    <rpm:${element}>\n${once.join('')}    </rpm:${element}>\n`
}

/** The files that a dependency may name without dnf loading the long list. */
function isPrimary({ path }: Pick<PackageFile, 'path'>): boolean {
  return path.startsWith('/etc/') || path.includes('bin/') || path === '/usr/lib/sendmail'
}

function fileElement(file: PackageFile): string {
  const type = file.kind === 'directory' ? ' type="dir"' : isGhost(file) ? ' type="ghost"' : ''
  return `<file${type}>${xmlText(file.path)}</file>\n`
}

export function xmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
