/** `advisories`, `scan/c/p` after each inventory, and `gate` over all of them: nothing is laid out that it does not let pass. */
import { judgeImage, overall } from '../advisory/judge.ts'
import { type Matcher, matcherOf } from '../advisory/match.ts'
import { readOpenVex, type VexStatement } from '../advisory/openvex.ts'
import { decodeSnapshot, type HeldSnapshot, maxSnapshotBytes, snapshotMediaType } from '../advisory/snapshot.ts'
import { type GateFacts, gateFact, type ReleaseGateFact, type ScanPredicate, scanPredicate } from '../attest/scan.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Inventory } from '../inspect/inventory.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { gateTime, type ReleaseGate } from '../plan/gate.ts'
import type { LockedAdvisories } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { compareEvr } from '../rpm/vercmp.ts'
import { download } from '../source/download.ts'
import { given } from './given.ts'
import { insideOf, mainModule } from './inside.ts'
import { standInsOf } from './labels.ts'
import { advisoriesPath, maxSbomBytes } from './lists.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { builderId, readScan } from './sign-tasks.ts'

type Pin = Extract<LockedAdvisories, { kind: 'advisories' }>

export interface ScanTasks {
  readonly advisories: Task
  scan(image: ImagePlan, platform: string, inventory: Task): Task
  /** of the scans that were asked for by now; gives what the statement says */
  gate(): Task
}

/** undefined = the release has no gate */
export function scanTasks({ plan, vex: texts, toolVersion }: ReleaseRequest, ports: ReleasePorts): ScanTasks | undefined {
  const { gate, advisories: locked } = plan
  if (gate === undefined || locked?.kind !== 'advisories') return undefined
  const said = (texts ?? []).flatMap(({ file, text }) => readOpenVex(text, file))
  const pin = locked
  const advisories = advisoriesTask(pin, plan, ports)
  // one reading for all images
  let read: Promise<Reading> | undefined
  const reading = (descriptor: Descriptor): Promise<Reading> => {
    read ??= readingOf(descriptor, gate, said, ports.store)
    return read
  }
  const scans: { readonly id: string; readonly platform: string; readonly task: Task }[] = []
  return {
    advisories,
    scan(image, platform, inventory) {
      const main = mainModule(image)
      const own = ownGate(plan, image, platform as PlatformName, gate)
      const task: Task = {
        id: `scan/${image.component}/${platform}`,
        needs: { inventory, advisories },
        key: {
          rule: 'scan@1',
          tool: toolVersion,
          release: plan.version,
          component: image.component,
          platform,
          gate: own as unknown as Json,
          vex: said as unknown as Json,
          main: (main ?? null) as unknown as Json,
        },
        lane: 'cpu',
        async run(inputs) {
          const found = (await readJson(ports.store, given(inputs['inventory']), maxSbomBytes)) as Inventory
          const { matcher, date, vex, held } = await reading(given(inputs['advisories']))
          const result = judgeImage(insideOf(found, image.component, main), { matcher, gate: own, date, vex })
          const predicate = scanPredicate(result as ScanPredicate['scanner']['result'], {
            release: plan.version,
            platform,
            builderId,
            toolVersion,
            advisories: { digest: held.digest, taken: held.taken, standIn: held.standIn },
            judged: timeText(date),
          })
          return await pushBytes(ports.store, mediaTypes.json, canonicalJson(predicate as unknown as Json))
        },
      }
      scans.push({ id: task.id, platform, task })
      return task
    },
    gate: () => gateTask(gate, pin, scans, ports.store),
  }
}

/** What stands in for an image holds nothing that anybody could judge, and says so wherever it is carried. */
function ownGate(plan: ReleasePlan, image: ImagePlan, platform: PlatformName, gate: ReleaseGate): ReleaseGate {
  const standIns = standInsOf(plan, image, platform)
  if (standIns.length === 0) return gate
  const reason = `it stands in for ${standIns.join('; ')}`
  return { ...gate, unjudged: [...gate.unjudged, { images: [image.component], author: 'rfo-build', reason, expires: '9999-12-31' }] }
}

