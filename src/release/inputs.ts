/** Reads what decides a release from the project folder: pipelines/ and images.lock. The texts are parsed in `plan`. */

import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { digestOf, parseDigest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type Bundle, parseBundle } from '../plan/bundle.ts'
import { type KnownFailure, ReleaseFile } from '../plan/component.ts'
import type { LintInput } from '../plan/lint.ts'
import type { Lock } from '../plan/lock.ts'
import { emptyLock, parseLock } from '../plan/lock-text.ts'
import { type Notice, parseNotice } from '../plan/notice.ts'
import { assemblePipelines, type FileText, type Pipelines } from '../plan/pipelines.ts'
import { type PlanInput, planRelease } from '../plan/plan-release.ts'
import { bundleFile } from '../plan/program.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { type BesideTexts, besideFolders } from '../plan/source-changes.ts'
import { defaultUpstream, parseUpstreamVersion, parseVersion, spell } from '../plan/version.ts'
import { parseYaml } from '../plan/yaml.ts'
import type { SelinuxModule } from './ports.ts'

export interface ReleaseInputs {
  /** as spelt by plan/version.ts */
  readonly version: string
  readonly pipelines: Pipelines
  readonly lock: Lock
  /** absent in a project of images that nothing installs */
  readonly bundle?: Bundle
  /** install/install-rfo.sh of this rfo-build */
  readonly installer: string
  /** install/verify.sh, likewise */
  readonly verifier: string
  /** absent: no package of a policy */
  readonly selinux?: SelinuxModule
  readonly notices: readonly Notice[]
  /** sbom/vex/*.json */
  readonly vex: readonly FileText[]
  /** of all that was read; the no-op compares it */
  readonly digest: Digest
}

/** A pipeline file or a lock larger than this was not written by hand. */
const maxTextBytes = 8 * 1024 * 1024

/**
 * `project` holds pipelines/ and images.lock. `upstream` (`vX.Y.Z+rke2rN`) is the one of the same version and `rke2r1`
 * unless the lock names another. Throws RFO_RELEASE_PROJECT, RFO_PLAN_*.
 */
export async function readInputs(
  project: string,
  version: string,
  options: { readonly upstream?: string; readonly platforms?: readonly PlatformName[] } = {},
): Promise<ReleaseInputs> {
  const parsed = parseVersion(version)
  const lockText = await readText(project, 'images.lock')
  const lock = lockText === undefined ? emptyLock : parseLock(lockText.text, lockText.file)
  const upstream = options.upstream ?? lock.releases[spell(parsed)]?.upstream.version ?? spell(defaultUpstream(parsed))
  const names = await componentFiles(project)
  const release = await required(project, 'pipelines/release.yaml')
  const bundle = await readText(project, bundleFile)
  const own = join(import.meta.dirname, '..', '..')
  const installer = await required(own, 'install/install-rfo.sh')
  const verifier = await required(own, 'install/verify.sh')
  const list = await readText(project, `pipelines/upstream/${upstream}.yaml`)
  if (list === undefined) {
    throw new RfoError('RFO_RELEASE_UPSTREAM', `nothing is recorded of ${upstream}`, {
      exit: 'usage',
      where: `pipelines/upstream/${upstream}.yaml`,
      next: `record RKE2's lists of ${upstream} there, or choose a version that is recorded: ${(await recorded(project)).join(', ')}`,
    })
  }
  const components = await Promise.all(names.map((name) => required(project, name)))
  const libraries = await libraryTexts(project)
  const beside = await besideTexts(project)
  const pipelines = assemblePipelines({ release, components, libraries, upstream: list, beside })
  const selinux = await selinuxModule(project)
  const notices = await textsBelow(project, 'pipelines/advisories')
  const vex = await vexTexts(project)
  const platforms = options.platforms
  return {
    version: spell(parsed),
    pipelines:
      platforms === undefined
        ? pipelines
        : { ...pipelines, release: { ...pipelines.release, platforms: only(pipelines.release.platforms, platforms) } },
    lock,
    ...(bundle === undefined ? {} : { bundle: parseBundle(bundle, parseUpstreamVersion(pipelines.upstream.version)) }),
    installer: installer.text,
    verifier: verifier.text,
    ...(selinux === undefined ? {} : { selinux }),
    notices: notices.map(({ text, file }) => parseNotice(text, file)),
    vex,
    digest: digestOfTexts([
      ...vex,
      release,
      ...(bundle === undefined ? [] : [bundle]),
      installer,
      verifier,
      ...components,
      ...libraries,
      ...notices,
      list,
      ...[...beside].map(([file, text]) => ({ file, text })),
      ...(lockText === undefined ? [] : [lockText]),
      ...(selinux === undefined ? [] : selinuxTexts(selinux)),
      { file: 'platforms', text: (platforms ?? []).join(',') },
    ]),
  }
}

