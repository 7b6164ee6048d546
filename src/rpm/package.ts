/**
 * One package, as data: the .rpm and the .spec both come from it, so that they can't drift apart. Times are not in it:
 * whoever writes a file gives the release's epoch.
 */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { architectures, type PlatformName, platformOf } from '../oci/platform.ts'

/** RPM's own spelling; see the platform table. */
export type RpmArch = (typeof architectures)[keyof typeof architectures]['rpm'] | 'noarch'

export const scriptNames = ['pre', 'post', 'preun', 'postun', 'posttrans'] as const
export type ScriptName = (typeof scriptNames)[number]

/** https://rpm-software-management.github.io/rpm/manual/dependencies.html */
export interface Dependency {
  readonly name: string
  /** absent = any version; `version` is `[epoch:]version[-release]` */
  readonly is?: { readonly relation: '<' | '<=' | '=' | '>=' | '>'; readonly version: string }
  /** The scriptlet that needs it, as in `Requires(post)`. Of a requirement alone. */
  readonly script?: ScriptName
}

/** Plain replacements, each everywhere in the file and in this order. Both are free of `|`, `\`, `&` and regular expressions' signs. */
export type Edit = readonly [from: string, to: string]

interface At {
  /** absolute */
  readonly path: string
}

/** Owner and group are root. Modes are permission bits. */
export type PackageFile =
  | (At & {
      readonly kind: 'file'
      readonly mode: number
      /** the bytes as installed; the digest that rpm checks a file with is this one */
      readonly content: Descriptor
      /** where the bytes lie in the source archive, before `edits` */
      readonly source: string
      readonly edits?: readonly Edit[]
      /** https://rpm-software-management.github.io/rpm/manual/spec.html#config; `noreplace` keeps what an administrator changed */
      readonly mark?: 'config' | 'config(noreplace)' | 'doc' | 'license'
    })
  /** `ghost`: owned, but made by others at run time */
  | (At & { readonly kind: 'directory'; readonly mode: number; readonly ghost?: true })
  | (At & { readonly kind: 'symlink'; readonly target: string })
  | (At & { readonly kind: 'ghost'; readonly mode: number })

export interface ChangeEntry {
  /** YYYY-MM-DD */
  readonly date: string
  /** `Name <mail>` */
  readonly author: string
  /** one a line, without the dash */
  readonly changes: readonly string[]
}

export interface RpmPackage {
  readonly name: string
  /** absent is not 0: rpm shows them differently */
  readonly epoch?: number
  readonly version: string
  readonly release: string
  readonly arch: RpmArch
  readonly summary: string
  readonly description: string
  /** SPDX expression */
  readonly license: string
  readonly url: string
  readonly vendor: string
  /** `Name <mail>` */
  readonly packager: string
  readonly files: readonly PackageFile[]
  readonly requires: readonly Dependency[]
  readonly provides: readonly Dependency[]
  readonly conflicts: readonly Dependency[]
  readonly obsoletes: readonly Dependency[]
  /** run by /bin/sh; `$1` is how many of this package will be there afterwards */
  readonly scripts: Readonly<Partial<Record<ScriptName, string>>>
  /** newest first */
  readonly changelog: readonly ChangeEntry[]
  /**
   * File names of what holds a `source`, one an architecture that the package is made for: an archive (`.tar.gz`), or the one file
   * itself, whose `source` is its name without `.linux-<arch>`; null = it is made of loose files alone.
   */
  readonly archives: Readonly<Partial<Record<RpmArch, string | null>>>
  /** Files beside them, of every architecture: each is a `source` as it lies. */
  readonly loose?: readonly string[]
}

/** Of all files that its spec names as sources. */
export function sourceNames({ archives, loose = [] }: RpmPackage): readonly string[] {
  return [...Object.values(archives).filter((name) => name !== null), ...loose]
}

/** `kube-explorer` of `kube-explorer.linux-amd64`; undefined: it is an archive. */
export function plainSource(archive: string): string | undefined {
  return archive.endsWith('.tar.gz') ? undefined : archive.replace(/\.linux-[a-z0-9]+/, '')
}

export function rpmArch(platform: PlatformName): RpmArch {
  return architectures[platformOf(platform).architecture].rpm
}

/** The table's row of an RPM architecture; undefined = noarch. */
export function rowOf(arch: RpmArch): (typeof architectures)[keyof typeof architectures] | undefined {
  return Object.values(architectures).find((row) => row.rpm === arch)
}

