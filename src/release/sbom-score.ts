/** The bar under which no SBOM of a release may be. */
import { RfoError } from '../error.ts'
import { scoreSbom } from '../inspect/score.ts'

/** Throws RFO_RELEASE_SBOM (condition) for a document that lacks one of NTIA's minimum elements. */
export function refuseLowScore(cyclonedx: string): string {
  const ntia = scoreSbom(cyclonedx).find(({ standard }) => standard === 'ntia-2021')
  const lacking = (ntia?.elements ?? []).filter(({ met, of }) => met < of)
  if (lacking.length === 0) return cyclonedx
  const lines = lacking.map(({ element, met, of, lacking: names }) => `${element}: ${met} of ${of}; without it: ${names.join(', ')}`)
  throw new RfoError('RFO_RELEASE_SBOM', `an SBOM lacks NTIA minimum elements: ${lines[0]}`.slice(0, 500), {
    exit: 'condition',
    details: lines,
  })
}
