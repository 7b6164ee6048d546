/**
 * A package as a .spec in openEuler's conventions (https://gitee.com/openeuler/community/blob/master/en/contributors/packaging.md):
 * fixed order of fields, SPDX licence, plain release, no Group. It packs a release's own archives; nothing is compiled.
 * It builds with any rpmbuild of 4.14 or later: macros that only a distribution defines get a value where they have none.
 */
import { isGhost } from './cpio.ts'
import {
  checkPackage,
  type Dependency,
  type PackageFile,
  plainSource,
  type RpmArch,
  type RpmPackage,
  scriptNames,
  sortedFiles,
} from './package.ts'
import { changelogOf } from './tags.ts'

/** Longest first. The second is what the macro means where it is not defined; rpm itself defines those without. */
const places: readonly (readonly [folder: string, macro: string, fallback?: true])[] = [
  ['/usr/lib/systemd/system', '_unitdir', true],
  ['/usr/lib/sysctl.d', '_sysctldir', true],
  ['/usr/bin', '_bindir'],
  ['/usr/sbin', '_sbindir'],
  ['/usr/share', '_datadir'],
  ['/var', '_localstatedir'],
  ['/etc', '_sysconfdir'],
]

/** The same text for every architecture of `pkg.archives`, apart from `pkg.arch`, which only `noarch` writes down. */
export function renderSpec(pkg: RpmPackage): string {
  checkPackage(pkg)
  const files = sortedFiles(pkg)
  const made = Object.entries(pkg.archives).sort(([a], [b]) => (a < b ? -1 : 1)) as [RpmArch, string | null][]
  const archives = made.flatMap(([arch, name]): [RpmArch, string][] => (name === null ? [] : [[arch, name]]))
  const loose = pkg.loose ?? []
  const field = (name: string, value: string): string => `${`${name}:`.padEnd(16)}${literal(value)}`
  const dependencies = (name: string, all: readonly Dependency[]): string[] =>
    all.map((each) => field(each.script === undefined ? name : `${name}(${each.script})`, dependencyText(each)))
  const used = places.filter(([folder, , fallback]) => fallback && files.some((file) => file.path.startsWith(`${folder}/`)))
  const sections = [
    [
      '# The programs come linked from the release: no debug package, nothing stripped, no links by build id.',
      '%global debug_package %{nil}',
      '%global __os_install_post %{nil}',
      '%global _build_id_links none',
      ...used.map(([folder, macro]) => `%{!?${macro}: %global ${macro} ${folder}}`),
    ],
    [
      field('Name', pkg.name),
      ...(pkg.epoch === undefined ? [] : [field('Epoch', String(pkg.epoch))]),
      field('Version', pkg.version),
      field('Release', pkg.release),
      field('Summary', pkg.summary),
      field('License', pkg.license),
      field('URL', pkg.url),
      ...[...archives.map(([, name]) => name), ...loose].map((name, n) => field(`Source${n}`, name)),
      field('Vendor', pkg.vendor),
      field('Packager', pkg.packager),
      pkg.arch === 'noarch' ? field('BuildArch', 'noarch') : field('ExclusiveArch', made.map(([arch]) => arch).join(' ')),
      // what a package needs is the same wherever it is built: said here, not guessed from its files
      field('AutoReqProv', 'no'),
      ...dependencies('Requires', pkg.requires),
      ...dependencies('Provides', pkg.provides),
      ...dependencies('Conflicts', pkg.conflicts),
      ...dependencies('Obsoletes', pkg.obsoletes),
    ],
    ['%description', literal(pkg.description)],
    [
      '%prep',
      '%setup -q -c -T',
      ...archives.flatMap(([arch, name], n) => unpack(arch, name, n)),
      ...loose.map((name, n) => `cp -p %{SOURCE${archives.length + n}} ${name}`),
    ],
    ['%build'],
    ['%install', ...files.flatMap(installLines)],
    ...scriptNames.flatMap((name) => {
      const script = pkg.scripts[name]
      return script === undefined ? [] : [[`%${name}`, literal(script)]]
    }),
    ['%files', ...files.map(fileLine)],
    ['%changelog', ...changelogOf(pkg).flatMap((entry) => [`* ${dayOf(entry.time)} ${literal(entry.author)}`, literal(entry.lines), ''])],
  ]
  return `${sections.map((lines) => lines.join('\n').trimEnd()).join('\n\n')}\n`
}

function unpack(arch: RpmArch, name: string, n: number): string[] {
  const plain = plainSource(name)
  const line = plain === undefined ? `tar -xf %{SOURCE${n}}` : `cp -p %{SOURCE${n}} ${plain}`
  return arch === 'noarch' ? [line] : [`%ifarch ${arch}`, line, '%endif']
}

function installLines(file: PackageFile): string[] {
  const target = `%{buildroot}${macroPath(file.path)}`
  switch (file.kind) {
    case 'file': {
      const edits = (file.edits ?? []).map(([from, to]) => `-e 's|${from}|${to}|g'`)
      return [
        `install -D -p -m ${octal(file.mode)} ${file.source} ${target}`,
        ...(edits.length === 0 ? [] : [`sed -i ${edits.join(' ')} ${target}`]),
      ]
    }
    case 'directory':
      return [`install -d -m ${octal(file.mode)} ${target}`]
    case 'symlink':
      return [`mkdir -p ${target.slice(0, target.lastIndexOf('/'))}`, `ln -s ${file.target} ${target}`]
    case 'ghost':
      return [`mkdir -p ${target.slice(0, target.lastIndexOf('/'))}`, `touch ${target}`]
  }
}

function fileLine(file: PackageFile): string {
  const owner = file.kind === 'symlink' ? '%attr(-,root,root)' : `%attr(${octal(file.mode)},root,root)`
  const marks = [
    ...(isGhost(file) ? ['%ghost'] : []),
    ...(file.kind === 'directory' ? ['%dir'] : []),
    ...(file.kind === 'file' && file.mark !== undefined ? [`%${file.mark}`] : []),
  ]
  return [...marks, owner, macroPath(file.path)].join(' ')
}

function macroPath(path: string): string {
  const place = places.find(([folder]) => path.startsWith(`${folder}/`))
  return place === undefined ? path : `%{${place[1]}}${path.slice(place[0].length)}`
}

function dependencyText(dependency: Dependency): string {
  return dependency.is === undefined ? dependency.name : `${dependency.name} ${dependency.is.relation} ${dependency.is.version}`
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

/** Nothing in a model is a macro. */
function literal(text: string): string {
  return text.replaceAll('%', '%%')
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Wed Nov 23 2022`: rpm reads English names only. */
function dayOf(time: number): string {
  const date = new Date(time * 1000)
  const day = String(date.getUTCDate()).padStart(2, '0')
  return `${days[date.getUTCDay()]} ${months[date.getUTCMonth()]} ${day} ${date.getUTCFullYear()}`
}
