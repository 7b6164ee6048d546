/** `sbom`: what is inside of an image, an archive, a folder, a release or a package; and how complete that is by three public lists. */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { Supplier } from '../inspect/cyclonedx-document.ts'
import type { StandardScore } from '../inspect/score.ts'
import type { SbomDocument } from '../release/sbom/documents.ts'
import type { CliContext } from './context.ts'
import { sourceDateEpoch } from './today.ts'
import type { Flags, Outcome, Verb } from './verb.ts'

export const sbom: Verb = {
  name: 'sbom',
  summary: 'sbom',
  arguments: [{ syntax: '<target>', help: 'sbomTarget' }],
  options: [
    { flags: '--format <format>', help: 'sbomFormat', choices: ['cyclonedx', 'spdx'] },
    { flags: '--score', help: 'sbomScore' },
    { flags: '--image <reference>', help: 'sbomImage' },
    { flags: '--supplier <name>', help: 'sbomSupplier' },
    { flags: '-o, --output <path>', help: 'sbomOutput', completes: 'file' },
  ],
  examples: [
    'sbom oci://registry.site:5000/rfolabs/hardened-coredns:v1.9.3 --platform amd64 -o coredns.cdx.json',
    'sbom rfo-images-core.linux-amd64.tar.zst --format spdx -o sboms',
    'sbom v1.24.8+rfor1 --score',
    'sbom rfo-common-1.24.8~rfor1-1.x86_64.rpm --supplier "RFO Labs <https://github.com/rfolabs>"',
  ],
  async run(context, { args: [target = ''], flags }) {
    // what is unpacked lies here, and is gone at the end
    const workDir = join(context.storeDir, 'work', `sbom-${randomUUID()}`)
    await mkdir(workDir, { recursive: true })
    try {
      const documents: SbomTexts[] = []
      for await (const each of documentsOf(context, target, workDir, flags)) documents.push(each)
      if (documents.length === 0)
        throw usage('no image of it is for the platforms that are asked for', 'name other ones with --platform', target)
      return flags.on('score') ? await scored(documents) : await printed(context, documents, flags)
    } finally {
      await rm(workDir, { recursive: true, force: true })
    }
  },
}

type SbomTexts = Pick<SbomDocument, 'name' | 'platform' | 'cyclonedx'> & {
  /** where it is not made of the other */
  readonly spdx?: string
}

async function* documentsOf(context: CliContext, target: string, workDir: string, flags: Flags): AsyncGenerator<SbomTexts> {
  const { imageDocuments, looseDocument } = await import('../release/sbom/documents.ts')
  const supplier = supplierOf(flags.text('supplier'))
  const epoch = sourceDateEpoch(context.env)
  const options = {
    workDir,
    signal: context.signal,
    env: context.env,
    toolVersion: context.toolVersion,
    ...(supplier === undefined ? {} : { supplier }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(context.platforms === undefined ? {} : { platforms: context.platforms }),
  }
  const wanted = flags.text('image')
  if (target.startsWith('oci://')) {
    const { inRegistry } = await import('../release/sbom/registry.ts')
    const { store, image } = await inRegistry(target.slice('oci://'.length), context.env, context.signal)
    yield* imageDocuments(image, store, options)
    return
  }
  const { fileTarget } = await import('../release/sbom/target.ts')
  const { releaseFolder } = await import('./target.ts')
  const file = await fileTarget(releaseFolder(context, target))
  if (file.kind === 'release' || file.kind === 'release archive') {
    const { releaseDocuments } = await import('../release/sbom/released.ts')
    yield* releaseDocuments(file, flags.on('score'))
  } else if (file.kind === 'document') yield { name: target, platform: 'any', cyclonedx: await readFile(file.path, 'utf8') }
  else if (file.kind === 'layout' || file.kind === 'tar') {
    const { imagesOfFile } = await import('../release/sbom/images.ts')
    const found = await imagesOfFile(file, workDir, context.signal)
    if (found === undefined) {
      yield await looseDocument(file, options)
      return
    }
    const images = found.images.filter(({ name, target: { digest } }) => wanted === undefined || name === wanted || digest === wanted)
    if (images.length === 0)
      throw usage(
        `no image ${wanted ?? ''} in it; there is ${found.images.map(({ name }) => name).join(', ') || 'none'}`.slice(0, 500),
        '--image <reference>',
        target,
      )
    for (const image of images) yield* imageDocuments(image, found.store, options)
  } else yield await looseDocument(file, options)
}

async function printed(context: CliContext, documents: readonly SbomTexts[], flags: Flags): Promise<Outcome> {
  const output = flags.text('output')
  const format = flags.text('format') ?? 'cyclonedx'
  const { spdx } = await import('../inspect/spdx.ts')
  const made = documents.map((each) => ({ ...each, text: format === 'spdx' ? (each.spdx ?? spdx(each.cyclonedx)) : each.cyclonedx }))
  const [first, ...more] = made
  if (output === undefined) {
    if (first === undefined || more.length > 0)
      throw usage(
        `${made.length} documents: ${made.map(({ name, platform }) => `${name} ${platform}`).join(', ')}`.slice(0, 500),
        'choose one with --image and --platform, or name a folder with -o',
      )
    return { text: first.text, json: { documents: [{ name: first.name, platform: first.platform, document: JSON.parse(first.text) }] } }
  }
  const { makeFolder, writeFileOnce } = await import('../content/atomic.ts')
  const { bytesBody } = await import('../content/body.ts')
  const { dirname } = await import('node:path')
  const at = resolve(context.cwd, output)
  const ending = format === 'spdx' ? 'spdx.json' : 'cdx.json'
  const files: string[] = []
  for (const { name, platform, text } of made) {
    const path = more.length === 0 ? at : join(at, `${fileName(name)}.${platform.replace('/', '-')}.${ending}`)
    await makeFolder(dirname(path))
    await writeFileOnce(dirname(path), bytesBody(Buffer.from(text)), () => path)
    files.push(path)
  }
  return {
    text: files.map((path) => `${path}\n`).join(''),
    json: { documents: made.map(({ name, platform }, n) => ({ name, platform, file: files[n] ?? '' })) },
  }
}

/** A name that a file may have. */
function fileName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '_')
}

