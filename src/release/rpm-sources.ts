/** What specs name as their sources, out of a release: the tarball and its units, the program for hosts, and what rfo-build writes itself. */
import { basename } from 'node:path'
import { pushBytes } from '../content/read.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { tarballName } from '../pack/tarball.ts'
import { explorerSources } from '../rpm/explorer.ts'
import { unitSources } from '../rpm/rfo.ts'
import { given } from './given.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { bundlePrefix, titledIn } from './titled.ts'

/** Of one platform, by their names in the specs; what is of no platform is the same in all. `tarball`: its index. */
export async function packageSources(
  { selinux }: Pick<ReleaseRequest, 'selinux'>,
  platform: PlatformName,
  { tarball, program }: { readonly tarball: Descriptor; readonly program?: Descriptor },
  ports: ReleasePorts,
): Promise<Map<string, Descriptor>> {
  const sources = new Map<string, Descriptor>()
  const put = async (name: string, bytes: string | Uint8Array): Promise<void> => {
    sources.set(name, await pushBytes(ports.store, mediaTypes.octets, bytes))
  }
  for (const [name, text] of Object.entries(explorerSources)) await put(name, text)
  if (selinux !== undefined) await put(`${selinux.module}.pp`, selinux.bytes)
  const made = await titledIn(tarball, ports)
  const name = tarballName(platform).tarball
  sources.set(name, given(made.get(name)))
  for (const path of unitSources) sources.set(basename(path), given(made.get(`${bundlePrefix}${path}`)))
  if (program !== undefined) sources.set(`kube-explorer.linux-${platformOf(platform).architecture}`, program)
  return sources
}