interface Reading {
  readonly held: HeldSnapshot
  readonly matcher: Matcher
  readonly date: number
  readonly vex: readonly VexStatement[]
}

async function readingOf(descriptor: Descriptor, gate: ReleaseGate, own: readonly VexStatement[], from: ContentReader): Promise<Reading> {
  const held = decodeSnapshot(await readBytes(from, descriptor, maxSnapshotBytes), advisoriesPath)
  const date = gateTime(gate.mode, held.taken)
  return { held, date, matcher: matcherOf(held, compareEvr, date), vex: [...own, ...held.vex] }
}

/** From the store, where `advisories sync` and `import` put it, or from where the lock says that it lies. */
function advisoriesTask({ digest, size, url }: Pin, { version }: ReleasePlan, ports: ReleasePorts): Task {
  const target: Descriptor = { mediaType: snapshotMediaType, digest, size }
  return {
    id: 'advisories',
    needs: {},
    key: { rule: 'advisories@1', digest },
    lane: 'network',
    async run(_, at) {
      if (await ports.store.exists(target)) return target
      if (url === undefined)
        throw new RfoError('RFO_RELEASE_ADVISORIES', `the snapshot ${digest} that the lock pins is not here`, {
          exit: 'undecided',
          where: ports.workDir,
          next: `rfo-build advisories import <file> --expect ${digest}, or rfo-build lock ${version} --update advisories`,
        })
      const { addresses, env, workDir } = ports
      const { file } = await download({ url, addresses, env, workDir, expected: { digest, size }, signal: at.signal })
      return await ports.store.pushFile(snapshotMediaType, file)
    },
  }
}

function gateTask(
  { mode }: ReleaseGate,
  { digest, taken, standIn }: Pin,
  scans: readonly { readonly id: string; readonly platform: string; readonly task: Task }[],
  store: ReleasePorts['store'],
): Task {
  const needs = Object.fromEntries(scans.map(({ id, task }) => [id, task]))
  const advisories = { digest, taken, ...(standIn === undefined ? {} : { standIn }) }
  return {
    id: 'gate',
    needs,
    key: { rule: 'gate@1', mode: mode as Json, advisories },
    lane: 'cpu',
    async run(inputs) {
      const results: GateFacts['scans'][number][] = []
      for (const { id, platform } of scans) results.push({ platform, result: (await readScan(given(inputs[id]), store)).scanner.result })
      refuse(results)
      const judged = timeText(gateTime(mode, taken))
      const fact = gateFact({ mode, judged, advisories, scans: results })
      return await pushBytes(store, mediaTypes.json, canonicalJson(fact as unknown as Json))
    },
  }
}

/** Throws RFO_RELEASE_GATE: condition for what may not be shipped, else undecided for what nobody can judge. */
function refuse(scans: GateFacts['scans']): void {
  const verdict = scans.length === 0 ? 'pass' : overall(scans.map(({ result }) => result))
  if (verdict === 'pass') return
  const told = scans.flatMap(({ platform, result }) => {
    const at = `${result.name} ${platform}`
    if (result.verdict === 'undecided') return [`${at}: ${result.why ?? ''}`]
    return result.findings.flatMap(({ state, advisory, component, installed, fixed, severity }) =>
      state === 'fails'
        ? [`${at}: ${advisory} (${severity}): ${component} ${installed}, ${fixed === undefined ? 'no fix' : `fixed in ${fixed}`}`]
        : [],
    )
  })
  const failed = verdict === 'fail'
  throw new RfoError('RFO_RELEASE_GATE', failed ? 'vulnerabilities that the gate does not let pass' : 'images that nobody can judge', {
    exit: failed ? 'condition' : 'undecided',
    where: 'pipelines/release.yaml: gate',
    next: failed
      ? 'take the fixes, or say in OpenVEX why they do not matter'
      : 'list them under gate.unjudged with author, reason and expiry',
    details: told.slice(0, 200),
  })
}

export async function readGate(descriptor: Descriptor | undefined, from: ContentReader): Promise<ReleaseGateFact | undefined> {
  return descriptor === undefined ? undefined : ((await readJson(from, descriptor, maxSbomBytes)) as ReleaseGateFact)
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z')
}
