/** What an image holds whose build compiles nothing: its own files, programs that others made, and what it carries of the release. */
import { collectPrograms } from '../build/collect.ts'
import type { LayerEntry } from '../build/layer.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { tarballName } from '../pack/tarball.ts'
import { carriedRelease, type OthersProgram } from '../plan/component.ts'
import { imageEpoch } from '../plan/day.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { OpenSource } from '../source/open.ts'
import { installerFile } from './carried-task.ts'
import { given } from './given.ts'
import { checksumListNames } from './lists.ts'
import type { ReleasePorts } from './ports.ts'
import { fileEntries, layerOf } from './program-tasks.ts'
import { by } from './root.ts'
import { withSource } from './source-task.ts'
import { titledIn } from './titled.ts'

export interface FilesNeeds {
  /** absent: the pipeline takes nothing out of a source */
  readonly source?: Task
  /** an index of titled files */
  readonly carried?: Task
  readonly from: readonly (OthersProgram & { readonly task: Task })[]
}

export function filesTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  { source, carried, from }: FilesNeeds,
  ports: ReleasePorts,
): Task {
  return {
    id: `programs/${image.component}/${platform}`,
    needs: {
      ...(source === undefined ? {} : { source }),
      ...(carried === undefined ? {} : { carried }),
      ...Object.fromEntries(from.map(({ component, task }) => [`programs/${component}`, task])),
    },
    key: {
      rule: 'files@1',
      pin: (source === undefined ? null : (image.locked?.pin ?? null)) as unknown as Json,
      build: image.build as unknown as Json,
      files: (image.files ?? []) as unknown as Json,
      platform,
      epoch: imageEpoch(plan, image),
    },
    lane: 'cpu',
    async run(inputs, at) {
      const release = inputs['carried'] === undefined ? [] : await carriedEntries(image, platform, inputs['carried'], ports)
      const layers = from.map((each) => ({ ...each, layer: given(inputs[`programs/${each.component}`]) }))
      const lay = async (opened?: OpenSource): Promise<Descriptor> => {
        const made = await collectPrograms({ from: layers, platform, workDir: ports.workDir, signal: at.signal }, ports.store)
        return await layerOf(made, imageEpoch(plan, image), ports, async () => [...(await fileEntries(image, opened)), ...release])
      }
      return source === undefined ? await lay() : await withSource(image, ports, at, lay)
    },
  }
}

/** Where the pipeline puts it; beside an installer lie the sums of what it installs, as the release's own list has them. */
async function carriedEntries(image: ImagePlan, platform: PlatformName, index: Descriptor, ports: ReleasePorts): Promise<LayerEntry[]> {
  const { program, installer } = carriedRelease(image.build) ?? {}
  const names = tarballName(platform)
  const files = [...(await titledIn(index, ports))].map(([name, content]) => ({ name, content }))
  const at = (name: string): string => {
    if (name === names.program && program !== undefined) return program
    return `${(installer ?? '/').replace(/\/$/, '')}/${name === installerFile ? 'installer.sh' : name}`
  }
  const entries = files.map(({ name, content }): LayerEntry => {
    const mode = name === names.program || name === installerFile ? 0o755 : 0o644
    return { path: at(name), file: ports.store.blobPath(content.digest), mode }
  })
  if (installer === undefined) return entries
  const installed = files.filter(({ name }) => name !== names.program && name !== installerFile).sort(by(({ name }) => name))
  const sums = installed.map(({ name, content }) => `${hex(content.digest)}  ${name}\n`).join('')
  return [...entries, { path: at(checksumListNames(platform).sha256), bytes: Buffer.from(sums), mode: 0o644 }]
}