/** All texts of a project, whatever release they are for. Throws RFO_RELEASE_PROJECT where something is not there. */
export async function readProject(project: string): Promise<LintInput> {
  const components = await componentFiles(project)
  const lists = (await recorded(project)).sort().map((version) => `pipelines/upstream/${version}.yaml`)
  const lock = await readText(project, 'images.lock')
  const bundle = await readText(project, bundleFile)
  return {
    release: await required(project, 'pipelines/release.yaml'),
    ...(bundle === undefined ? {} : { bundle }),
    components: await Promise.all(components.map((file) => required(project, file))),
    libraries: await libraryTexts(project),
    upstreams: await Promise.all(lists.map((file) => required(project, file))),
    beside: await besideTexts(project),
    ...(lock === undefined ? {} : { lock }),
  }
}

/** What a project says for all components. Throws RFO_RELEASE_PROJECT without one. */
export async function readReleaseFile(project: string): Promise<ReleaseFile> {
  const { file, text } = await required(project, 'pipelines/release.yaml')
  return parseYaml(ReleaseFile, text, file)
}

/** Failures of conformance that a project excuses; a folder that is no project excuses none. */
export async function knownFailures(project: string): Promise<readonly KnownFailure[]> {
  const text = await readText(project, 'pipelines/release.yaml')
  return text === undefined ? [] : parseYaml(ReleaseFile, text.text, text.file).demands.knownFailures
}

/** pipelines/<component>.yaml, sorted. */
async function componentFiles(project: string): Promise<string[]> {
  const names = await readdir(join(project, 'pipelines')).catch(() => undefined)
  if (names === undefined) throw notHere(project, 'pipelines/')
  return names
    .filter((name) => name.endsWith('.yaml') && name !== 'release.yaml' && name !== 'rfo.yaml')
    .sort()
    .map((name) => `pipelines/${name}`)
}

/** More files than a project of people has patches; the bound is for a folder that is none. */
const maxBeside = 2000

/** Patches and overrides, sorted by path: regular files with UTF-8 in them, so that the plan holds their very bytes. */
async function besideTexts(project: string): Promise<BesideTexts> {
  const texts = new Map<string, string>()
  for (const folder of besideFolders) {
    const entries = await readdir(join(project, folder), { recursive: true, withFileTypes: true }).catch(() => [])
    const files = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => ({ entry, file: relative(project, join(entry.parentPath, entry.name)) }))
      .sort((a, b) => (a.file < b.file ? -1 : 1))
    for (const { entry, file } of files) {
      const refuse = (why: string, next: string): RfoError => new RfoError('RFO_RELEASE_PROJECT', why, { exit: 'usage', where: file, next })
      if (texts.size === maxBeside) throw refuse(`more than ${maxBeside} files`, `leave only patches below ${folder}/`)
      if (!entry.isFile()) throw refuse('not a regular file', 'put the file itself there')
      const bytes = await readFile(join(project, file))
      if (bytes.length > maxTextBytes) throw refuse(`more than ${maxTextBytes} bytes`, 'make several of it')
      if (!isUtf8(bytes)) throw refuse('it is not UTF-8', 'a file in another encoding can be replaced, not patched')
      texts.set(file, bytes.toString('utf8'))
    }
  }
  return texts
}

const selinuxFolder = 'pipelines/selinux'

/** One module, compiled or as its source, or none. Throws RFO_RELEASE_PROJECT for several. */
async function selinuxModule(project: string): Promise<SelinuxModule | undefined> {
  const refuse = (why: string, next: string): RfoError =>
    new RfoError('RFO_RELEASE_PROJECT', why, { exit: 'usage', where: selinuxFolder, next })
  const names = await readdir(join(project, selinuxFolder)).catch(() => [])
  const known = names.filter((name) => /\.(pp|te|fc|if)$/.test(name)).sort()
  const modules = known.filter((name) => /\.(pp|te)$/.test(name))
  const [first = '', ...more] = modules
  if (known.length === 0) return undefined
  if (more.length > 0)
    throw refuse(`${modules.length} policy modules: ${modules.join(', ')}`, 'leave the one that RFO needs, compiled or as its source')
  const module = first.replace(/\.(pp|te)$/, '')
  const stray = known.find((name) => name !== first && (first.endsWith('.pp') || !name.startsWith(`${module}.`)))
  if (stray !== undefined) throw refuse(`${stray} belongs to no source there`, 'name it as the .te beside it')
  const read = async (name: string): Promise<Buffer> => {
    const bytes = await readFile(join(project, selinuxFolder, name))
    if (bytes.length > maxTextBytes) throw refuse(`${name} has more than ${maxTextBytes} bytes`, 'put a policy module there')
    return bytes
  }
  if (first.endsWith('.pp')) return { module, bytes: await read(first) }
  const beside = async (ending: 'fc' | 'if') =>
    known.includes(`${module}.${ending}`) ? { [ending]: await read(`${module}.${ending}`) } : {}
  return { module, te: await read(first), ...(await beside('fc')), ...(await beside('if')) }
}

