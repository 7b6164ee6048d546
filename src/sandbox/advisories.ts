/**
 * A stand-in for all advisories: of each stream that a base belongs to one that is mended already and one of low severity that is
 * not, and one of Go. The form is that of a real snapshot; nothing in it is anybody's word on anything.
 */
import { constants, zstdCompressSync } from 'node:zlib'
import { canonicalJson } from '../oci/json.ts'
import { gateTime } from '../plan/gate.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { openEulerOf } from './openeuler.ts'

export interface StandInAdvisories {
  /** nothing lies there in the world: a lock of the sandbox alone names it */
  readonly url: string
  readonly bytes: Buffer
  readonly taken: string
  readonly standIn: string
}

const url = 'https://repo.openeuler.org/security/data/stand-in/advisories.json.zst'
const standIn = 'the advisories of openEuler and Go'

export function standInAdvisories(plan: ReleasePlan): StandInAdvisories {
  const epoch = new Date(plan.epoch * 1000).toISOString()
  // not before the day that an old line is judged by: it would lack what was published until then
  const moment = plan.gate === undefined ? Date.parse(epoch) : Math.max(Date.parse(epoch), gateTime(plan.gate.mode, epoch))
  const taken = new Date(moment).toISOString().replace('.000Z', 'Z')
  const streams = [...new Set(plan.platforms.flatMap((platform) => streamOf(plan.bases[platform]?.reference) ?? []))].sort()
  const openeuler = (number: number, severity: string, source: string, fixed: string) => ({
    kind: 'openeuler',
    id: `openEuler-SA-2000-${number}`,
    published: '2000-01-01T00:00:00Z',
    severity,
    cves: { [`CVE-2000-${number}`]: severity },
    affected: streams.map((stream) => ({ stream, source, fixed })),
  })
  const go = {
    kind: 'go',
    id: 'GO-2000-1001',
    published: '2000-01-01T00:00:00Z',
    aliases: ['CVE-2000-1003'],
    affected: [{ module: 'stdlib', ranges: [{ introduced: '0', fixed: '1.1.0' }] }],
  }
  const text = canonicalJson({
    schema: 'rfo-build.advisories/1',
    taken,
    standIn,
    sources: [{ kind: 'openeuler-osv', from: 'stand-in', documents: 3, defects: {} }],
    records: [go, openeuler(1001, 'critical', 'glibc', '1-1'), openeuler(1002, 'low', 'zlib', '99-1')],
    vex: [],
  })
  const params = { [constants.ZSTD_c_compressionLevel]: 9, [constants.ZSTD_c_checksumFlag]: 1 }
  return { url, bytes: zstdCompressSync(Buffer.from(text), { params }), taken, standIn }
}

/** `22.03 LTS`, `24.03 (LTS-SP1)` → `22.03-LTS`, `24.03-LTS-SP1` */
function streamOf(reference: string | undefined): string | undefined {
  if (reference === undefined) return undefined
  const [, version, pack] = /^(\d\d\.\d\d)[\s(]+LTS(?:-(SP\d+))?/.exec(openEulerOf(reference).version) ?? []
  return version === undefined ? undefined : `${version}-LTS${pack === undefined ? '' : `-${pack}`}`
}
