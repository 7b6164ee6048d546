/**
 * A chart as `helm push` lays it into a registry and `helm pull` takes it out: https://helm.sh/docs/topics/registries/#helm-chart-manifest
 * A pure function of the archive and its provenance, so that a verifier can make it again and compare the bytes.
 */
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { noChart, readChartArchive } from './chart-archive.ts'
import { metadataJson } from './chart-yaml.ts'

export const chartTypes = {
  config: 'application/vnd.cncf.helm.config.v1+json',
  content: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  provenance: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
} as const

export interface ChartArtifact {
  /** of the manifest */
  readonly descriptor: Descriptor
  /** of the manifest: canonical JSON */
  readonly text: string
  /** config and layers, to be pushed before the manifest */
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[]
}

/** `provenance`: the `.prov`; absent = nobody signed with PGP. Throws RFO_PACK_CHART. */
export async function chartArtifact(tgz: Uint8Array, chart: string, version: string, provenance?: Uint8Array): Promise<ChartArtifact> {
  const file = (await readChartArchive(tgz, chart)).get('Chart.yaml')
  if (file === undefined) throw noChart(chart, 'no Chart.yaml')
  const config = blob(chartTypes.config, canonicalJson(metadataJson(file, chart)))
  const layers = [blob(chartTypes.content, tgz), ...(provenance === undefined ? [] : [blob(chartTypes.provenance, provenance)])]
  const text = canonicalJson({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor as unknown as Json,
    layers: layers.map(({ descriptor }) => descriptor as unknown as Json),
    annotations: { [annotationKeys.title]: chart, [annotationKeys.version]: version },
  })
  return { descriptor: blob(mediaTypes.manifest, text).descriptor, text, blobs: [config, ...layers] }
}

function blob(mediaType: string, content: string | Uint8Array): { readonly descriptor: Descriptor; readonly bytes: Buffer } {
  const bytes = Buffer.from(content)
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}
