/** The text that a chart's `.prov` signs: https://helm.sh/docs/topics/provenance/#the-provenance-file */
import { digestOf, hex } from '../oci/digest.ts'
import { noChart, readChartArchive } from './chart-archive.ts'

/**
 * Chart.yaml and the archive's digest, between them `...`. helm compares the digest alone; the rest is for people.
 * `file`: the archive's own name, `<chart>-<version>.tgz`. Throws RFO_PACK_CHART.
 */
export async function provenanceText(tgz: Uint8Array, chart: string, file: string): Promise<string> {
  const metadata = (await readChartArchive(tgz, chart)).get('Chart.yaml')
  if (metadata === undefined) throw noChart(chart, 'no Chart.yaml')
  // a clear-signed text has no blanks at the ends of its lines: https://www.rfc-editor.org/rfc/rfc9580#section-7.2
  const text = metadata
    .toString('utf8')
    .replaceAll('\r\n', '\n')
    .replace(/[ \t]+$/gm, '')
    .replace(/\n*$/, '\n')
  if (/^\.\.\.$/m.test(text)) throw noChart(chart, 'Chart.yaml has a line of three dots, at which helm would cut')
  return `${text}\n...\nfiles:\n  ${file}: sha256:${hex(digestOf(tgz))}\n`
}

/**
 * Name, version and tag of `charts/<name>-<version>.tgz`. A tag holds no `+`, and helm writes `_` for it:
 * https://helm.sh/docs/topics/registries/#oci-feature-deprecation-and-behavior-changes-with-v370
 */
export function chartReference(path: string): { readonly name: string; readonly version: string; readonly reference: string } {
  const name = chartNameOf(path)
  const version = path.slice(`charts/${name}-`.length, -'.tgz'.length)
  return { name, version, reference: `charts/${name}:${version.replaceAll('+', '_')}` }
}

/** The chart's name out of `charts/<name>-<version>.tgz`; versions of charts begin with a digit, some with a v before it. */
export function chartNameOf(path: string): string {
  return /^charts\/(.+?)-v?\d+\.[^/]*\.tgz$/.exec(path)?.[1] ?? ''
}
