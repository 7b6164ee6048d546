/**
 * What a header says that a package gives and needs: the model's own words, and what rpmbuild adds to every package. No
 * file is looked into: what a program needs besides, the model names.
 */

import { type Dependency, evrOf, type RpmPackage, rowOf, type ScriptName, scriptNames } from './package.ts'
import type { Compression } from './payload.ts'

export interface HeaderDependency {
  readonly name: string
  /** '' = any */
  readonly version: string
  readonly flags: number
}

/** https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/include/rpm/rpmds.h, rpmsenseFlags */
export const sense = { less: 2, greater: 4, equal: 8, interpreter: 1 << 8, rpmlib: 1 << 24 } as const
const relations = { '<': 2, '<=': 10, '=': 8, '>=': 12, '>': 4 } as const
const scriptSense: Readonly<Record<ScriptName, number>> = { pre: 1 << 9, post: 1 << 10, preun: 1 << 11, postun: 1 << 12, posttrans: 1 << 5 }

export function plain(dependency: Dependency): HeaderDependency {
  const flags = dependency.is === undefined ? 0 : relations[dependency.is.relation]
  return {
    name: dependency.name,
    version: dependency.is?.version ?? '',
    flags: flags | (dependency.script === undefined ? 0 : scriptSense[dependency.script]),
  }
}

/** Itself first, with and without its instruction set, as dnf and `Requires: name%{_isa}` look for it. */
export function providesOf(pkg: RpmPackage): readonly HeaderDependency[] {
  const own = { version: evrOf(pkg), flags: sense.equal }
  const isa = rowOf(pkg.arch)?.isa ?? ''
  return ordered([...pkg.provides.map(plain), { name: pkg.name, ...own }, ...(isa === '' ? [] : [{ name: `${pkg.name}(${isa})`, ...own }])])
}

/** Of a source that is unpacked: its files lie together, without a prefix. */
export function sourceRequiresOf(pkg: RpmPackage, compression: Compression): readonly HeaderDependency[] {
  return rpmlibOf(pkg, compression).filter(({ name }) => name !== 'rpmlib(PayloadFilesHavePrefix)')
}

export function requiresOf(pkg: RpmPackage, compression: Compression): readonly HeaderDependency[] {
  const scripts = scriptNames.filter((name) => pkg.scripts[name] !== undefined)
  const shells = scripts.map((name) => ({ name: '/bin/sh', version: '', flags: sense.interpreter | scriptSense[name] }))
  return ordered([...pkg.requires.map(plain), ...shells, ...rpmlibOf(pkg, compression)])
}

/** What the rpm that installs the package must itself be able to do. */
function rpmlibOf(pkg: RpmPackage, compression: Compression): readonly HeaderDependency[] {
  const versions = [pkg.version, pkg.release, ...[...pkg.requires, ...pkg.provides, ...pkg.conflicts].map((each) => each.is?.version ?? '')]
  const has = (sign: string): boolean => versions.some((version) => version.includes(sign))
  const features: readonly (readonly [string, string])[] = [
    ...(has('^') ? [['CaretInVersions', '4.15.0-1'] as const] : []),
    ['CompressedFileNames', '3.0.4-1'],
    ['FileDigests', '4.6.0-1'],
    ['PayloadFilesHavePrefix', '4.0-1'],
    ...(compression === 'zstd' ? [['PayloadIsZstd', '5.4.18-1'] as const] : []),
    ...(has('~') ? [['TildeInVersions', '4.10.0-1'] as const] : []),
  ]
  return features.map(([name, version]) => ({ name: `rpmlib(${name})`, version, flags: sense.rpmlib | sense.less | sense.equal }))
}

/** By name, in bytes; equal names stay as they came. */
function ordered(dependencies: readonly HeaderDependency[]): readonly HeaderDependency[] {
  return [...dependencies].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.flags - b.flags))
}
