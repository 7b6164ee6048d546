/**
 * Stand-ins for openEuler's repositories: one tiny RPM for each package that a pipeline asks for, and one that all of them
 * need. What the stand-in base has already is in none.
 */
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { type Architecture, architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import type { NamedRpm } from '../plan/os-packages.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { standInProgram } from './elf.ts'
import { openEulerOf, vendor } from './openeuler.ts'
import { type RpmContent, rpmBytes } from './rpm.ts'
import { gzip } from './tar.ts'
import { standInText } from './tree.ts'

export interface StandInRepository {
  readonly url: string
  readonly revision: string
  /** of repomd.xml */
  readonly repomd: Digest
}

export interface StandInPackages {
  /** of all platforms: public URL → bytes */
  readonly files: ReadonlyMap<string, Buffer>
  /** platform → name of the repository → what it says of itself */
  readonly repositories: ReadonlyMap<PlatformName, ReadonlyMap<string, StandInRepository>>
  /** platform → package → its RPM; absent = the base has it */
  readonly rpms: ReadonlyMap<PlatformName, ReadonlyMap<string, NamedRpm>>
}

/** What every other stand-in package needs. */
export const commonPackage = 'rfo-stand-in'

interface Made {
  readonly rpm: NamedRpm
  readonly name: string
  readonly version: string
  readonly release: string
  readonly arch: string
  readonly href: string
  readonly files: readonly RpmContent[]
  readonly requires: readonly string[]
}

export function standInPackages(plan: ReleasePlan): StandInPackages {
  const files = new Map<string, Buffer>()
  const repositories = new Map<PlatformName, Map<string, StandInRepository>>()
  const rpms = new Map<PlatformName, Map<string, NamedRpm>>()
  for (const platform of plan.platforms) {
    const base = plan.bases[platform]
    const [first, ...others] = base?.repositories ?? []
    if (base === undefined || first === undefined) continue
    const { id, packages } = openEulerOf(base.reference)
    const wanted = namesFor(plan, platform).filter((name) => !packages.some((each) => each.name === name))
    const made: Made[] = [...(wanted.length === 0 ? [] : [commonPackage]), ...wanted].map((name) => {
      const one = packageOf(name, `oe${id.replace('.', '')}`, platformOf(platform).architecture)
      const url = first.url + one.href
      files.set(url, one.bytes)
      const { bytes, ...rest } = one
      return {
        ...rest,
        rpm: { nevra: `${name}-${one.version}-${one.release}.${one.arch}`, url, digest: digestOf(bytes), size: bytes.length },
      }
    })
    rpms.set(platform, new Map(made.map(({ name, rpm }) => [name, rpm])))
    const said = new Map<string, StandInRepository>()
    for (const { name, url } of [first, ...others]) {
      const repomd = putMetadata(files, url, name === first.name ? made : [], plan.epoch)
      said.set(name, { url, revision: String(plan.epoch), repomd })
    }
    repositories.set(platform, said)
  }
  return { files, repositories, rpms }
}

function namesFor(plan: ReleasePlan, platform: PlatformName): string[] {
  const asking = plan.images.filter(
    ({ action, base, platforms }) => action === 'rebuild' && base !== 'scratch' && platforms[platform]?.status === 'made',
  )
  return [...new Set(asking.flatMap(({ packages }) => packages))].sort()
}

function packageOf(name: string, dist: string, architecture: Architecture): Omit<Made, 'rpm'> & { readonly bytes: Buffer } {
  const common = name === commonPackage
  const arch = common ? 'noarch' : architectures[architecture].rpm
  const [version, release] = ['1.0', `1.${dist}`]
  const text = standInText(name, `${version}-${release}`)
  const files: readonly RpmContent[] = common
    ? [
        { path: '/usr/share/doc/rfo-stand-in', mode: 0o040755 },
        {
          path: '/usr/share/doc/rfo-stand-in/README',
          mode: 0o100644,
          bytes: Buffer.from('Packages of RFO’s sandbox. Nothing in them is openEuler’s.\n'),
        },
        { path: '/usr/share/doc/rfo-stand-in/STAND-IN', mode: 0o120777, target: 'README' },
        { path: '/var/lib/rfo-stand-in', mode: 0o100644, ghost: true },
      ]
    : [{ path: `/usr/bin/${name}`, mode: 0o100755, bytes: standInProgram(architecture, text) }]
  const requires = common ? ['/usr/bin/sh'] : [commonPackage]
  const words = {
    summary: `Stand-in for ${name}`,
    license: 'Apache-2.0',
    vendor,
    sourceRpm: `${name}-${version}-${release}.src.rpm`,
    provides: [name],
    requires,
  }
  const bytes = rpmBytes({ name, version, release, arch, ...words }, files)
  return { name, version, release, arch, href: `Packages/${name}-${version}-${release}.${arch}.rpm`, files, requires, bytes }
}

/** https://github.com/openSUSE/libzypp/tree/master/zypp/parser/yum/schema ; gives repomd.xml's digest */
function putMetadata(files: Map<string, Buffer>, url: string, made: readonly Made[], epoch: number): Digest {
  const primary = `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${made.length}">
${made.map(packageElement).join('')}</metadata>
`
  const packed = gzip(Buffer.from(primary))
  const href = `repodata/${hex(digestOf(packed))}-primary.xml.gz`
  files.set(url + href, packed)
  const repomd = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo">
<revision>${epoch}</revision>
<data type="primary">
<checksum type="sha256">${hex(digestOf(packed))}</checksum>
<open-checksum type="sha256">${hex(digestOf(primary))}</open-checksum>
<location href="${href}"/>
<timestamp>${epoch}</timestamp>
<size>${packed.length}</size>
</data>
</repomd>
`)
  files.set(`${url}repodata/repomd.xml`, repomd)
  return digestOf(repomd)
}

function packageElement({ name, version, release, arch, href, rpm, requires, files }: Made): string {
  const entries = (names: readonly string[]): string => names.map((each) => `<rpm:entry name="${each}"/>`).join('')
  const listed = files.filter(({ path, mode }) => path.includes('bin/') && (mode & 0o170000) === 0o100000)
  return `<package type="rpm">
<name>${name}</name><arch>${arch}</arch><version epoch="0" ver="${version}" rel="${release}"/>
<checksum type="sha256" pkgid="YES">${hex(rpm.digest)}</checksum>
<summary>Stand-in for ${name}</summary><description/><packager/><url/>
<time file="0" build="0"/><size package="${rpm.size}" installed="0" archive="0"/><location href="${href}"/>
<format><rpm:license>Apache-2.0</rpm:license><rpm:provides>${entries([name])}</rpm:provides><rpm:requires>${entries(requires)}</rpm:requires>${listed
    .map(({ path }) => `<file>${path}</file>`)
    .join('')}</format>
</package>
`
}
