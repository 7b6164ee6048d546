/** `scan`: what is inside images, or a folder, against a snapshot of advisories. It judges content, and verifies nobody's signature. */
import { dirname, resolve } from 'node:path'
import type { VexStatement } from '../advisory/openvex.ts'
import { writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'
import { exitFor } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { ReleaseGate } from '../plan/gate.ts'
import type { ScanTold } from '../report/scan.ts'
import type { CliContext } from './context.ts'
import { givenSnapshot, snapshotTold } from './snapshot.ts'
import { releaseFolder } from './target.ts'
import { timeOf } from './today.ts'
import type { Verb } from './verb.ts'
import { workDirOf } from './world.ts'

export const scan: Verb = {
  name: 'scan',
  summary: 'scan',
  arguments: [{ syntax: '<target>', help: 'scanArgument' }],
  options: [
    { flags: '--advisories <file>', help: 'scanAdvisories', completes: 'file' },
    { flags: '--at <time>', help: 'scanAt' },
    { flags: '--sarif <file>', help: 'scanSarif', completes: 'file' },
  ],
  examples: [
    'scan v1.24.8+rfor1',
    'scan /media/rfo --advisories advisories.json.zst --key rfo.pub',
    'scan images.tar.zst --sarif findings.sarif',
    'scan /srv/rootfs',
  ],
  async run(context, { args: [name = ''], flags }) {
    const { mkdir } = await import('node:fs/promises')
    const { openTarget } = await import('../release/scan-target.ts')
    const { scanImages } = await import('../release/scan.ts')
    const { scanText } = await import('../report/scan.ts')
    const at = timeOf('--at', flags.text('at'), context)
    const snapshot = await givenSnapshot(context, flags.text('advisories'))
    const workDir = workDirOf(context)
    await mkdir(workDir, { recursive: true })
    const platforms = context.platforms === undefined ? {} : { platforms: context.platforms }
    const target = await openTarget(releaseFolder(context, name), { ...platforms, workDir, signal: context.signal })
    try {
      const { gate, nameOf } = await policyFor(context, target.plan)
      const report = await scanImages({ target, snapshot, gate, vex: await ownVex(context), at, nameOf, signal: context.signal })
      const told: ScanTold = {
        snapshot: await snapshotTold(snapshot, at),
        at: new Date(at).toISOString(),
        images: report.images as ScanTold['images'],
      }
      const sarif = flags.text('sarif')
      if (sarif !== undefined) {
        const { scanSarif } = await import('../report/scan-sarif.ts')
        const file = resolve(context.cwd, sarif)
        const text = scanSarif(told, { toolVersion: context.toolVersion, exit: exitFor(report.failures) })
        await writeFileOnce(dirname(file), bytesBody(Buffer.from(text)), () => file)
      }
      const { snapshot: judgedBy, at: day, images } = told
      return {
        text: scanText(told, context.lang),
        json: { verdict: report.verdict, judged: day, gate, advisories: judgedBy, images, statements: report.statements } as unknown as {
          [key: string]: Json
        },
        failures: report.failures,
      }
    } finally {
      await target.close()
    }
  },
}

/** The gate that lies in a release, else that of the project here, else ours; always live: old lines are old to whoever scans them now. */
async function policyFor(context: CliContext, plan: unknown): Promise<{ gate: ReleaseGate; nameOf: (reference: string) => string }> {
  const { z } = await import('zod')
  const { defaultGate, GatePolicy, ReleaseGate } = await import('../plan/gate.ts')
  const Planned = z.looseObject({
    gate: ReleaseGate.optional(),
    images: z.array(z.looseObject({ component: z.string(), reference: z.string() })).default([]),
  })
  const said = Planned.safeParse(plan ?? {})
  const components = new Map((said.data?.images ?? []).map(({ reference, component }) => [reference, component]))
  const nameOf = (reference: string): string =>
    components.get(reference) ?? reference.slice(reference.lastIndexOf('/') + 1).replace(/[:@].*$/, '')
  if (said.data?.gate !== undefined) return { gate: { ...said.data.gate, mode: 'live' }, nameOf }
  const { readText } = await import('../release/inputs.ts')
  const { parseYaml } = await import('../plan/yaml.ts')
  const text = await readText(context.cwd, 'pipelines/release.yaml')
  const project = text === undefined ? undefined : parseYaml(z.looseObject({ gate: GatePolicy.optional() }), text.text, text.file).gate
  if (project === undefined) return { gate: defaultGate, nameOf }
  const { lines: _, ...policy } = project
  return { gate: { mode: 'live', ...policy }, nameOf }
}

/** What the project says of itself: sbom/vex/*.json. */
async function ownVex(context: CliContext): Promise<VexStatement[]> {
  const { readOpenVex } = await import('../advisory/openvex.ts')
  const { vexTexts } = await import('../release/inputs.ts')
  return (await vexTexts(context.cwd)).flatMap(({ file, text }) => readOpenVex(text, file))
}