/** `[epoch:]version-release` */
export function evrOf(pkg: RpmPackage): string {
  return `${pkg.epoch === undefined ? '' : `${pkg.epoch}:`}${pkg.version}-${pkg.release}`
}

/** `name-version-release.arch.rpm`; the epoch is never in a file name. */
export function rpmFileName(pkg: RpmPackage): string {
  return `${pkg.name}-${pkg.version}-${pkg.release}.${pkg.arch}.rpm`
}

/** By path, in bytes: rpm searches a header's files in that order. */
export function sortedFiles(pkg: RpmPackage): readonly PackageFile[] {
  return [...pkg.files].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/** seconds; rpmbuild puts an entry of the changelog at noon UTC */
export function changeTime(entry: ChangeEntry): number {
  return Date.parse(`${entry.date}T12:00:00Z`) / 1000
}

const nameForm = /^[A-Za-z0-9_][A-Za-z0-9._+-]*$/
/** https://rpm-software-management.github.io/rpm/manual/spec.html#version */
const versionForm = /^[A-Za-z0-9._+~^]+$/
/** What needs no quoting in a spec's list of files or in a shell. */
const pathForm = /^(\/[A-Za-z0-9._+@-]+)+$/
const dependencyForm = /^[A-Za-z0-9_/][A-Za-z0-9._+/():@-]*$/
const evrForm = /^([0-9]+:)?[A-Za-z0-9._+~^]+(-[A-Za-z0-9._+~^]+)?$/
const editForm = /^[A-Za-z0-9/_=-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const lineForm = /^[^\x00-\x1f\x7f]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same, with line breaks and tabs let through
const textForm = /^[^\x00-\x08\x0b-\x1f\x7f]*$/

/** Throws RFO_RPM_PACKAGE for what a header or a spec can't carry, or would read as something else. */
export function checkPackage(pkg: RpmPackage): void {
  const must = (holds: boolean, what: string): void => {
    if (!holds) throw new RfoError('RFO_RPM_PACKAGE', what, { exit: 'bug', where: `package ${pkg.name.slice(0, 100)}` })
  }
  must(nameForm.test(pkg.name), 'its name is none that rpm takes')
  for (const version of [pkg.version, pkg.release]) must(versionForm.test(version), `${JSON.stringify(version)} is no version or release`)
  must(pkg.epoch === undefined || (Number.isSafeInteger(pkg.epoch) && pkg.epoch >= 0 && pkg.epoch < 2 ** 31), 'its epoch is no number')
  for (const key of ['summary', 'license', 'url', 'vendor', 'packager'] as const) must(lineForm.test(pkg[key]), `${key} is not one line`)
  for (const text of [pkg.description, ...Object.values(pkg.scripts)]) must(textForm.test(text), 'a text has control characters')
  for (const dependency of [...pkg.requires, ...pkg.provides, ...pkg.conflicts, ...pkg.obsoletes]) {
    must(dependencyForm.test(dependency.name), `${JSON.stringify(dependency.name)} is no capability`)
    must(dependency.is === undefined || evrForm.test(dependency.is.version), `${dependency.name}: no version`)
  }
  for (const { date, author, changes } of pkg.changelog) {
    must(/^\d{4}-\d{2}-\d{2}$/.test(date) && !Number.isNaN(Date.parse(`${date}T12:00:00Z`)), `${JSON.stringify(date)} is no date`)
    must(
      [author, ...changes].every((line) => lineForm.test(line)),
      'a line of its changelog is not one line',
    )
  }
  for (const name of sourceNames(pkg)) must(nameForm.test(name), `${JSON.stringify(name)} is no name of a source`)
  const paths = new Set<string>()
  for (const file of pkg.files) {
    const clean = pathForm.test(file.path) && !/\/\.\.?(\/|$)/.test(file.path)
    must(clean && file.path.length < 4096, `${JSON.stringify(file.path.slice(0, 200))} is no path that a package may have`)
    must(!paths.has(file.path), `${file.path} comes twice`)
    paths.add(file.path)
    if (file.kind === 'symlink') must(/^[A-Za-z0-9._+@/-]+$/.test(file.target), `${file.path} points at a strange place`)
    else must(Number.isInteger(file.mode) && file.mode >= 0 && file.mode <= 0o7777, `${file.path} has no mode`)
    if (file.kind !== 'file') continue
    must(pathForm.test(`/${file.source}`) && !/(^|\/)\.\.?(\/|$)/.test(file.source), `${file.path} comes from no place in an archive`)
    must(
      (file.edits ?? []).every((edit) => edit.every((text) => editForm.test(text))),
      `${file.path} has an edit that sed would read differently`,
    )
  }
}
