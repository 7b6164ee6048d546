/** CoreDNS as every cluster has it; `image` is the release's. https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed */
import { network } from './network.ts'

/** For `kubectl apply -f -`. */
export function dnsManifest(image: string): string {
  const kubeSystem = (name: string): object => ({ name, namespace: 'kube-system' })
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'coredns' }
  const corefile = [
    '.:53 {',
    '    errors',
    '    health :8085',
    '    ready :8181',
    '    cache 5',
    `    kubernetes ${network.domain} in-addr.arpa ip6.arpa {`,
    '        pods insecure',
    '    }',
    '}',
    '',
  ].join('\n')
  const items = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: kubeSystem('coredns') },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'coredns' },
      rules: [
        { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'coredns' },
      roleRef: role,
      subjects: [{ kind: 'ServiceAccount', ...kubeSystem('coredns') }],
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: kubeSystem('coredns'), data: { Corefile: corefile } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...kubeSystem('coredns'), labels: { 'k8s-app': 'kube-dns' } },
      spec: {
        replicas: 1,
        selector: { matchLabels: { 'k8s-app': 'kube-dns' } },
        template: {
          metadata: { labels: { 'k8s-app': 'kube-dns' } },
          spec: {
            serviceAccountName: 'coredns',
            dnsPolicy: 'Default',
            containers: [
              {
                name: 'coredns',
                image,
                // it is there, or the cluster is not what it says
                imagePullPolicy: 'Never',
                args: ['-conf', '/etc/coredns/Corefile'],
                readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 2 },
                volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
              },
            ],
            volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: kubeSystem('kube-dns'),
      spec: {
        clusterIP: network.dns,
        selector: { 'k8s-app': 'kube-dns' },
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        ],
      },
    },
  ]
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}