async function scored(documents: readonly SbomTexts[]): Promise<Outcome> {
  const { scoreSbom } = await import('../inspect/score.ts')
  const scores = documents.map(({ name, platform, cyclonedx }) => ({ name, platform, standards: scoreSbom(cyclonedx) }))
  const low = scores.filter(({ standards }) => standards.some(({ standard, percent }) => standard === 'ntia-2021' && percent < 100))
  return {
    text: scores.map((each) => scoreText(each)).join('\n'),
    json: { documents: scores.map(({ name, platform, standards }) => ({ name, platform, standards: standards.map(scoreJson) })) },
    ...(low.length === 0 ? {} : { failures: [lowScore(low)] }),
  }
}

function scoreText({ name, platform, standards }: { name: string; platform: string; standards: readonly StandardScore[] }): string {
  const lines = standards.flatMap(({ standard, percent, elements }) => [
    `  ${standard}  ${percent} %`,
    ...elements.map(
      ({ element, met, of, lacking }) => `    ${met}/${of}  ${element}${lacking.length === 0 ? '' : `; without it: ${lacking.join(', ')}`}`,
    ),
  ])
  return [`${name}${platform === 'any' ? '' : ` ${platform}`}`, ...lines, ''].join('\n')
}

function scoreJson({ standard, percent, elements }: StandardScore) {
  return { standard, percent, elements: elements.map((each) => ({ ...each, lacking: [...each.lacking] })) }
}

function lowScore(low: readonly { readonly name: string; readonly platform: string }[]): RfoError {
  return new RfoError('RFO_SBOM_SCORE', `${low.length} of the documents lack NTIA minimum elements`, {
    exit: 'condition',
    where: low
      .slice(0, 3)
      .map(({ name, platform }) => `${name} ${platform}`)
      .join(', '),
    next: 'see the elements above; --supplier names who distributes what says nothing of it',
  })
}

/** `RFO Labs <https://github.com/rfolabs>`, or the name alone. */
function supplierOf(text: string | undefined): Supplier | undefined {
  if (text === undefined) return undefined
  const [, name = '', url = ''] = /^\s*([^<>]+?)\s*(?:<(https?:\/\/[^\s<>]+)>)?\s*$/.exec(text) ?? []
  if (name === '') throw usage(`not a supplier: ${text.slice(0, 100)}`, '--supplier "<name> <https://…>"')
  return { name, url }
}

function usage(message: string, next: string, where?: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', message, { exit: 'usage', next, ...(where === undefined ? {} : { where }) })
}
