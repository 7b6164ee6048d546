/** A layout on disk for other scanners: openEuler's files, its package database, and real Go programs. */
import { readFileSync } from 'node:fs'
import { openLayout } from '../../src/content/layout.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { writeNdb } from '../../src/sandbox/rpmdb.ts'
import { type Entry, image, osRelease, rpm } from './images.ts'

export const packages = Array.from({ length: 35 }, (_, n) =>
  rpm(`package-${n}`, {
    version: `1.${n}`,
    ...(n % 3 === 0 ? { epoch: n } : {}),
    files: [{ path: `/usr/share/p${n}`, digest: 'b'.repeat(64) }],
    requires: [`package-${(n + 1) % 35}`],
  }),
)

/** `files`: path in the image → file on this machine. */
export async function layoutOf(folder: string, files: Readonly<Record<string, string>>, more: readonly Entry[] = []): Promise<void> {
  const made = await image([
    [{ name: 'etc/os-release', body: osRelease }, { name: 'var/lib/rpm/Packages.db', body: writeNdb(packages) }, ...more],
    Object.entries(files).map(([name, path]) => ({ name, body: readFileSync(path), mode: 0o755 })),
  ])
  const layout = await openLayout(folder, { create: true })
  const bytes = await readBytes(made.store, made.manifest)
  const { config, layers } = parseManifest(bytes)
  for (const part of [config, ...layers]) await pushBytes(layout, part.mediaType, await readBytes(made.store, part, part.size))
  const pushed = await pushBytes(layout, mediaTypes.manifest, bytes)
  await layout.tag({ ...pushed, platform: { os: 'linux', architecture: 'amd64' } }, 'scanned')
}
