/** helm-controller in the cluster: inside rfo, where rfo is; else the release's image of it. */
import type { Json } from '../../oci/json.ts'
import { chartContent } from './chart.ts'
import { type ApiPorts, NotProven } from './check.ts'
import { apply, eventually, inNamespace, kubectl } from './kubectl.ts'

const crds = ['helmcharts.helm.cattle.io', 'helmchartconfigs.helm.cattle.io'] as const

/** Throws NotProven where there is none. */
async function startHelmController(ports: ApiPorts): Promise<void> {
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

/** A chart of the check's own, in a namespace of its own; removed before that, which its finalizer would keep from ending. */
export async function withHelmChart<T>(ports: ApiPorts, name: string, values: string, use: (namespace: string) => Promise<T>): Promise<T> {
  await startHelmController(ports)
  return await inNamespace(ports, name, async (namespace) => {
    try {
      await applyChart(ports, namespace, values)
      return await use(namespace)
    } finally {
      await kubectl(ports, '-n', namespace, 'delete', 'helmchart', 'rfo-check', '--ignore-not-found', `--timeout=${ports.seconds}s`).catch(
        () => {},
      )
    }
  })
}

async function applyChart(ports: ApiPorts, namespace: string, values: string): Promise<void> {
  const { helmJob } = ports.images
  await apply(ports, {
    apiVersion: 'helm.cattle.io/v1',
    kind: 'HelmChart',
    metadata: { name: 'rfo-check', namespace },
    spec: { chartContent: await chartContent(), valuesContent: values, ...(helmJob === undefined ? {} : { jobImage: helmJob }) },
  })
}

/** The values that reached the chart's ConfigMap, once `word` is the expected one. */
export async function installedWith(ports: ApiPorts, namespace: string, word: string): Promise<string> {
  return await eventually(ports, `the chart is installed with word=${word}`, async () => {
    const data = await kubectl(ports, '-n', namespace, 'get', 'configmap', 'rfo-check', '-o=jsonpath={.data.word}/{.data.other}')
    return data.startsWith(`${word}/`) ? data : undefined
  })
}
