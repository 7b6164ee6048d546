/** containerd, by its own `ctr`: images go in as one tar, and it is asked what it has. */

import { RfoError } from '../error.ts'
import { exec, filter } from '../exec.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { type ContainerdPlace, placeText } from './place.ts'

export interface DaemonOptions {
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface HeldImage {
  /** of what the name leads to: a manifest, or an index */
  readonly digest: Digest
  /** All its content is there, or it has been unpacked. */
  readonly whole: boolean
}

/**
 * All images of the tar, or none of their names: containerd names them once it has read all of it. Not unpacked: whoever first runs one
 * unpacks it, with that namespace's own snapshotter.
 */
export async function importImages(place: ContainerdPlace, tar: AsyncIterable<Uint8Array>, options: DaemonOptions): Promise<void> {
  const argv = ctr(place, ['images', 'import', '--all-platforms', '--no-unpack', '-'])
  try {
    for await (const _ of filter(argv, tar, options));
  } catch (thrown) {
    throw told(place, thrown)
  }
}

/** Name → image. */
export async function imagesIn(place: ContainerdPlace, options: DaemonOptions): Promise<ReadonlyMap<string, HeldImage>> {
  const { stdout } = await exec(ctr(place, ['images', 'check']), options).catch((thrown: unknown) => Promise.reject(told(place, thrown)))
  return checkedImages(stdout.toString('utf8'))
}

/**
 * REF TYPE DIGEST STATUS SIZE UNPACKED; STATUS is `complete (5/5)`, `incomplete (3/5)`, `unavailable (0/?)`.
 * https://github.com/containerd/containerd/blob/v1.6.20/cmd/ctr/commands/images/images.go
 */
export function checkedImages(text: string): ReadonlyMap<string, HeldImage> {
  const found = new Map<string, HeldImage>()
  for (const line of text.split('\n')) {
    const [, name, digest, status, unpacked] = /^(\S+)\s+\S+\s+(sha256:\S+)\s+(\w+).*?(true|false)?\s*$/.exec(line) ?? []
    if (name === undefined || digest === undefined || !isDigest(digest)) continue
    found.set(name, { digest, whole: status === 'complete' || unpacked === 'true' })
  }
  return found
}

function ctr({ address, namespace }: ContainerdPlace, argv: readonly string[]): [string, ...string[]] {
  return ['ctr', '--address', address, '--namespace', namespace, ...argv]
}

/** What a stream throws while it is read says more than that a program ended. */
function told(place: ContainerdPlace, thrown: unknown): unknown {
  if (!(thrown instanceof RfoError) || !thrown.code.startsWith('RFO_EXEC_')) return thrown
  const absent = thrown.code === 'RFO_EXEC_ABSENT'
  return new RfoError('RFO_LOAD_CONTAINERD', absent ? 'there is no ctr on the PATH' : 'containerd refuses, or does not answer', {
    exit: 'machine',
    where: placeText(place),
    details: thrown.details,
    cause: thrown,
    next: absent
      ? 'put the folder of ctr on the PATH: /var/lib/rancher/rfo/bin on a node'
      : 'look at containerd, then run the same command again',
  })
}
