/**
 * How a chart travels to a node: a HelmChart manifest in the runtime image that the supervisor copies to its manifests and
 * helm-controller installs. https://docs.rke2.io/helm#using-the-helm-crd
 */
import { RfoError } from '../error.ts'
import { quoted } from './chart-archive.ts'

export interface HelmChartRequest {
  readonly name: string
  readonly namespace: string
  /** install it before the node is ready, on the host's network: what the node needs to become ready */
  readonly bootstrap: boolean
  /** where upstream's chart came from */
  readonly url: string
  readonly tgz: Buffer
}

/** https://etcd.io/docs/v3.5/dev-guide/limit/: "etcd is designed to handle small key value pairs", 1.5 MiB a request */
const maxManifestBytes = 1_500_000
const nameForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * RKE2's CHART_BOOTSTRAP: what a node needs to become ready is installed at once; these wait until it is. For releases whose
 * record does not say it. A name that RKE2 adds is recorded with its release: undefined = not known.
 */
const bootstraps: Readonly<Record<string, boolean>> = {
  'harvester-cloud-provider': true,
  'harvester-csi-driver': true,
  'rancher-vsphere-cpi': true,
  'rancher-vsphere-csi': true,
  'rke2-calico': true,
  'rke2-calico-crd': true,
  'rke2-canal': true,
  'rke2-cilium': true,
  'rke2-coredns': true,
  'rke2-ingress-nginx': false,
  'rke2-metrics-server': false,
  'rke2-multus': true,
}

/** Throws RFO_PACK_BOOTSTRAP for a chart that nobody has decided about. */
export function isBootstrap(chart: string): boolean {
  const known = Object.hasOwn(bootstraps, chart) ? bootstraps[chart] : undefined
  if (known !== undefined) return known
  throw new RfoError('RFO_PACK_BOOTSTRAP', `nobody has said whether a node needs the chart ${quoted(chart)} to become ready`, {
    exit: 'usage',
    next: 'write bootstrap beside it in pipelines/upstream, as RKE2’s own charts/chart_versions.yaml says',
  })
}

/** `/charts/rke2-coredns.yaml`: the file of the runtime image. */
export function helmChartFile(chart: string): string {
  return `/charts/${chart}.yaml`
}

/** The manifest; `global.*` is set on the node. Throws RFO_PACK_CHART for a chart that etcd would not take. */
export function helmChartManifest(request: HelmChartRequest): string {
  const { name, namespace, url, bootstrap, tgz } = request
  if (!nameForm.test(name) || !nameForm.test(namespace))
    throw new RfoError('RFO_PACK_CHART', `not names of Kubernetes: ${quoted(`${namespace}/${name}`)}`, { exit: 'untrusted' })
  const manifest = `apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: ${JSON.stringify(name)}
  namespace: ${JSON.stringify(namespace)}
  annotations:
    helm.cattle.io/chart-url: ${JSON.stringify(url)}
spec:
  bootstrap: ${bootstrap}
  chartContent: ${tgz.toString('base64')}
`
  if (manifest.length > maxManifestBytes)
    throw new RfoError('RFO_PACK_CHART', `the manifest of chart ${name} has ${manifest.length} bytes; etcd takes ${maxManifestBytes}`, {
      exit: 'condition',
    })
  return manifest
}
