/** `verify`: proves a release folder without a network. The last line of stdout says what was verified, and for whom. */
import { RfoError } from '../error.ts'
import type { TestResult } from '../release/test-results.ts'
import { claims, claimText } from '../release/verify/claims.ts'
import type { Requirement } from '../release/verify/required.ts'
import type { VerifyReport } from '../release/verify/verify.ts'
import type { CliContext } from './context.ts'
import { readPlatforms } from './options.ts'
import { isVersion, releaseFolder } from './target.ts'
import type { Outcome, Verb } from './verb.ts'
import { type VerifyTold, verifyText } from './verify-text.ts'

export const verify: Verb = {
  name: 'verify',
  summary: 'verify',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [
    { flags: '--expect <version>', help: 'verifyExpect' },
    { flags: '--require <evidence>', help: 'verifyRequire', repeatable: true },
    { flags: '--identity <name>', help: 'verifyIdentity' },
    { flags: '--issuer <url>', help: 'verifyIssuer' },
    { flags: '--trusted-root <file>', help: 'verifyTrustedRoot', completes: 'file' },
  ],
  examples: [
    'verify v1.24.8+rfor1 --key rfo.pub',
    'verify /media/rfo --key rfo.pub --expect v1.24.8+rfor1',
    'verify v1.24.8+rfor1 --key rfo.pub --require conformance=amd64',
    'verify v1.24.8+rfor1 --key rfo.pub --identity builder@rfo.example --issuer https://oidc.rfo.example --trusted-root root.json',
  ],
  async run(context, { args: [target = ''], flags }) {
    const { trustedKeys } = await import('./key-files.ts')
    const { expectedIdentity } = await import('./keyless.ts')
    const { verifyRelease } = await import('../release/verify/verify.ts')
    const expect = flags.text('expect') ?? (isVersion(target) ? target : undefined)
    const require = (flags.list('require') ?? []).map(requirement)
    const identity = await expectedIdentity(context, flags)
    const report = await verifyRelease({
      folder: releaseFolder(context, target),
      ...(await trustedKeys(context)),
      ...(expect === undefined ? {} : { expect }),
      require,
      ...(identity === undefined ? {} : { identity }),
    })
    return outcome(context, report)
  },
}

/** `conformance`, or `conformance=amd64,arm64`. */
function requirement(text: string): Requirement {
  const [kind, list, ...more] = text.split('=')
  if (kind !== 'conformance' || more.length > 0)
    throw new RfoError('RFO_CLI_VALUE', `no evidence is called ${text.slice(0, 100)}`, {
      exit: 'usage',
      next: '--require conformance, or --require conformance=amd64,arm64',
    })
  return list === undefined ? { kind } : { kind, platforms: readPlatforms('--require', list) }
}

/** What was counted, or that nobody did. */
function conformanceText(result: TestResult | undefined): string {
  if (result === undefined) return 'conformance not run'
  const { passed, failed, warned } = result
  return `conformance: ${passed} passed, ${failed + warned.length} failed${warned.length === 0 ? '' : `, ${warned.length} of them known`}`
}

function outcome(context: CliContext, report: VerifyReport): Outcome {
  const { predicate, findings } = report
  const tested = new Map(report.tests.map((one) => [one.platform as string, one]))
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
      }; ${conformanceText(tested.get(platform))}`,
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
        ...(image.standIn === undefined ? [] : [`stand-in for ${image.standIn}`]),
      ],
    })),
    standIns: predicate.standIns,
  }
  return { text: verifyText(told, context.lang), json: told as never, failures: findings }
}
