/** What a release's own install-rfo.sh knows: its version; and platforms.txt, out of which it reads what it may install. Pure text. */
import { RfoError } from '../error.ts'
import { architectureNames, architectures, type PlatformName } from '../oci/platform.ts'
import { parseVersion, spell } from '../plan/version.ts'

const versionLine = "\nRFO_VERSION=''\n"

/**
 * The release's installer: install/install-rfo.sh with the version as its default and the architectures of our table. No digest stands in it: the root digest
 * covers this very file, and another INSTALL_RFO_VERSION has another one. Throws RFO_PLAN_VERSION, RFO_PACK_INSTALLER (bug).
 */
export function installerText(template: string, version: string): string {
  const parts = template.split(versionLine)
  if (parts.length !== 2) {
    throw new RfoError('RFO_PACK_INSTALLER', `install-rfo.sh has ${parts.length - 1} lines RFO_VERSION='' instead of one`, {
      exit: 'bug',
      where: 'install/install-rfo.sh',
    })
  }
  const pairs = architectureNames.map((name) => `${name}=${architectures[name].rpm}`).join(' ')
  // neither a version nor a name in the table has a character that a shell's single quotes could end
  return parts
    .join(`\nRFO_VERSION='${spell(parseVersion(version))}'\n`)
    .replace(/\nRFO_ARCHITECTURES='[^']*'\n/, `\nRFO_ARCHITECTURES='${pairs}'\n`)
}

export interface PlatformState {
  readonly platform: PlatformName
  readonly status: 'bootable' | 'partial'
  /** for `partial`: what is missing, an image or a reason each */
  readonly missing: readonly string[]
}

/**
 * `platforms.txt`: `release <version>`, then `linux/<arch> bootable`, or `linux/<arch> partial <what is missing>` a line. The
 * installer greps it, verified, and refuses another version's files and a partial platform. Throws RFO_PLAN_VERSION.
 */
export function platformsText(version: string, states: readonly PlatformState[]): string {
  const lines = states.map(({ platform, status, missing }) => {
    if (status === 'bootable') return `${platform} bootable`
    // a comma within a reason stays readable, a line's end would make another line
    return `${platform} partial ${missing.map((each) => each.replace(/[^\x20-\x7e]+/g, ' ').trim()).join('; ') || 'images'}`
  })
  return [`release ${spell(parseVersion(version))}`, ...lines.toSorted(), ''].join('\n')
}