/** Of what the project holds, by name. */
function selinuxTexts(given: SelinuxModule): { file: string; text: string }[] {
  if ('bytes' in given) return [{ file: given.module, text: digestOf(given.bytes) }]
  const endings = (['te', 'fc', 'if'] as const).filter((ending) => given[ending] !== undefined)
  return endings.map((ending) => ({ file: `${given.module}.${ending}`, text: digestOf(given[ending] ?? '') }))
}

/** pipelines/libraries/<name>.yaml, sorted; a project without the folder has none. */
async function libraryTexts(project: string): Promise<FileText[]> {
  return await textsBelow(project, 'pipelines/libraries')
}

async function textsBelow(project: string, folder: string): Promise<FileText[]> {
  const names = await readdir(join(project, folder)).catch(() => [])
  const files = names.filter((name) => name.endsWith('.yaml')).sort()
  return await Promise.all(files.map((name) => required(project, `${folder}/${name}`)))
}

/** What the project says of itself in OpenVEX, sorted; a project without the folder says nothing. */
export async function vexTexts(project: string): Promise<FileText[]> {
  const names = await readdir(join(project, 'sbom', 'vex')).catch(() => [])
  const files = names.filter((name) => name.endsWith('.json')).sort()
  return await Promise.all(files.map((name) => required(project, `sbom/vex/${name}`)))
}

/** What a plan is made of: these inputs, and a lock. */
export function planInput({ version, pipelines, bundle, lock: own }: ReleaseInputs, lock: Lock = own): PlanInput {
  const { release, components, libraries, upstream } = pipelines
  const said = bundle === undefined ? {} : { bundle }
  return { version, release, components: [...components.values()], libraries, ...said, upstream, lock }
}

/** The plan that a lock gives for these inputs. */
export function planOf(inputs: ReleaseInputs, lock: Lock = inputs.lock): ReleasePlan {
  return planRelease(planInput(inputs, lock))
}

function only<T extends PlatformName>(all: readonly T[], wanted: readonly PlatformName[]): T[] {
  const kept = all.filter((platform) => wanted.includes(platform))
  if (kept.length !== wanted.length) {
    throw new RfoError(
      'RFO_RELEASE_PLATFORM',
      `not a platform of this release: ${wanted.filter((platform) => !kept.includes(platform as T)).join(', ')}`,
      {
        exit: 'usage',
        where: 'pipelines/release.yaml',
        next: `choose among ${all.join(', ')}`,
      },
    )
  }
  return kept
}

/** What a release is installed with. Throws RFO_RELEASE_PROJECT in a project of images alone. */
export function bundleOf(project: string, { bundle }: ReleaseInputs): Bundle {
  if (bundle === undefined) throw notHere(project, bundleFile)
  return bundle
}

async function recorded(project: string): Promise<string[]> {
  const names = await readdir(join(project, 'pipelines/upstream')).catch(() => [])
  return names.filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -'.yaml'.length))
}

export async function required(project: string, file: string): Promise<FileText> {
  const text = await readText(project, file)
  if (text === undefined) throw notHere(project, file)
  return text
}

export async function readText(project: string, file: string): Promise<FileText | undefined> {
  try {
    const text = await readFile(join(project, file), 'utf8')
    if (text.length > maxTextBytes)
      throw new RfoError('RFO_RELEASE_PROJECT', `more than ${maxTextBytes} bytes`, { exit: 'usage', where: file })
    return { file, text }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (cause instanceof RfoError) throw cause
    throw new RfoError('RFO_RELEASE_PROJECT', `can't read: ${(cause as NodeJS.ErrnoException).code}`, {
      exit: 'machine',
      where: file,
      cause,
    })
  }
}

function notHere(project: string, file: string): RfoError {
  return new RfoError('RFO_RELEASE_PROJECT', `no ${file} here`, {
    exit: 'usage',
    where: project,
    next: 'run rfo-build in a checkout that holds pipelines/ and images.lock',
  })
}

function digestOfTexts(texts: readonly FileText[]): Digest {
  const hash = createHash('sha256')
  for (const { file, text } of texts) hash.update(`${file}\n${text.length}\n`).update(text)
  return parseDigest(`sha256:${hash.digest('hex')}`)
}
