/** Programs of a node that runs, ended and started again. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecResult } from '../exec.ts'
import type { Json } from '../oci/json.ts'
import { type Argv, apiserverArgv, type ConfigInput, containerdSocket, encryptionFile, groundArgv, nodeArgv } from './config.ts'
import type { Daemons } from './daemons.ts'
import { network } from './network.ts'
import { type Patience, until } from './wait.ts'

export interface RunningNode {
  readonly input: ConfigInput
  readonly daemons: Daemons
  /** inside */
  readonly exec: (argv: Argv, options?: { readonly signal?: AbortSignal }) => Promise<ExecResult>
  readonly patience: Omit<Patience, 'what'>
}

/** Whether a program says what is expected. */
export function answers({ exec }: Pick<RunningNode, 'exec'>, argv: Argv, expected = /./s) {
  return async (signal: AbortSignal): Promise<boolean> => expected.test((await exec(argv, { signal })).stdout.toString('utf8'))
}

export const containerdAnswers: Argv = ['ctr', '--address', containerdSocket, 'version']
export const apiAnswers: Argv = ['kubectl', 'get', '--raw', '/readyz']
/** The node's object may say Ready of a kubelet that is dead; the kubelet itself can't. */
const kubeletAnswers: Argv = ['kubectl', 'get', '--raw', `/api/v1/nodes/${network.node}/proxy/healthz`]

export function restarts(node: RunningNode): { restart(): Promise<void>; encrypt(configuration: Json): Promise<void> } {
  const { input, daemons, patience } = node
  let encrypted = false
  const startApi = async (others: Readonly<Record<string, Argv>>): Promise<void> => {
    daemons.start({ ...others, 'kube-apiserver': apiserverArgv(input, encrypted) })
    await until({ what: 'the API server', ...patience }, answers(node, apiAnswers, /^ok$/))
  }
  return {
    async restart() {
      const ended = daemons.end()
      // all that is left in the namespaces, shims and containers, but for process 1 and the one that does it
      await node.exec(['sh', '-c', 'kill -9 -1'])
      await ended
      await startApi(groundArgv(input))
      await until({ what: 'containerd', ...patience }, answers(node, containerdAnswers))
      daemons.start(nodeArgv(input))
      await until({ what: 'the kubelet', ...patience }, answers(node, kubeletAnswers, /^ok$/))
    },
    async encrypt(configuration) {
      await writeFile(join(input.paths.config, encryptionFile), JSON.stringify(configuration), { mode: 0o600 })
      encrypted = true
      await daemons.end(['kube-apiserver'])
      await startApi({})
    },
  }
}
