/** A cluster that tests run in: one made here of the release, or one that somebody gives. */
import type { Argv } from '../cluster/config.ts'
import { containerdSocket } from '../cluster/config.ts'
import { execAgainst } from '../cluster/given.ts'
import { type Cluster, startCluster } from '../cluster/start.ts'
import type { NodePorts } from '../conformance/checks/check.ts'
import type { DriverPorts } from '../conformance/driver.ts'
import { RfoError } from '../error.ts'
import type { ReleasePorts } from './ports.ts'

export interface TestTarget {
  readonly kubeconfig: string
  readonly exec: DriverPorts['exec']
  /** where a node that is ours has its files; absent: it is somebody's */
  readonly folders?: Cluster['files']
  /** Image name → digest, as the nodes have them. */
  images(): Promise<ReadonlyMap<string, string>>
  /** what can be done to a node that is ours; absent: it is somebody's */
  readonly node?: Pick<NodePorts, 'restart' | 'encrypt' | 'stored' | 'log'>
  /** Keeps what helps to understand a failure, where there is anything to keep. */
  diagnose(): Promise<void>
  stop(): Promise<void>
}

export async function localTarget(request: Parameters<typeof startCluster>[0]): Promise<TestTarget> {
  const cluster: Cluster = await startCluster(request)
  return {
    kubeconfig: cluster.kubeconfig,
    folders: cluster.files,
    exec: (argv, options) => cluster.exec(argv, options),
    async images() {
      const { stdout } = await cluster.exec(['ctr', '--address', containerdSocket, '--namespace', 'k8s.io', 'images', 'ls'])
      // REF TYPE DIGEST SIZE PLATFORMS LABELS
      const rows = stdout
        .toString('utf8')
        .split('\n')
        .slice(1)
        .map((line) => line.split(/\s+/))
      return new Map(
        rows.flatMap(([name, , digest]) => (name === undefined || digest === undefined || name === '' ? [] : [[name, digest]])),
      )
    },
    node: {
      restart: () => cluster.restart(),
      encrypt: (configuration) => cluster.encrypt(configuration),
      // etcdctl ends what it prints with a line's end
      stored: async (key) => (await cluster.exec(['etcdctl', 'get', key, '--print-value-only'])).stdout.subarray(0, -1),
      log: (program) => cluster.log(program),
    },
    diagnose: () => cluster.diagnose(),
    stop: () => cluster.stop(),
  }
}

/** `kubeconfig` is a file; kubectl is the machine's. */
export function givenTarget(kubeconfig: string, ports: Pick<ReleasePorts, 'env' | 'signal'>): TestTarget {
  const inside = execAgainst(kubeconfig, ports.env)
  return {
    kubeconfig,
    exec: inside,
    async images() {
      const path = '-o=jsonpath={range .items[*].status.images[*]}{.names}{"\\n"}{end}'
      const { stdout } = await inside(['kubectl', 'get', 'nodes', path], { signal: ports.signal })
      const found = new Map<string, string>()
      // ["docker.io/a/b@sha256:…","docker.io/a/b:v1"]; a node lists at most 50 images
      for (const line of stdout.toString('utf8').split('\n')) {
        if (line === '') continue
        const names = JSON.parse(line) as string[]
        const digest = names.find((name) => name.includes('@'))?.replace(/^.*@/, '')
        for (const name of names) if (digest !== undefined && !name.includes('@')) found.set(name, digest)
      }
      return found
    },
    diagnose: async () => {},
    stop: async () => {},
  }
}

/** One answer of the API as JSON. */
export async function askApi(target: TestTarget, argv: Argv, signal: AbortSignal): Promise<unknown> {
  const { stdout } = await target.exec(['kubectl', ...argv], { signal, maxBytes: 64 * 1024 * 1024 })
  try {
    return JSON.parse(stdout.toString('utf8'))
  } catch (cause) {
    throw new RfoError('RFO_TEST_API', `kubectl ${argv.join(' ')} answered with something else than JSON`, { exit: 'outside', cause })
  }
}
