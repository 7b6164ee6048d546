/** Inside the namespaces: network devices that lead nowhere, and folders of the cluster's own in place of the machine's. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Argv } from './config.ts'
import { network } from './network.ts'
import { clusterError } from './refusal.ts'

/** Where programs of a node keep what they know, on this machine too: hidden inside the namespaces. */
const hidden = ['/var/lib', '/var/log'] as const
const memory = '/run'

/** A cluster whose own folder were hidden could not start. Throws RFO_CLUSTER_PLACE. */
export function refusePlace(folder: string): void {
  const bad = [...hidden, memory].find((each) => `${folder}/`.startsWith(`${each}/`))
  if (bad === undefined) return
  throw clusterError('PLACE', `a cluster can't keep its files below ${bad}: inside it they are its own`, {
    where: folder,
    next: 'choose another folder with --store',
  })
}

/** In this order, each inside. `folder` is the cluster's; its sub-folders for data are made. */
export async function setUp(folder: string): Promise<readonly Argv[]> {
  const own = hidden.map((path) => [path, join(folder, 'data', path.slice(1))] as const)
  for (const [, data] of own) await mkdir(data, { recursive: true })
  const { address, prefix, node } = network
  return [
    ...own.map(([path, data]): Argv => ['mount', '--bind', data, path]),
    ['mount', '-t', 'tmpfs', '-o', 'size=2g,mode=0755', 'tmpfs', memory],
    ['mkdir', '-p', `${memory}/lock`, `${memory}/containerd`],
    // mounts in a pod and on the node must be able to see each other
    ['mount', '--make-rshared', '/'],
    ['hostname', node],
    ['ip', 'link', 'set', 'lo', 'up'],
    // a dummy device needs a module that not every kernel has; the default route leads into the veth, so nothing leaves
    ['ip', 'link', 'add', 'rfo0', 'type', 'veth', 'peer', 'name', 'rfo1'],
    ['ip', 'link', 'set', 'rfo1', 'up'],
    ['ip', 'address', 'add', `${address}/${prefix}`, 'dev', 'rfo0'],
    ['ip', 'link', 'set', 'rfo0', 'up'],
    ['ip', 'route', 'add', 'default', 'dev', 'rfo0'],
  ]
}
