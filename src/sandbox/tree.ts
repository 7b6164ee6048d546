/**
 * Source trees of the sandbox's git host and archives: no source, but the programs that a build would give, one folder
 * an architecture. A pin with `prebuilt` says so, and so does every image made of it.
 */
import { platformNames, platformOf } from '../oci/platform.ts'
import { programPaths } from '../plan/component.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { bundleFiles } from './bundle.ts'
import { standInProgram } from './elf.ts'
import type { SourceFile } from './git-objects.ts'

/** Where the programs lie in a stand-in tree. */
export const prebuiltFolder = 'bin/{architecture}'

/** What a stand-in program prints. A smoke test's expectation follows on a line of its own when the first does not meet it. */
export function standInText(name: string, version: string, expect?: string): string {
  const first = `${name} ${version} (stand-in of RFO's sandbox)\n`
  return expect === undefined || first.includes(expect) ? first : `${first}instead of ${expect}\n`
}

/** The tree that stands in for `source`; several components may be built of one source. Sorted by path. */
export function standInTree(source: string, components: readonly ImagePlan[]): SourceFile[] {
  const files = new Map<string, SourceFile>()
  const text = (path: string, lines: readonly string[]): void => {
    files.set(path, { path, bytes: Buffer.from(`${lines.join('\n')}\n`), executable: false })
  }
  text('README.md', [
    `# Stand-in for ${source}`,
    '',
    `Not the real source: RFO's sandbox made this tree. \`bin/\` holds small programs that print what they stand in for:`,
    ...components.map((component) => `- ${component.component} ${component.version}`),
  ])
  text('LICENSE', ['SPDX-License-Identifier: Apache-2.0', '', `This tree stands in for ${source} and holds nothing of it.`])
  for (const component of components) {
    for (const file of programsOf(component)) files.set(file.path, file)
    for (const path of takenFrom(component)) {
      const script = `#!/bin/sh\n# Stand-in for ${path} of ${source}: it only says so.\necho '${component.component} ${component.version} (stand-in)'\n`
      files.set(path, { path, bytes: Buffer.from(script), executable: true })
    }
    for (const file of bundleFiles(source, component, standInText('rfo', component.version))) files.set(file.path, file)
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Files that the pipeline takes out of the source as they lie there. */
function takenFrom(component: ImagePlan): string[] {
  return (component.files ?? []).flatMap((file) => ('from' in file ? [file.from] : []))
}

function programsOf(component: ImagePlan): SourceFile[] {
  // what is collected lies with those who make it, what is carried with the release
  if (component.build?.kind === 'collect' || component.build?.kind === 'files') return []
  const outputs = programPaths(component.build)
  const text = standInText(component.component, component.version, component.smoke?.expect)
  return platformNames
    .filter((platform) => component.platforms[platform]?.status === 'made')
    .map((platform) => platformOf(platform).architecture)
    .flatMap((architecture) =>
      outputs.map((output) => ({
        path: `bin/${architecture}/${output.replace(/^\/+/, '')}`,
        bytes: standInProgram(architecture, text),
        executable: true,
      })),
    )
}
