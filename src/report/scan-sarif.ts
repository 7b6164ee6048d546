/**
 * Findings of a scan as SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html : a rule is an advisory. What is
 * suppressed stays, with the justification that the statement gives.
 */
import type { Json } from '../oci/json.ts'
import { printable } from './printable.ts'
import { sarifLog } from './sarif.ts'
import type { ScanTold } from './scan.ts'

/** https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning : a score by which it sorts */
const scores: Readonly<Record<string, string>> = { critical: '9.5', high: '8.0', medium: '5.5', low: '2.0' }

export function scanSarif(told: ScanTold, run: { readonly toolVersion: string; readonly exit: number }): string {
  const all = told.images.flatMap((image) => image.findings.map((finding) => ({ image, finding })))
  const rules = [...new Map(all.map(({ finding }) => [finding.advisory, finding])).values()].sort((a, b) =>
    a.advisory < b.advisory ? -1 : 1,
  )
  const at = new Map(rules.map(({ advisory }, index) => [advisory, index]))
  return sarifLog({
    toolVersion: run.toolVersion,
    exit: run.exit,
    rules: rules.map(
      ({ advisory, aliases, severity }): Json => ({
        id: printable(advisory),
        shortDescription: { text: printable([advisory, ...aliases].join(' ')).slice(0, 1000) },
        properties: {
          tags: ['security', 'vulnerability'],
          ...(scores[severity] === undefined ? {} : { 'security-severity': scores[severity] }),
        },
      }),
    ),
    properties: {
      advisories: told.snapshot.digest,
      taken: told.snapshot.taken,
      ...(told.snapshot.standIn === undefined ? {} : { standIn: told.snapshot.standIn }),
      judged: told.at,
      images: told.images.map(
        ({ reference, platform, verdict, why }): Json => ({
          reference: printable(reference),
          platform,
          verdict,
          ...(why === undefined ? {} : { why }),
        }),
      ),
    },
    results: all.map(({ image, finding }): Json => {
      const { state, severity, advisory, component, installed, fixed, statement } = finding
      const text = `${component} ${installed}: ${advisory} (${severity}), ${fixed === undefined ? 'no fix' : `fixed in ${fixed}`}; ${state}`
      return {
        ruleId: printable(advisory),
        ruleIndex: at.get(advisory) ?? 0,
        level: state === 'fails' ? 'error' : state === 'suppressed' ? 'none' : 'warning',
        message: { text: printable(text) },
        locations: [{ logicalLocations: [{ fullyQualifiedName: printable(`${image.reference} ${image.platform}`), kind: 'resource' }] }],
        ...(statement === undefined
          ? {}
          : {
              suppressions: [
                {
                  kind: 'external',
                  status: 'accepted',
                  justification: printable(`${statement.status} ${statement.justification ?? ''} (${statement.author}: ${statement.id})`),
                },
              ],
            }),
      }
    }),
  })
}
