/** Who answers what `lock` asks: module proxy, git hosts, registries, chart repositories. */
import type { CredentialSource } from '../content/credentials.ts'
import { createRegistrySession, openRegistry } from '../content/registry.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { LockedAdvisories } from '../plan/lock.ts'
import { parseImageName } from '../plan/reference.ts'
import { readPublicKey } from '../sign/key.ts'
import { download } from '../source/download.ts'
import { hostOfGo } from '../source/go-command.ts'
import { resolveSource } from '../source/resolve.ts'
import { type OpenRepository, resolveBase, resolveImage } from '../upstream/image.ts'
import { upstreamSignature } from '../upstream/signature.ts'
import type { Resolvers } from './lock.ts'
import { packageResolver } from './package-lock.ts'
import { goUse } from './source-task.ts'
import { verifyUpstream } from './verify-upstream.ts'

export interface ResolverPorts {
  /** The snapshot that was synced or imported last; throws (exit outside) when there is none. */
  readonly advisories?: () => Promise<LockedAdvisories>
  readonly env: Readonly<Record<string, string>>
  readonly addresses: Addresses
  readonly credentials: CredentialSource
  /** certificates that are trusted besides, as PEM */
  readonly ca?: string
  /** Holds module caches and downloads; may be deleted between runs. */
  readonly workDir: string
  readonly signal: AbortSignal
  /** What the asked programs print. */
  readonly line: (text: string) => void
}

export function resolvers(ports: ResolverPorts): Resolvers {
  const { addresses, workDir, signal, line } = ports
  const env = { ...ports.env }
  const at = { env, addresses, workDir, signal, line }
  const session = createRegistrySession({
    credentials: ports.credentials,
    proxy: env,
    ...(ports.ca === undefined ? {} : { ca: ports.ca }),
  })
  const open: OpenRepository = (registry, repository) => openRegistry({ registry, repository }, { addresses, session, signal })
  return {
    source: async ({ source, compiled, changes }) =>
      await resolveSource(source, {
        ...at,
        // asked only where Go compiles: the host's toolchain is pinned first
        host: compiled === undefined ? 'linux-amd64' : await hostOfGo(at),
        ...(compiled === undefined ? {} : { toolchain: compiled.toolchain, use: goUse(compiled) }),
        ...(changes === undefined ? {} : { changes }),
      }),
    image: async (reference, upstreamKey) => {
      const pin = await resolveImage(open, reference, signal)
      const { registry, repository } = parseImageName(reference)
      const from = await open(registry, repository)
      if (upstreamKey === undefined) return { ...pin, upstreamSignature: await upstreamSignature(pin.index, from) }
      await verifyUpstream(pin.index, readPublicKey(upstreamKey), from, reference)
      return { ...pin, upstreamSignature: 'verified' }
    },
    base: async (base) => await resolveBase(open, base, signal),
    ...(ports.advisories === undefined ? {} : { advisories: ports.advisories }),
    packages: packageResolver({
      open,
      fetch: (url, expected) => download({ url, addresses, env, workDir, signal, ...(expected === undefined ? {} : { expected }) }),
      env,
      workDir,
      signal,
    }),
    chart: async ({ version, url }) => {
      const { digest } = await download({ url, addresses, env, workDir, signal })
      return { kind: 'chart', version, url, digest }
    },
  }
}
