import { type Check, checkFailed, type NodePorts } from './check.ts'
import { apply, eventually, inNamespace, kubectl } from './kubectl.ts'

/** Each start of the container adds a line to what the starts before wrote. */
const script = 'echo started >>/data/starts; exec sleep 86400'

export const nodeRestartCheck: Check = {
  needs: 'node',
  title: {
    en: 'killed all at once and started again, the node has its pods and their data back',
    zh: '节点全部进程同时被杀并重新启动后，Pod 及其数据恢复',
  },
  async run(ports) {
    return await inNamespace(ports, 'node-restart', async (namespace) => {
      const word = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept', namespace }, data: { word: 'kept' } }
      await apply(ports, word, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'keeper', namespace },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'keeper',
              image: ports.images.shell,
              command: ['sh', '-c', script],
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
          volumes: [{ name: 'data', emptyDir: {} }],
        },
      })
      const before = await eventually(ports, 'the pod runs', () => keeper(ports, namespace, 1))
      const dns = await dnsRestarts(ports)
      await ports.restart()
      const after = await eventually(ports, 'the same pod runs again, its data there', () => keeper(ports, namespace, before.starts + 1))
      if (before.uid !== after.uid) throw checkFailed('the pod is another one')
      const kept = await kubectl(ports, '-n', namespace, 'get', 'configmap', 'kept', '-o=jsonpath={.data.word}')
      if (kept !== 'kept') throw checkFailed(`what etcd kept is ${JSON.stringify(kept)}`)
      await eventually(ports, 'CoreDNS has started again', async () => ((await dnsRestarts(ports)) > dns ? true : undefined))
      return { starts: after.starts, coredns: 'started again' }
    })
  },
}

/** undefined until it has started so often; a node that comes back may start it more than once. */
async function keeper(ports: NodePorts, namespace: string, starts: number): Promise<{ uid: string; starts: number } | undefined> {
  const uid = await kubectl(ports, '-n', namespace, 'get', 'pod', 'keeper', '-o=jsonpath={.metadata.uid}')
  const lines = (await kubectl(ports, '-n', namespace, 'exec', 'keeper', '--', 'cat', '/data/starts')).split('\n')
  return lines.length >= starts && lines.every((line) => line === 'started') ? { uid, starts: lines.length } : undefined
}

/** -1 = not ready */
async function dnsRestarts(ports: NodePorts): Promise<number> {
  const path = '{.items[0].status.containerStatuses[0].ready} {.items[0].status.containerStatuses[0].restartCount}'
  const said = await kubectl(ports, '-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=kube-dns', `-o=jsonpath=${path}`)
  const [ready, count] = said.split(' ')
  return ready === 'true' ? Number(count) : -1
}
