/** Source RPMs: what openEuler's build service takes. One a package, for all platforms at once. */
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { writeSourceRepository } from '../rpm/make.ts'
import type { RpmPackage } from '../rpm/package.ts'
import { given } from './given.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { packageSources } from './rpm-sources.ts'
import { hostProgram, modelKey, type PackagesNeeds, packageModels, withUnsigned } from './rpm-task.ts'
import { pushTitled } from './titled.ts'

/** Gives an index of titled files. `needs`: of every platform that has a tarball. */
export function sourceRpmTask(request: ReleaseRequest, needs: ReadonlyMap<PlatformName, PackagesNeeds>, ports: ReleasePorts): Task {
  const { plan } = request
  const entries = [...needs]
  return {
    id: 'rpm/source',
    needs: Object.fromEntries(
      entries.flatMap(([platform, { tarball, explorer }]): [string, Task][] => [
        [`tarball/${platform}`, tarball],
        ...(explorer === undefined ? [] : [[`explorer/${platform}`, explorer.programs] as [string, Task]]),
      ]),
    ),
    key: { rule: 'source-rpm@3', ...modelKey(request, entries.find(([, { explorer }]) => explorer !== undefined)?.[1].explorer?.image) },
    lane: 'cpu',
    async run(inputs, at) {
      const { store, workDir } = ports
      const sources = new Map<string, Descriptor>()
      for (const [platform, { explorer }] of entries) {
        const made = explorer && inputs[`explorer/${platform}`]
        const program = explorer && (await hostProgram(explorer, given(made), platform, ports, at.signal))
        const from = { tarball: given(inputs[`tarball/${platform}`]), ...(program && { program }) }
        for (const [name, content] of await packageSources(request, platform, from, ports)) sources.set(name, content)
      }
      const packages = new Map<string, RpmPackage>()
      for (const [platform, { explorer }] of entries) {
        const program = sources.get(`kube-explorer.linux-${platformOf(platform).architecture}`)
        const host = explorer && program && { image: explorer.image, program }
        // the same whatever the platform: a spec is one text for all of them
        for (const pkg of await packageModels(request, platform, given(inputs[`tarball/${platform}`]), host, ports))
          packages.set(pkg.name, packages.get(pkg.name) ?? pkg)
      }
      const options = { epoch: plan.epoch, compression: 'gzip', workDir, signal: at.signal } as const
      const written = await writeSourceRepository([...packages.values()], sources, store, options)
      return await pushTitled(
        ports,
        written.map(({ path, content, unsigned }): [string, Descriptor] => [path, withUnsigned(content, unsigned)]),
      )
    },
  }
}
