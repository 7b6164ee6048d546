/** `scan`: what is inside images × a snapshot of advisories. Says nothing of who made them: that is `verify`. */
import { type ImageVerdict, judgeImage, overall } from '../advisory/judge.ts'
import { matcherOf } from '../advisory/match.ts'
import type { VexStatement } from '../advisory/openvex.ts'
import { ageInDays, type HeldSnapshot } from '../advisory/snapshot.ts'
import { RfoError } from '../error.ts'
import type { ReleaseGate } from '../plan/gate.ts'
import { compareEvr } from '../rpm/vercmp.ts'
import { insideOf } from './inside.ts'
import type { ScanTarget } from './scan-target.ts'

export interface ScanRequest {
  readonly target: ScanTarget
  readonly snapshot: HeldSnapshot
  readonly gate: ReleaseGate
  /** of the project; vendors' are in the snapshot */
  readonly vex: readonly VexStatement[]
  /** milliseconds since 1970: only what was published by then counts */
  readonly at: number
  /** what a release calls an image; it may list it by that name */
  readonly nameOf: (reference: string) => string
  readonly signal: AbortSignal
}

export interface ScannedVerdict extends Omit<ImageVerdict, 'digest'> {
  readonly reference: string
  readonly platform: string
  /** absent = it is no image, and could not be read to its end */
  readonly digest?: string
}

export interface ScanReport {
  readonly verdict: 'pass' | 'fail' | 'undecided'
  readonly images: readonly ScannedVerdict[]
  /** ids of statements that suppressed something */
  readonly statements: readonly string[]
  readonly failures: readonly RfoError[]
}

export async function scanImages(request: ScanRequest): Promise<ScanReport> {
  const { target, snapshot, gate, at, nameOf, signal } = request
  const judge = { matcher: matcherOf(snapshot, compareEvr, at), gate, date: at, vex: [...request.vex, ...snapshot.vex] }
  const images: ScannedVerdict[] = []
  for (const { reference, platform: said, digest, inventory: look } of target.images) {
    signal.throwIfAborted()
    const name = nameOf(reference)
    try {
      const inventory = await look()
      images.push({ reference, platform: inventory.platform, ...judgeImage(insideOf(inventory, name), judge) })
    } catch (thrown) {
      // an unreadable database proves nothing, neither good nor bad; other bytes than the digest says do
      if (!(thrown instanceof RfoError) || !undecidable.includes(thrown.code)) throw thrown
      const none = { packages: 0, modules: 0, unversioned: [], findings: [] }
      const is = { reference, platform: said, name, ...(digest === undefined ? {} : { digest }) }
      images.push({ ...is, verdict: 'undecided', why: thrown.message, ...none })
    }
  }
  const statements = [...new Set(images.flatMap(({ findings }) => findings.flatMap(({ statement }) => statement?.id ?? [])))].sort()
  return { verdict: overall(images), images, statements, failures: failuresOf(request, images) }
}

const undecidable: readonly string[] = ['RPMDB', 'NDB', 'SQLITE', 'BDB', 'RPMHEADER', 'PLATFORM'].map((word) => `RFO_INSPECT_${word}`)

function failuresOf({ target, snapshot, gate, at }: ScanRequest, images: readonly ScannedVerdict[]): RfoError[] {
  const failed = images.filter(({ verdict }) => verdict === 'fail')
  const open = images.filter(({ verdict }) => verdict === 'undecided')
  const age = ageInDays(snapshot, at)
  const said: RfoError[] = []
  const count = failed.reduce((sum, { findings }) => sum + findings.filter(({ state }) => state === 'fails').length, 0)
  if (failed.length > 0)
    said.push(
      new RfoError('RFO_SCAN_FOUND', `${count} findings that the gate does not let pass, in ${failed.length} of ${images.length} images`, {
        exit: 'condition',
        where: failed[0]?.reference ?? '',
        next: 'take the fix, or say in OpenVEX why it does not matter',
      }),
    )
  if (target.images.length === 0)
    said.push(new RfoError('RFO_SCAN_NOTHING', 'there is no image in it', { exit: 'undecided', next: 'name what holds images' }))
  for (const { reference, platform, why } of open.slice(0, 20))
    said.push(
      new RfoError('RFO_SCAN_UNDECIDED', `${reference} ${platform}: ${why}`, {
        exit: 'undecided',
        where: reference,
        next: 'list it in gate.unjudged of release.yaml with author, reason and expiry, or give a snapshot that knows it',
      }),
    )
  if (gate.mode === 'live' && (age > gate.maxAgeDays || age < -1))
    said.push(
      new RfoError(
        'RFO_SCAN_STALE',
        age < 0
          ? `the snapshot is of ${snapshot.taken}, after the day that is judged`
          : `the snapshot is ${age} days old; ${gate.maxAgeDays} are allowed`,
        {
          exit: 'undecided',
          next: 'rfo-build advisories sync, or import a newer export',
        },
      ),
    )
  return said
}
