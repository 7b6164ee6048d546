/**
 * RFO's own advisories as `dnf updateinfo` reads them. There is no schema but the readers:
 * https://github.com/openSUSE/libsolv/blob/0.7.22/ext/repo_updateinfoxml.c, https://github.com/rpm-software-management/createrepo_c/blob/1.0.4/src/xml_dump_updateinfo.c
 */
import type { NoticeFor } from '../plan/notice.ts'
import { spellRpm } from '../plan/version.ts'
import type { RpmArch } from './package.ts'
import type { RepositoryList } from './repository.ts'
import { xmlText } from './repository-entries.ts'

export interface UpdateInfoInput {
  readonly notices: readonly NoticeFor[]
  readonly arch: RpmArch
  /** RPM's release, as the packages have it */
  readonly release: string
  readonly vendor: string
  /** seconds; the day of a notice that says none */
  readonly epoch: number
}

/** undefined: nothing is said. */
export function updateInfo(input: UpdateInfoInput): RepositoryList | undefined {
  if (input.notices.length === 0) return undefined
  return { kind: 'updateinfo', text: updatesText(input.notices.map((each) => update(each, input))) }
}

/** `updates`: elements, in the order in which they shall stand. */
export function updatesText(updates: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n${updates.map((each) => `  ${each}\n`).join('')}</updates>\n`
}

function update({ notice, fixed }: NoticeFor, { arch, release, vendor, epoch }: UpdateInfoInput): string {
  const day = notice.date ?? new Date(epoch * 1000).toISOString().slice(0, 10)
  const version = spellRpm(fixed)
  const references = notice.cves.map(
    (id) => `      <reference href="https://nvd.nist.gov/vuln/detail/${id}" id="${id}" type="cve" title="${id}"/>\n`,
  )
  const packages = notice.packages.map((name) => {
    const own = name === 'rfo-selinux' ? 'noarch' : arch
    return `        <package name="${name}" version="${version}" release="${release}" epoch="0" arch="${own}">
          <filename>${name}-${version}-${release}.${own}.rpm</filename>
        </package>
`
  })
  return `<update from="${attribute(vendor)}" status="final" type="security" version="1">
    <id>${notice.id}</id>
    <title>${xmlText(notice.title)}</title>
    <issued date="${day} 00:00:00"/>
    <updated date="${day} 00:00:00"/>
    <severity>${notice.severity}</severity>
    <description>${xmlText(notice.description.trim())}</description>
    <references>
${references.join('')}    </references>
    <pkglist>
      <collection short="RFO">
        <name>RFO</name>
${packages.join('')}      </collection>
    </pkglist>
  </update>`
}

function attribute(text: string): string {
  return xmlText(text).replaceAll('"', '&quot;')
}
