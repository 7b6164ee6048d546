/** What is wrong with how Go programs are linked: their C libraries, BoringSSL. Pure. */
import type { RfoError } from '../error.ts'
import { type Architecture, architectureNames } from '../oci/platform.ts'
import { type Component, type GoBuild, usesCgo } from './component.ts'
import type { Library } from './library.ts'
import { complaint, type Problem, problem } from './problem.ts'

/** https://go.dev/src/crypto/internal/boring/boring.go: its build constraint. Elsewhere Go builds without, and says nothing. */
const boringArchitectures: readonly Architecture[] = ['amd64', 'arm64']

export function* goProblems(build: GoBuild, file: string): Generator<Problem> {
  for (const [at, architecture] of (build.boring ?? []).entries()) {
    if (!boringArchitectures.includes(architecture))
      yield problem(
        ['build', 'boring', at],
        `Go has no BoringSSL for ${architecture}, only for ${boringArchitectures.join(' and ')}: it would build without, in silence`,
        file,
        `leave ${architecture} out of build.boring`,
      )
  }
  if (build.libraries !== undefined && !architectureNames.some((architecture) => usesCgo(build, architecture)))
    yield problem(['build', 'libraries'], 'only cgo links C libraries', file, 'say under build.cgo for which architectures, or drop them')
}

export function* libraryProblems(library: Library, file: string): Generator<Problem> {
  const base = file.slice(file.lastIndexOf('/') + 1)
  if (base !== `${library.name}.yaml`) yield problem(['name'], `it says name: ${library.name}`, file, `call the file ${library.name}.yaml`)
  const paths = library.build.files.map((each) => each.path)
  const twice = paths.findIndex((path, at) => paths.indexOf(path) !== at)
  if (twice !== -1) yield problem(['build', 'files', twice], `two things are put at ${paths[twice]}`, file, 'give each its own path')
}

/** Of one version's component: each library that it links must have a file. */
export function* linkProblems(component: Component, libraries: readonly Pick<Library, 'name'>[], file: string): Generator<Problem> {
  if (component.build?.kind !== 'go') return
  for (const [at, name] of (component.build.libraries ?? []).entries()) {
    if (!libraries.some((library) => library.name === name)) yield { error: withoutLibrary(name, file), at: ['build', 'libraries', at] }
  }
}

export function withoutLibrary(name: string, where: string): RfoError {
  return complaint(`no file says how ${name} is made`, where, `create pipelines/libraries/${name}.yaml`)
}
