/** Files of a release that images of it carry: its program, or what installs it. The same files that the release ships. */
import type { Material } from '../attest/provenance.ts'
import { pushBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf, hex } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { installerText, platformsText } from '../pack/installer.ts'
import { tarballName } from '../pack/tarball.ts'
import { carriedRelease } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { tarballTask } from './bundle-tasks.ts'
import { given } from './given.ts'
import { imageLists } from './lists.ts'
import type { OwnProgram, OwnProgramPlatform } from './own-program.ts'
import type { CarriedRequest, ReleasePorts } from './ports.ts'
import { platformStates, readSupport } from './support-task.ts'
import { pushTitled, titledIn } from './titled.ts'

export interface OwnFiles {
  /** undefined: no image of the plan has its source */
  readonly program: OwnProgram | undefined
  /** One task a platform, whoever needs it. */
  tarball(program: OwnProgram, made: OwnProgramPlatform): Task
  /** Gives an index of what an image carries, titled as the release names it; undefined when it carries nothing. */
  carried(image: ImagePlan, platform: PlatformName): Task | undefined
}

export function ownFiles(request: CarriedRequest, program: OwnProgram | undefined, support: Task, ports: ReleasePorts): OwnFiles {
  const tarballs = new Map<PlatformName, Task>()
  const tarball: OwnFiles['tarball'] = ({ image }, { platform, task: binary }) => {
    const { plan, bundle } = request
    if (bundle === undefined) throw new Error('a plan without a bundle has no program')
    const task = tarballs.get(platform) ?? tarballTask({ plan, bundle }, image, platform, binary, ports)
    tarballs.set(platform, task)
    return task
  }
  return {
    program,
    tarball,
    carried(image, platform) {
      if (carriedRelease(image.build) === undefined) return undefined
      const made = program?.platforms.find((each) => each.platform === platform)
      if (program === undefined || made === undefined) throw noProgram(request, image, platform)
      return carriedTask(request, image, platform, { tarball: tarball(program, made), support }, ports)
    },
  }
}

function noProgram({ bundle }: CarriedRequest, image: ImagePlan, platform: PlatformName): RfoError {
  return new RfoError('RFO_RELEASE_BUNDLE', `no program is made for ${platform}, and ${image.component} carries it`, {
    exit: 'usage',
    where: `pipelines/${image.component}.yaml`,
    next: `say why under unsupported, or give the release ${bundle?.sourceOf ?? 'a program'}`,
  })
}

function carriedTask(
  request: CarriedRequest,
  image: ImagePlan,
  platform: PlatformName,
  { tarball, support }: { readonly tarball: Task; readonly support: Task },
  ports: ReleasePorts,
): Task {
  const { plan, mark } = request
  const names = tarballName(platform)
  const { program, installer } = carriedRelease(image.build) ?? {}
  const list = imageLists(plan).find(({ path }) => path === coreList(platform))
  const texts =
    installer === undefined
      ? []
      : [
          { path: installerFile, text: installerText(request.installer, plan.version) },
          ...(list === undefined ? [] : [list]),
          // whoever installs out of the image must be told, too
          ...(mark === undefined ? [] : [{ path: mark.file, text: mark.text }]),
        ]
  return {
    id: `carried/${image.component}/${platform}`,
    needs: { tarball, ...(installer === undefined ? {} : { support }) },
    key: {
      rule: 'carried@1',
      program: program !== undefined,
      installer: installer !== undefined,
      platform,
      version: plan.version,
      texts: texts.map(({ path, text }) => [path, digestOf(text)]),
    },
    lane: 'cpu',
    async run(inputs) {
      const made = await titledIn(given(inputs['tarball']), ports)
      const files: [string, Descriptor][] = []
      if (program !== undefined) files.push([names.program, given(made.get(names.program))])
      if (installer !== undefined) {
        files.push([names.tarball, given(made.get(names.tarball))])
        const said = await readSupport(inputs['support'], ports.store)
        const all = [...texts, { path: 'platforms.txt', text: platformsText(plan.version, platformStates(said.platforms)) }]
        for (const { path, text } of all) files.push([path, await pushBytes(ports.store, mediaTypes.octets, text)])
      }
      return await pushTitled(ports, files)
    },
  }
}

export const installerFile = 'install-rfo.sh'

function coreList(platform: PlatformName): string {
  return `rfo-images-core.linux-${platformOf(platform).architecture}.txt`
}

/** As provenance names them. https://github.com/package-url/purl-spec/blob/main/types-doc/generic-definition.md */
export async function carriedMaterials(plan: ReleasePlan, index: Descriptor, ports: Pick<ReleasePorts, 'store'>): Promise<Material[]> {
  const files = await titledIn(index, ports)
  return [...files].map(([name, { digest }]) => ({
    name,
    uri: `${releasePurl(plan)}?file_name=${encodeURIComponent(name)}`,
    digest: { sha256: hex(digest) },
  }))
}

export function releasePurl(plan: ReleasePlan): string {
  return `pkg:generic/rfo@${encodeURIComponent(plan.version)}`
}
