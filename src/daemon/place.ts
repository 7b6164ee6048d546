/** Where images are kept on a machine, as a person names it: `containerd:[namespace][@socket]`, `docker:`. */
import { RfoError } from '../error.ts'

export type DaemonPlace = { readonly kind: 'docker' } | ContainerdPlace

export interface ContainerdPlace {
  readonly kind: 'containerd'
  readonly namespace: string
  /** absolute path of the socket */
  readonly address: string
}

/** Where the kubelet's images are: https://github.com/containerd/containerd/blob/v1.6.20/docs/namespaces.md */
const kubernetes = 'k8s.io'
/** of the containerd that RKE2, and so RFO, runs */
const nodeSocket = '/run/k3s/containerd/containerd.sock'

/** undefined = no such place: a path, a registry. Throws RFO_LOAD_PLACE (usage) for one that is misspelt. */
export function daemonPlace(text: string, env: Readonly<Record<string, string>>): DaemonPlace | undefined {
  if (text === 'docker:') return { kind: 'docker' }
  const [, namespace, socket] = /^containerd:([^@]*)(?:@(.*))?$/.exec(text) ?? []
  if (namespace === undefined && !text.startsWith('docker:')) return undefined
  const address = (socket ?? (env['CONTAINERD_ADDRESS'] || nodeSocket)).replace(/^unix:\/\//, '')
  // https://github.com/containerd/containerd/blob/v1.6.20/identifiers/validate.go
  if (namespace !== undefined && /^(?:[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*)?$/.test(namespace) && address.startsWith('/'))
    return { kind: 'containerd', namespace: namespace === '' ? kubernetes : namespace, address }
  throw new RfoError('RFO_LOAD_PLACE', `not a place for images: ${JSON.stringify(text.slice(0, 100))}`, {
    exit: 'usage',
    next: 'containerd:[<namespace>][@<absolute path of its socket>], or docker:',
  })
}

export function placeText(place: DaemonPlace): string {
  return place.kind === 'docker' ? 'docker:' : `containerd:${place.namespace}@${place.address}`
}
