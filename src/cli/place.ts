/** Where images go, or are, as a person names it. A bare path never reaches a network: it is a folder. */
import { resolve } from 'node:path'
import { type DaemonPlace, daemonPlace } from '../daemon/place.ts'
import { RfoError } from '../error.ts'
import { isRegistry, isRepository } from '../oci/reference.ts'
import type { CliContext } from './context.ts'

export type Place = { readonly kind: 'registry'; readonly registry: string; readonly prefix: string } | NodePlace

/** `folder`: a node's folder of images, absolute. */
export type NodePlace = DaemonPlace | { readonly kind: 'folder'; readonly folder: string }

/** `oci://host[:port][/prefix]`, `containerd:[namespace][@socket]`, `docker:`, or a folder. Throws RFO_CLI_USAGE, RFO_LOAD_PLACE (usage). */
export function placeOf(text: string, { cwd, env }: Pick<CliContext, 'cwd' | 'env'>): Place {
  const [, registry = '', prefix = ''] = /^oci:\/\/([^/]+)(?:\/(.+?))?\/?$/.exec(text) ?? []
  if (isRegistry(registry) && (prefix === '' || isRepository(prefix))) return { kind: 'registry', registry, prefix }
  const daemon = daemonPlace(text, env)
  if (daemon !== undefined) return daemon
  if (text !== '' && !/^[a-z0-9+.-]+:/i.test(text)) return { kind: 'folder', folder: resolve(cwd, text) }
  throw new RfoError('RFO_CLI_USAGE', `not a place to load into: ${JSON.stringify(text.slice(0, 100))}`, {
    exit: 'usage',
    next: '--to oci://<host>[:<port>][/<prefix>], a folder of images, containerd:[<namespace>][@<socket>], or docker:',
  })
}
