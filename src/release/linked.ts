/** Which C libraries are in an image's programs: for its SBOM, whoever compiled the program, and for its provenance. */
import type { StaticLibrary } from '../inspect/cyclonedx-library.ts'
import { hex } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { othersPrograms, programPaths } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { Material } from '../source/material.ts'
import { type BuildTools, librariesIn } from './compilers.ts'
import { pinnedArchive, plannedLibrary } from './library-tasks.ts'

/** Sorted by name. What an image collects brings its libraries along. */
export function linkedInto(plan: ReleasePlan, image: ImagePlan, platform: PlatformName): StaticLibrary[] {
  const programs = new Map<string, string[]>()
  const add = (maker: ImagePlan | undefined, paths: readonly string[]): void => {
    for (const name of maker === undefined ? [] : librariesIn(maker, platform))
      programs.set(name, [...(programs.get(name) ?? []), ...paths])
  }
  if (image.build?.kind === 'go') add(image, programPaths(image.build))
  for (const { component, output } of othersPrograms(image.build))
    add(
      plan.images.find((each) => each.component === component),
      [output],
    )
  return [...programs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, paths]) => {
      const library = plannedLibrary(plan, name)
      const { url, digest } = pinnedArchive(library)
      return { name, version: library.version, license: library.license, url, digest, programs: paths.sort() }
    })
}

/** What a compile took besides its own source: archives, how they were built, and what the machine brought to that. */
export function libraryFacts(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
): { readonly materials: readonly Material[]; readonly parameters: { readonly [name: string]: Json } } {
  const libraries = librariesIn(image, platform).map((name) => plannedLibrary(plan, name))
  return {
    materials: libraries.map((library) => {
      const { url, digest } = pinnedArchive(library)
      return { uri: url, digest: { sha256: hex(digest) }, name: `${library.name}@${library.version}` }
    }),
    parameters:
      libraries.length === 0 ? {} : { libraries: Object.fromEntries(libraries.map(({ name, build }) => [name, build as unknown as Json])) },
  }
}

/** Versions of the programs that the builds of an image's libraries call. */
export function libraryTools(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  { versions }: BuildTools,
): Record<string, string> {
  const names = librariesIn(image, platform).flatMap((name) => plannedLibrary(plan, name).tools)
  return Object.fromEntries([...new Set(names)].sort().flatMap((tool) => (versions.has(tool) ? [[tool, versions.get(tool) ?? '']] : [])))
}
