/** A one-node cluster out of programs and images that are given, in namespaces of its own. Needs root. */
import { randomUUID } from 'node:crypto'
import { access, constants, mkdir, readFile, statfs, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import type { ExecOptions, ExecResult } from '../exec.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type NodeImage, writeImageArchive } from './archive.ts'
import { makeCgroups } from './cgroups.ts'
import {
  type Argv,
  apiserverArgv,
  type ConfigInput,
  configFiles,
  containerdSocket,
  etcdctlEnv,
  groundArgv,
  nodeArgv,
  type Paths,
} from './config.ts'
import { createDaemons, type Daemons } from './daemons.ts'
import { collectDiagnostics } from './diagnostics.ts'
import { dnsManifest } from './dns.ts'
import { cgroupOf, markCluster, removeCluster, removeLeftovers } from './leftover.ts'
import { refusePlace, setUp } from './mounts.ts'
import { type Namespaces, openNamespaces } from './namespaces.ts'
import { network } from './network.ts'
import { makePki } from './pki.ts'
import { clusterError } from './refusal.ts'
import { answers, apiAnswers, containerdAnswers, restarts } from './restart.ts'
import { until } from './wait.ts'

/** What of this machine takes part besides. */
export const hostTools = ['hostname', 'ip', 'iptables', 'mkdir', 'mount', 'nsenter', 'openssl', 'setpriv', 'unshare'] as const

export interface ClusterRequest {
  /** a folder for each cluster is made in it */
  readonly clusters: string
  /**
   * Puts what config.ts calls, and pause to be process 1, under those names, and the CNI plugins into folders that are there,
   * and go with the cluster.
   */
  readonly putPrograms: (into: Pick<Paths, 'programs' | 'cniPlugins'>) => Promise<void>
  readonly platform: PlatformName
  readonly images: readonly NodeImage[]
  /** two of their names */
  readonly pause: string
  readonly dns: string
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** how long each step may take to be ready; default `defaultSeconds` */
  readonly seconds?: number
  /** where logs, events and descriptions are put when something fails; replaced */
  readonly diagnostics: string
  /** what is being done, in a few words */
  readonly say: (what: string) => void
}

export interface Cluster {
  /** a file; whoever has it and is inside is an administrator */
  readonly kubeconfig: string
  /** folders: configuration of its programs, and their certificates, keys and kubeconfigs */
  readonly files: { readonly config: string; readonly pki: string }
  /** Runs a program of the machine or the node inside, with KUBECONFIG and etcdctl's variables set; ends with the cluster. */
  exec(argv: Argv, options?: Partial<ExecOptions>): Promise<ExecResult>
  /** Adds images to the node. */
  load(images: readonly NodeImage[]): Promise<void>
  /**
   * Kills every process of the node at once, those of containers too, as a loss of power does, and starts its programs again.
   * Files stay, /run's too.
   */
  restart(): Promise<void>
  /** Starts the API server again, with an EncryptionConfiguration: https://kubernetes.io/docs/reference/config-api/apiserver-encryption.v1/ */
  encrypt(configuration: Json): Promise<void>
  /** What a program of the node has said, `containerd`. */
  log(program: string): Promise<string>
  /** Aborted when a program of the node has ended. */
  readonly died: AbortSignal
  /** Keeps logs, events and descriptions in the request's folder. */
  diagnose(): Promise<void>
  /** Ends everything and leaves nothing. May be called twice. */
  stop(): Promise<void>
}

const defaultSeconds = 180
/** bytes; images are unpacked beside their archive */
const neededSpace = 3 * 2 ** 30

/** Throws RFO_CLUSTER_* ; after a throw nothing runs and nothing is left but the diagnostics. */
export async function startCluster(request: ClusterRequest): Promise<Cluster> {
  await checkMachine(request)
  for (const id of await removeLeftovers(request.clusters)) request.say(`removed what was left of cluster ${id}`)
  const id = randomUUID().slice(0, 8)
  const folder = join(request.clusters, id)
  await mkdir(join(folder, 'logs'), { recursive: true })
  await markCluster(folder)
  const opened: { namespaces?: Namespaces; daemons?: Daemons } = {}
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      await opened.daemons?.close()
      await opened.namespaces?.stop()
      await removeCluster(request.clusters, id)
    })()
    return stopped
  }
  try {
    const paths: Paths = { programs: join(folder, 'bin'), cniPlugins: join(folder, 'cni-bin'), config: join(folder, 'config') }
    await mkdir(paths.programs)
    await mkdir(paths.cniPlugins)
    await request.putPrograms(paths)
    await makeCgroups(cgroupOf(id))
    const env = { ...request.env, PATH: [paths.programs, request.env.PATH ?? ''].join(delimiter) }
    const namespaces = await openNamespaces([join(paths.programs, 'pause')], env)
    opened.namespaces = namespaces
    await markCluster(folder, namespaces.init)
    const daemons = createDaemons(namespaces, join(folder, 'logs'), env)
    opened.daemons = daemons
    const cluster = clusterIn(request, folder, namespaces, daemons, env, stop)
    let input: ConfigInput
    try {
      input = await bringUp(request, { id, folder, paths }, cluster, daemons)
    } catch (thrown) {
      if (!request.signal.aborted) await cluster.diagnose()
      // what was going on when a program died was only aborted by it
      daemons.died.throwIfAborted()
      throw thrown
    }
    const patience = { seconds: request.seconds ?? defaultSeconds, signal: AbortSignal.any([request.signal, daemons.died]) }
    return { ...cluster, ...restarts({ input, daemons, exec: cluster.exec, patience }) }
  } catch (thrown) {
    await stop()
    request.signal.throwIfAborted()
    throw thrown
  }
}

