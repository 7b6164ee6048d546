/** What installs RFO on a host: the program, the release tarball around it, and the packages made of the tarball's files. */
import { pushBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { releaseTarball, tarballEncoder, tarballName } from '../pack/tarball.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import type { OwnFiles } from './carried-task.ts'
import { given } from './given.ts'
import type { ImageTasks } from './image-tasks.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { explorerOf, type PackagesNeeds, packagesTask } from './rpm-task.ts'
import { sourceRpmTask } from './source-rpm-task.ts'
import { pinnedSource, withSource } from './source-task.ts'
import { bundlePrefix, pushTitled } from './titled.ts'

/** Tasks that give an index of titled files each: all of them are files of the release. */
export function bundleTasks(
  request: ReleaseRequest,
  images: readonly ImageTasks[],
  own: OwnFiles,
  ports: ReleasePorts,
  rpmbuild?: string,
): Task[] {
  const { program } = own
  if (program === undefined) {
    throw new RfoError('RFO_RELEASE_BUNDLE', `no component ${request.bundle.sourceOf} with a source`, {
      exit: 'usage',
      where: 'pipelines/rfo.yaml',
      next: 'name the component whose source holds the scripts and units',
    })
  }
  const needs = new Map(
    program.platforms.map((made): [PlatformName, PackagesNeeds] => [
      made.platform,
      { tarball: own.tarball(program, made), ...explorerOf(images, made.platform) },
    ]),
  )
  return [
    ...[...needs].flatMap(([platform, each]) => [each.tarball, packagesTask(request, platform, each, ports, rpmbuild)]),
    sourceRpmTask(request, needs, ports),
  ]
}

/** Gives the program and the tarball; the tarball's own files come behind them, titled `bundle:<path>`. */
export function tarballTask(
  { bundle, plan }: Pick<ReleaseRequest, 'bundle' | 'plan'>,
  image: ImagePlan,
  platform: PlatformName,
  program: Task,
  ports: ReleasePorts,
): Task {
  const { files, rename } = bundle
  const pin = pinnedSource(image)
  const names = tarballName(platform)
  return {
    id: `tarball/${platform}`,
    needs: { program },
    key: {
      rule: 'tarball@2',
      bundle: { program: bundle.program, files, rename } as unknown as Json,
      pin: pin as unknown as Json,
      platform,
      epoch: plan.epoch,
      encoder: tarballEncoder,
    },
    lane: 'cpu',
    run: (inputs, at) =>
      withSource(image, ports, at, async (opened) => {
        const binary = given(inputs['program'])
        const made = await releaseTarball({ platform, program: binary, source: opened, bundle, epoch: plan.epoch }, ports.store, at.signal)
        for (const text of made.texts) await pushBytes(ports.store, mediaTypes.octets, text.bytes)
        return await pushTitled(ports, [
          [names.program, binary],
          [names.tarball, made.tarball],
          ...made.files.map((file): [string, Descriptor] => [
            `${bundlePrefix}${file.path}`,
            { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
          ]),
        ])
      }),
  }
}
