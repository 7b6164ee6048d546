/** Docker, by its own client, which finds the daemon as it always does (DOCKER_HOST, contexts). */
import { RfoError } from '../error.ts'
import { exec, filter } from '../exec.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { DaemonOptions } from './containerd.ts'

/** Throws RFO_LOAD_DOCKER (machine) where there is no Docker, or one that keeps its images in containerd. */
export async function refuseOtherStore(options: DaemonOptions): Promise<void> {
  const status = await docker(['info', '--format', '{{json .DriverStatus}}'], options)
  // https://docs.docker.com/engine/storage/containerd/
  if (!status.includes('io.containerd.snapshotter')) return
  throw new RfoError('RFO_LOAD_DOCKER', 'this Docker keeps its images in containerd', {
    exit: 'machine',
    where: 'docker:',
    next: '--to containerd:moby@/run/containerd/containerd.sock',
  })
}

/** A docker-archive. Throws RFO_LOAD_DOCKER, and what `tar` throws. */
export async function loadArchive(tar: AsyncIterable<Uint8Array>, options: DaemonOptions): Promise<void> {
  try {
    for await (const _ of filter(['docker', 'load', '--quiet'], tar, options));
  } catch (thrown) {
    throw told(thrown)
  }
}

/** Name as Docker shortens it → image ID, which is the digest of its config. */
export async function dockerImages(options: DaemonOptions): Promise<ReadonlyMap<string, Digest>> {
  const listed = await docker(['image', 'ls', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}'], options)
  return new Map(
    listed.split('\n').flatMap((line) => {
      const [name = '', id = ''] = line.split(' ')
      return isDigest(id) ? [[name, id] as const] : []
    }),
  )
}

async function docker(argv: readonly string[], options: DaemonOptions): Promise<string> {
  const { stdout } = await exec(['docker', ...argv], options).catch((thrown: unknown) => Promise.reject(told(thrown)))
  return stdout.toString('utf8')
}

function told(thrown: unknown): unknown {
  if (!(thrown instanceof RfoError) || !thrown.code.startsWith('RFO_EXEC_')) return thrown
  const absent = thrown.code === 'RFO_EXEC_ABSENT'
  return new RfoError('RFO_LOAD_DOCKER', absent ? 'there is no docker on the PATH' : 'Docker refuses, or does not answer', {
    exit: 'machine',
    where: 'docker:',
    details: thrown.details,
    cause: thrown,
    next: absent ? 'install docker’s client' : 'look at docker info, then run the same command again',
  })
}
