/** What installs RFO on a host: the program, the release tarball around it, and the packages made of the tarball's files. */
import { pushBytes, readBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { releaseTarball, tarballEncoder, tarballName } from '../pack/tarball.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { minorLine, parseVersion } from '../plan/version.ts'
import { specFiles, writeRepository } from '../rpm/make.ts'
import { payloadEncoder } from '../rpm/payload.ts'
import { rfoPackages } from '../rpm/rfo.ts'
import type { OwnFiles } from './carried-task.ts'
import { given } from './given.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { pinnedSource, withSource } from './source-task.ts'

/** Where packages of a finished release go; a candidate's go to `testing`, as RKE2's do. */
const channel = 'stable'
/** RPM's release of the first packages of a version. */
const rpmRelease = '1'

/** Tasks that give an index of titled files each: all of them are files of the release. */
export function bundleTasks(request: ReleaseRequest, own: OwnFiles, ports: ReleasePorts): Task[] {
  const { program } = own
  if (program === undefined) {
    throw new RfoError('RFO_RELEASE_BUNDLE', `no component ${request.bundle.sourceOf} with a source`, {
      exit: 'usage',
      where: 'pipelines/rfo.yaml',
      next: 'name the component whose source holds the scripts and units',
    })
  }
  return program.platforms.flatMap((made) => {
    const { platform } = made
    const tarball = own.tarball(program, made)
    return [tarball, packagesTask(request, platform, tarball, ports)]
  })
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

function packagesTask(request: ReleaseRequest, platform: PlatformName, tarball: Task, ports: ReleasePorts): Task {
  const { plan } = request
  const version = parseVersion(plan.version)
  const place = { channel, minor: minorLine(version).replace(/^v/, ''), os: osOf(request, platform) }
  const tarballs = Object.fromEntries(plan.platforms.map((each) => [each, tarballName(each).tarball]))
  const packager = `${plan.vendor} <${plan.url}>`
  // a package is carried alone, and `rpm -qi` is where people look
  const vendor = request.mark === undefined ? plan.vendor : `${plan.vendor}. ${request.mark.text.split('\n').join(' ').trim()}`
  return {
    id: `rpm/${platform}`,
    needs: { tarball },
    key: {
      rule: 'rpm@2',
      place,
      tarballs,
      packager,
      platform,
      version: plan.version,
      url: plan.url,
      vendor,
      epoch: plan.epoch,
      encoder: payloadEncoder,
    },
    lane: 'cpu',
    async run(inputs, at) {
      const entries = parseIndex(await readBytes(ports.store, given(inputs['tarball']))).manifests
      const bundle = new Map<string, { readonly content: Descriptor }>()
      for (const { annotations, ...content } of entries) {
        const title = annotations?.[annotationKeys.title] ?? ''
        if (title.startsWith(bundlePrefix)) bundle.set(title.slice(bundlePrefix.length), { content })
      }
      const input = {
        version,
        release: rpmRelease,
        platform,
        bundle,
        tarballs,
        vendor,
        url: plan.url,
        packager,
        epoch: plan.epoch,
      }
      const packages = await rfoPackages(input, ports.store)
      const [first, ...others] = packages
      if (first === undefined) throw new Error('three packages')
      const written = await writeRepository([first, ...others], place, ports.store, {
        epoch: plan.epoch,
        compression: 'gzip',
        workDir: ports.workDir,
        signal: at.signal,
      })
      const files: [string, Descriptor][] = written.map(({ path, content, unsigned }) => [
        path,
        unsigned === undefined
          ? content
          : { ...content, annotations: { [unsignedDigest]: unsigned.digest, [unsignedSize]: String(unsigned.size) } },
      ])
      for (const { path, text } of specFiles(packages)) files.push([path, await pushBytes(ports.store, mediaTypes.octets, text)])
      return await pushTitled(ports, files)
    },
  }
}

/** `22.03-LTS` of `openEuler 22.03-LTS`. */
function osOf(request: ReleaseRequest, platform: PlatformName): string {
  return (request.plan.bases[platform]?.name ?? '').replace(/^openEuler /, '')
}

/** A file of a bundle, for packages; no file of the release. */
export const bundlePrefix = 'bundle:'
/** Annotations of an RPM and of repomd.xml: what of it no signature changes. */
export const unsignedDigest = 'io.rfolabs.rpm.unsigned.digest'
export const unsignedSize = 'io.rfolabs.rpm.unsigned.size'

export async function pushTitled(
  ports: ReleasePorts,
  files: readonly (readonly [title: string, descriptor: Descriptor])[],
): Promise<Descriptor> {
  const manifests = files.map(([title, { mediaType, digest, size, annotations }]) => ({
    mediaType,
    digest,
    size,
    annotations: { ...annotations, [annotationKeys.title]: title },
  }))
  return await pushBytes(
    ports.store,
    mediaTypes.index,
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
  )
}