async function checkMachine({ clusters, env }: ClusterRequest): Promise<void> {
  if (process.getuid?.() !== 0)
    throw clusterError('ROOT', 'a cluster of one’s own needs root', { next: 'run as root, or give a cluster with --kubeconfig' })
  refusePlace(clusters)
  const folders = (env.PATH ?? '').split(delimiter).filter((each) => each !== '')
  for (const tool of hostTools) {
    const found = await Promise.all(folders.map((each) => isProgram(join(each, tool))))
    if (!found.includes(true)) throw clusterError('TOOL', `no program ${tool} on the PATH`, { next: `install ${tool}` })
  }
  await mkdir(clusters, { recursive: true })
  const { bavail, bsize } = await statfs(clusters)
  if (bavail * bsize < neededSpace) {
    const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1)
    throw clusterError('SPACE', `${gib(bavail * bsize)} GiB free, a cluster needs ${gib(neededSpace)}`, {
      where: clusters,
      next: 'free some space, or choose another disk with --store',
    })
  }
}

function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function clusterIn(
  request: ClusterRequest,
  folder: string,
  namespaces: Namespaces,
  daemons: Daemons,
  env: Readonly<Record<string, string>>,
  stop: () => Promise<void>,
): Omit<Cluster, 'restart' | 'encrypt'> {
  const kubeconfig = join(folder, 'pki', 'admin.kubeconfig')
  const clients = { ...env, ...etcdctlEnv({ file: (name) => join(folder, 'pki', name) }), KUBECONFIG: kubeconfig }
  const ending = AbortSignal.any([request.signal, daemons.died])
  const inside: Cluster['exec'] = (argv, options = {}) =>
    namespaces.exec(argv, {
      ...options,
      env: { ...clients, ...options.env },
      signal: options.signal === undefined ? ending : AbortSignal.any([options.signal, ending]),
    })
  return {
    kubeconfig,
    files: { config: join(folder, 'config'), pki: join(folder, 'pki') },
    died: daemons.died,
    exec: inside,
    async load(images) {
      const archive = join(folder, `images-${randomUUID()}.tar`)
      await writeImageArchive(archive, images, request.platform, ending)
      await inside(['ctr', '--address', containerdSocket, '--namespace', 'k8s.io', 'images', 'import', archive])
      await namespaces.exec(['rm', archive], { env })
    },
    log: (program) => readFile(join(folder, 'logs', `${program}.log`), 'utf8'),
    diagnose: () =>
      collectDiagnostics({
        logs: join(folder, 'logs'),
        into: request.diagnostics,
        // the cluster may be dying: what still answers is asked all the same
        ask: (argv, options) => namespaces.exec(argv, { ...options, env: { ...env, KUBECONFIG: kubeconfig } }),
      }),
    stop,
  }
}

async function bringUp(
  request: ClusterRequest,
  { id, folder, paths }: { readonly id: string; readonly folder: string; readonly paths: Paths },
  cluster: Pick<Cluster, 'exec' | 'load'>,
  daemons: Daemons,
): Promise<ConfigInput> {
  const { say, seconds = defaultSeconds } = request
  const signal = AbortSignal.any([request.signal, daemons.died])
  say('namespaces, certificates')
  for (const argv of await setUp(folder)) await cluster.exec(argv, { exit: 'machine' })
  await cluster.exec(['tee', '/proc/sys/net/ipv4/ip_forward'], { stdin: Buffer.from('1'), exit: 'machine' })
  const pki = await makePki(join(folder, 'pki'), request.env, signal)
  const input: ConfigInput = { paths, pki, pause: request.pause, cgroup: cgroupOf(id) }
  for (const [name, text] of Object.entries(configFiles(input))) {
    await mkdir(dirname(join(paths.config, name)), { recursive: true })
    await writeFile(join(paths.config, name), text, { mode: 0o600 })
  }
  say('etcd, containerd, API server')
  daemons.start({ ...groundArgv(input), 'kube-apiserver': apiserverArgv(input, false) })
  await until({ what: 'containerd', seconds, signal }, answers(cluster, containerdAnswers))
  say(`${request.images.length} images`)
  await Promise.all([
    cluster.load(request.images),
    until({ what: 'the API server', seconds, signal }, answers(cluster, apiAnswers, /^ok$/)),
  ])
  say('the node')
  daemons.start(nodeArgv(input))
  const status = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
  await until({ what: 'the node', seconds, signal }, answers(cluster, ['kubectl', 'get', 'node', network.node, status], /^True$/))
  say('CoreDNS')
  await cluster.exec(['kubectl', 'apply', '-f', '-'], { stdin: Buffer.from(dnsManifest(request.dns)) })
  await until(
    { what: 'CoreDNS', seconds, signal },
    answers(cluster, ['kubectl', '-n', 'kube-system', 'get', 'deployment', 'coredns', '-o=jsonpath={.status.readyReplicas}'], /^1$/),
  )
  return input
}
