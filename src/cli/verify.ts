/** `verify`: proves a release folder without a network. The last line of stdout says what was verified, and for whom. */
import { claims, claimText } from '../release/verify/claims.ts'
import type { VerifyReport } from '../release/verify/verify.ts'
import type { CliContext } from './context.ts'
import { isVersion, releaseFolder } from './target.ts'
import type { Outcome, Verb } from './verb.ts'
import { type VerifyTold, verifyText } from './verify-text.ts'

export const verify: Verb = {
  name: 'verify',
  summary: 'verify',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [{ flags: '--expect <version>', help: 'verifyExpect' }],
  examples: ['verify v1.24.8+rfor1 --key rfo.pub', 'verify /media/rfo --key rfo.pub --expect v1.24.8+rfor1'],
  async run(context, { args: [target = ''], flags }) {
    const { trustedKeys } = await import('./key-files.ts')
    const { verifyRelease } = await import('../release/verify/verify.ts')
    const expect = flags.text('expect') ?? (isVersion(target) ? target : undefined)
    const report = await verifyRelease({
      folder: releaseFolder(context, target),
      ...(await trustedKeys(context)),
      ...(expect === undefined ? {} : { expect }),
    })
    return outcome(context, report)
  },
}

function outcome(context: CliContext, report: VerifyReport): Outcome {
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
      text:
        state.status === 'bootable'
          ? 'bootable'
          : `partial, missing ${state.missing.map((one) => `${one.reference} (${one.neededBy}: ${one.reason})`).join('; ')}`,
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
