/** helm-controller in the cluster: inside rfo, where rfo is; else the release's image of it. */
import type { Json } from '../../oci/json.ts'
import { type ApiPorts, NotProven } from './check.ts'
import { apply, eventually, kubectl } from './kubectl.ts'

const crds = ['helmcharts.helm.cattle.io', 'helmchartconfigs.helm.cattle.io'] as const

/** Throws NotProven where there is none. */
export async function startHelmController(ports: ApiPorts): Promise<void> {
  const { helmController } = ports.images
  if (helmController === undefined) {
    const there = await kubectl(ports, 'get', 'crd', '--ignore-not-found', '-o=name', crds[0])
    if (there === '') throw new NotProven('no helm-controller in this cluster, and none of the release to be started')
    return
  }
  await apply(ports, ...objects(helmController))
  await eventually(ports, 'helm-controller has made its resources', async () => {
    for (const crd of crds) await kubectl(ports, 'wait', '--for=condition=Established', `crd/${crd}`, '--timeout=1s')
    return true
  })
}

/** As upstream's manifests have it: https://github.com/k3s-io/helm-controller/tree/v0.13.0/manifests */
function objects(image: string): Json[] {
  const metadata = { name: 'helm-controller', namespace: 'kube-system' }
  const labels = { app: 'helm-controller' }
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'helm-controller' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { serviceAccountName: 'helm-controller', containers: [{ name: 'helm-controller', image, imagePullPolicy: 'Never' }] },
        },
      },
    },
  ]
}

export async function helmChart(namespace: string, values: string, ports: ApiPorts, content: string): Promise<void> {
  const { helmJob } = ports.images
  await apply(ports, {
    apiVersion: 'helm.cattle.io/v1',
    kind: 'HelmChart',
    metadata: { name: 'rfo-check', namespace },
    spec: { chartContent: content, valuesContent: values, ...(helmJob === undefined ? {} : { jobImage: helmJob }) },
  })
}

/** The values that reached the chart's ConfigMap, once `word` is the expected one. */
export async function installedWith(ports: ApiPorts, namespace: string, word: string): Promise<string> {
  return await eventually(ports, `the chart is installed with word=${word}`, async () => {
    const data = await kubectl(ports, '-n', namespace, 'get', 'configmap', 'rfo-check', '-o=jsonpath={.data.word}/{.data.other}')
    return data.startsWith(`${word}/`) ? data : undefined
  })
}
