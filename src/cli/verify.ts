/** `verify`: proves a release without a network, as a folder or as an archive. The last line of stdout says what was verified, and for whom. */

import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'
import { exitOrder, RfoError } from '../error.ts'
import { testKinds } from '../plan/test-kind.ts'
import type { TestDemand, VerifyPolicy } from '../plan/verify-policy.ts'
import type { TestResult } from '../release/test-results.ts'
import { type Claim, claims, claimText } from '../release/verify/claims.ts'
import type { ReleasePlace } from '../release/verify/place.ts'
import { levelOf } from '../release/verify/provenance.ts'
import type { VerifyReport } from '../release/verify/verify.ts'
import { selectionOptions } from './chosen.ts'
import type { CliContext } from './context.ts'
import { readPlatforms } from './options.ts'
import { isVersion } from './target.ts'
import { timeOf } from './today.ts'
import type { Outcome, Verb } from './verb.ts'
import { type VerifyTold, verifyText } from './verify-text.ts'

export const verify: Verb = {
  name: 'verify',
  summary: 'verify',
  arguments: [
    { syntax: '<release>', help: 'carriedArgument' },
    { syntax: '[node...]', help: 'verifyNode' },
  ],
  options: [
    { flags: '--expect <version>', help: 'verifyExpect' },
    { flags: '--require <evidence>', help: 'verifyRequire', repeatable: true },
    { flags: '--policy <file>', help: 'verifyPolicy', completes: 'file' },
    { flags: '--at <time>', help: 'verifyAt' },
    { flags: '--deep', help: 'verifyDeep' },
    { flags: '--advisories <file>', help: 'verifyAdvisories', completes: 'file' },
    { flags: '--sarif <file>', help: 'verifySarif', completes: 'file' },
    { flags: '--identity <name>', help: 'verifyIdentity' },
    { flags: '--issuer <url>', help: 'verifyIssuer' },
    { flags: '--trusted-root <file>', help: 'verifyTrustedRoot', completes: 'file' },
    ...selectionOptions,
  ],
  examples: [
    'verify v1.24.8+rfor1 --key rfo.pub',
    'verify /media/rfo --key rfo.pub --expect v1.24.8+rfor1',
    'verify /media/rfo --trust rfo-trust.json --at 2026-11-20',
    'verify v1.24.8+rfor1 --key rfo.pub --require conformance=amd64 --require origin=rebuilt',
    'verify v1.24.8+rfor1 --key rfo.pub --policy ours.yaml --at 2026-11-27',
    'verify /media/rfo-v1.24.8+rfor1.tar --key rfo.pub',
    'verify v1.24.8+rfor1 --key rfo.pub --deep --sarif findings.sarif',
    'verify v1.24.8+rfor1 --key rfo.pub --advisories advisories.json.zst',
    'verify v1.24.8+rfor1 --key rfo.pub --identity builder@rfo.example --issuer https://oidc.rfo.example --trusted-root root.json',
    'verify /media/rfo --key rfo.pub containerd: /var/lib/rancher/rfo/agent/images',
  ],
  async run(context, { args: [target = '', ...nodes], flags }) {
    const { refuseSelection, verifyNodes } = await import('./verify-nodes.ts')
    if (nodes.length > 0) return await verifyNodes(context, flags, target, nodes)
    refuseSelection(flags)
    const { givenTrust, trustedKeys } = await import('./key-files.ts')
    const { expectedIdentity } = await import('./keyless.ts')
    const { verifyRelease } = await import('../release/verify/verify.ts')
    const expect = flags.text('expect') ?? (isVersion(target) ? target : undefined)
    const policy = withRequirements(await policyOf(context, flags.text('policy')), flags.list('require') ?? [])
    const at = timeOf('--at', flags.text('at'), context)
    const { openTarget } = await import('./open-target.ts')
    const trust = await givenTrust(context)
    const identity = await expectedIdentity(context, flags)
    const sarif = flags.text('sarif')
    const tell = async (findings: readonly RfoError[]): Promise<void> => {
      if (sarif === undefined) return
      const { sarifText } = await import('../report/sarif.ts')
      const [file, text] = [resolve(context.cwd, sarif), sarifText(findings, { toolVersion: context.toolVersion, target })]
      await writeFileOnce(dirname(file), bytesBody(Buffer.from(text)), () => file)
    }
    const release = await openTarget(context, target)
    try {
      const report = await verifyRelease({
        folder: release.place,
        ...(await trustedKeys(context)),
        ...(expect === undefined ? {} : { expect }),
        ...(trust === undefined ? {} : { trust }),
        ...(identity === undefined ? {} : { identity }),
        policy,
        at,
        deep: flags.on('deep'),
      })
      await tell(report.findings)
      const newest = report.findings.length > 0 ? undefined : await newestOf(context, flags.text('advisories'), release.place, report)
      return outcome(context, newest === undefined ? report : { ...report, claims: [...report.claims, newest] }, policy)
    } catch (caught) {
      const thrown = isNoKey(caught) ? await (await import('./verify-first.ts')).withFoundKeys(context, release.place, caught) : caught
      if (thrown instanceof RfoError && exitOrder.includes(thrown.exit as (typeof exitOrder)[number])) await tell([thrown])
      throw thrown
    } finally {
      await release.close()
    }
  },
}

/** What the newest advisories here say of it; nothing is loaded for a release without a gate. */
async function newestOf(
  context: CliContext,
  file: string | undefined,
  place: ReleasePlace,
  { predicate }: VerifyReport,
): Promise<Claim | undefined> {
  if (predicate.gate === undefined) return undefined
  const { newestClaim } = await import('../release/verify/newest.ts')
  const { heldSnapshot } = await import('./snapshot.ts')
  return await newestClaim(place, predicate, await heldSnapshot(context, file))
}

