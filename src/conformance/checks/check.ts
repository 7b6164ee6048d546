/** A check of a release in a cluster: what the conformance suite does not ask. Data, and what it does. */
import { RfoError } from '../../error.ts'
import type { ExecOptions, ExecResult } from '../../exec.ts'
import type { Json } from '../../oci/json.ts'

export type Argv = readonly [string, ...string[]]

/** Any cluster whose API answers. */
export interface ApiPorts {
  /** Runs a program where the cluster's API can be reached. */
  exec(argv: Argv, options?: Pick<ExecOptions, 'stdin' | 'maxBytes'>): Promise<ExecResult>
  /** How long each step may take. */
  readonly seconds: number
  readonly signal: AbortSignal
  /** As the nodes know them. */
  readonly images: CheckImages
}

export interface CheckImages {
  /** the release's own, to be started here; absent: the cluster has one that runs, or the release has none */
  readonly helmController?: string
  /** what installs charts; absent: the controller's own word */
  readonly helmJob?: string
}

/** A node that is ours. */
export interface NodePorts extends ApiPorts {
  readonly images: CheckImages & {
    /** the release's */
    readonly pause: string
    /** one with a shell */
    readonly shell: string
  }
  /** Kills every process of the node at once and starts its programs again. */
  restart(): Promise<void>
  /** Starts the API server again with this EncryptionConfiguration. */
  encrypt(configuration: Json): Promise<void>
  /** What lies in etcd under a key, byte for byte. */
  stored(key: string): Promise<Buffer>
  /** What a program of the node has said. */
  log(program: string): Promise<string>
}

interface Titled {
  /** what holds when it passes */
  readonly title: { readonly en: string; readonly zh: string }
}

export type Check = Titled &
  (
    | { readonly needs: 'api'; run(ports: ApiPorts): Promise<Seen> }
    | { readonly needs: 'node'; run(ports: NodePorts): Promise<Seen> }
    /** Nothing here can run it: these commands on the server, as root, `<…>` being what only the place knows. */
    | { readonly needs: 'rfo'; readonly commands: readonly Argv[] }
  )

/** What was seen, kept with the results. */
export type Seen = Readonly<Record<string, Json>>

/** What a check throws that did not see what it must. */
export function checkFailed(why: string, excerpt: readonly string[] = [], cause?: unknown): RfoError {
  return new RfoError('RFO_CHECK_FAILED', why, { exit: 'build', details: excerpt, ...(cause === undefined ? {} : { cause }) })
}

/** What a check throws that can't be made here. */
export class NotProven extends Error {}
