/** pipelines/advisories/<id>.yaml: what RFO says itself of a vulnerability that a release mended. Text in, values out. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { compareVersions, minorLine, parseVersion, type Version } from './version.ts'
import { parseYaml } from './yaml.ts'

/** https://access.redhat.com/security/updates/classification, as dnf sorts them */
export const noticeSeverities = ['Low', 'Moderate', 'Important', 'Critical'] as const

export const Notice = z.strictObject({
  id: z.string().regex(/^RFO-SA-\d{4}-\d{4}$/, 'as in RFO-SA-2022-1001, and the name of the file'),
  title: z.string().min(1).max(200),
  severity: z.enum(noticeSeverities),
  cves: z.array(z.string().regex(/^CVE-\d{4}-\d{4,}$/)).min(1),
  description: z.string().min(1).max(4000),
  fixed: z.array(z.string()).min(1).describe('the first release of each line that is mended'),
  packages: z
    .array(z.enum(['rfo-common', 'rfo-server', 'rfo-agent', 'rfo-selinux']))
    .min(1)
    .default(['rfo-common', 'rfo-server', 'rfo-agent']),
  date: z.iso.date().optional().describe('default: the day of the release that says it'),
})
export type Notice = z.infer<typeof Notice>

/** Throws RFO_PLAN_YAML, RFO_PLAN_PIPELINE. */
export function parseNotice(text: string, file: string): Notice {
  const notice = parseYaml(Notice, text, file)
  const refuse = (message: string): RfoError =>
    new RfoError('RFO_PLAN_PIPELINE', message, { exit: 'usage', where: file, next: `edit ${file}` })
  if (!file.endsWith(`/${notice.id}.yaml`)) throw refuse(`${notice.id} is not what the file is named after`)
  const lines = notice.fixed.map((version) => minorLine(parsed(version, refuse)))
  if (new Set(lines).size !== lines.length) throw refuse('two releases of one line are named as the first that is mended')
  return notice
}

function parsed(version: string, refuse: (message: string) => RfoError): Version {
  try {
    return parseVersion(version)
  } catch {
    throw refuse(`${JSON.stringify(version.slice(0, 100))} is no version of RFO`)
  }
}

export interface NoticeFor {
  readonly notice: Notice
  /** the release of this line that mended it first */
  readonly fixed: Version
}

/** Those that hold for a release, by their ids: it, or an earlier one of its line, mended them. */
export function noticesFor(version: Version, all: readonly Notice[]): readonly NoticeFor[] {
  const found = all.flatMap((notice): NoticeFor[] => {
    const fixed = notice.fixed.map(parseVersion).find((each) => minorLine(each) === minorLine(version))
    return fixed === undefined || compareVersions(fixed, version) > 0 ? [] : [{ notice, fixed }]
  })
  return found.sort((a, b) => (a.notice.id < b.notice.id ? -1 : 1))
}