function isNoKey(thrown: unknown): thrown is RfoError {
  return thrown instanceof RfoError && thrown.code === 'RFO_SIGN_NOKEY'
}

async function policyOf(context: CliContext, name: string | undefined): Promise<VerifyPolicy> {
  const { defaultPolicy, parseVerifyPolicy } = await import('../plan/verify-policy.ts')
  if (name === undefined) return defaultPolicy
  const file = resolve(context.cwd, name)
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_POLICY', `can't read the policy: ${cause.code}`, { exit: 'usage', where: file, cause })
  })
  return parseVerifyPolicy(text, name)
}

/** `conformance`, `checks=amd64,arm64`, `origin=rebuilt`: what a policy would say at length. */
function withRequirements(policy: VerifyPolicy, texts: readonly string[]): VerifyPolicy {
  const tests = texts.filter((text) => text !== 'origin=rebuilt').map(requirement)
  return { ...policy, tests: [...policy.tests, ...tests], ...(tests.length < texts.length ? { origin: 'rebuilt' } : {}) }
}

function requirement(text: string): TestDemand {
  const [name, list, ...more] = text.split('=')
  const kind = testKinds.find((each) => each === name)
  if (kind === undefined || more.length > 0)
    throw new RfoError('RFO_CLI_VALUE', `no evidence is called ${text.slice(0, 100)}`, {
      exit: 'usage',
      next: `--require ${testKinds.join('|')}, --require conformance=amd64,arm64, or --require origin=rebuilt`,
    })
  return list === undefined ? { kind } : { kind, platforms: [...readPlatforms('--require', list)] }
}

/** What was counted, and what nobody did: `checks: 4 passed, 0 failed, 7 not proven; cis not run`. */
function testsText(results: readonly TestResult[]): string {
  const told = results.map(({ kind, passed, failed, warned, notProven }) => {
    const known = warned.length === 0 ? '' : `, ${warned.length} of them known`
    const unproven = Object.keys(notProven).length
    return `${kind}: ${passed} passed, ${failed + warned.length} failed${known}${unproven === 0 ? '' : `, ${unproven} not proven`}`
  })
  const missing = testKinds.filter((kind) => !results.some((one) => one.kind === kind))
  return [...told, ...(missing.length === 0 ? [] : [`${missing.join(', ')} not run`])].join('; ')
}

/** What a copy is a copy of, each once. */
function mirrorNotes({ built }: VerifyReport, reference: string): string[] {
  const copies = built.filter(({ what, mirrored }) => mirrored && what.startsWith(`${reference} `))
  const notes = copies.map(({ source, upstreamSignature }) => {
    const signed = {
      none: 'upstream shows no signature',
      unverified: 'upstream’s signature not verified',
      verified: 'upstream’s signature verified when it was locked',
    }[upstreamSignature ?? '']
    return `mirrored from ${source.uri}@sha256:${source.digest['sha256']}; ${signed ?? 'nobody looked for upstream’s signature'}`
  })
  return [...new Set(notes)]
}

function outcome(context: CliContext, report: VerifyReport, policy: VerifyPolicy): Outcome {
  const { predicate, findings } = report
  const told: VerifyTold = {
    version: predicate.version,
    root: report.root,
    fingerprint: report.fingerprint,
    standIn: report.standInWorld || predicate.standIns.length > 0,
    claims: report.claims.map((claim) => ({ text: claimText(claim, context.lang), test: claims[claim.name].test })),
    findings: findings.map((finding) => finding.line().replace(/^rfo-build: /, '')),
    bases: Object.entries(predicate.bases).map(([platform, base]) => ({
      platform,
      text: [
        `${base.name} ${base.reference}@${base.digest}`,
        base.reason,
        base.standIn === undefined ? undefined : `stand-in for ${base.standIn}`,
      ]
        .filter((part) => part !== undefined)
        .join('; '),
    })),
    platforms: Object.entries(predicate.support).map(([platform, state]) => ({
      platform,
      text: `${
        state.status === 'bootable'
          ? 'bootable'
          : `partial, missing ${state.missing.map((one) => `${one.reference} (${one.neededBy}: ${one.reason})`).join('; ')}`
      }; ${testsText(report.tests.filter((one) => one.platform === platform))}`,
    })),
    images: predicate.images.map((image) => ({
      reference: image.reference,
      digest: image.digest,
      platforms: Object.entries(image.platforms).map(([platform, made]) =>
        made.status === 'made' ? platform : `(no ${platform}: ${made.reason})`,
      ),
      notes: [
        ...(image.deviates === undefined ? [] : [`deviates from ${image.deviates.from}: ${image.deviates.reason}`]),
        ...(image.changedBy === undefined ? [] : [`its source is changed by ${image.changedBy.map(({ path }) => path).join(', ')}`]),
        ...mirrorNotes(report, image.reference),
        ...(image.standIn === undefined ? [] : [`stand-in for ${image.standIn}`]),
      ],
    })),
    standIns: predicate.standIns,
  }
  const built = report.built.map((one) => {
    const { level, why } = levelOf(one, policy)
    return {
      what: one.what,
      buildType: one.buildType,
      builder: one.builder,
      source: one.source.uri,
      slsaLevel: level,
      why,
      upstreamSignature: one.upstreamSignature,
    }
  })
  return { text: verifyText(told, context.lang), json: { ...told, built } as never, failures: findings }
}
