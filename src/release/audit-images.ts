/** The part of audit.html about images: what each was made of, and its blobs per platform. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex } from '../oci/digest.ts'
import { parseIndex, parseManifest } from '../oci/manifest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { tarballName } from '../pack/tarball.ts'
import { carriedRelease, collectedComponents } from '../plan/component.ts'
import { takesPin } from '../plan/fingerprint.ts'
import type { Pin } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { appliedFiles, shippedPath } from '../plan/source-changes.ts'
import type { GoEdit } from '../source/go-mod.ts'
import { beside, type Content, linkTo, type Markup, markup, web, within } from './audit-markup.ts'
import { type Said, say, words } from './audit-words.ts'
import { buildKind, standInsOf } from './labels.ts'
import { sbomPath } from './lists.ts'
import { goEditOf } from './source-task.ts'

/** The blobs of one image. */
export interface ImageContent {
  readonly index: Digest
  readonly platforms: Readonly<Partial<Record<PlatformName, ManifestContent>>>
}

export interface ManifestContent {
  readonly manifest: Digest
  readonly config: Digest
  readonly layers: readonly Digest[]
}

export async function readContent(index: Descriptor, from: ContentReader): Promise<ImageContent> {
  const children = parseIndex(await readBytes(from, index)).manifests
  const platforms = await Promise.all(
    children.map(async (child) => {
      const { config, layers } = parseManifest(await readBytes(from, child))
      const content = { manifest: child.digest, config: config.digest, layers: layers.map((layer) => layer.digest) }
      return [`${child.platform?.os}/${child.platform?.architecture}`, content] as const
    }),
  )
  return { index: index.digest, platforms: Object.fromEntries(platforms) }
}

export function imagesSection(plan: ReleasePlan, contents: ReadonlyMap<string, ImageContent>, paths: ReadonlySet<string>): Markup {
  return markup`<section aria-labelledby="images">
<h2 id="images">${say(words.images)}</h2>
<p>${say(words.imagesAre)}</p>
<p class="filter" data-script hidden><label for="image-filter">${say(words.filter)}</label> <input type="search" id="image-filter" data-rows="image-rows" data-count="image-count" autocomplete="off" spellcheck="false"> <output id="image-count" for="image-filter" class="soft"></output></p>
<table class="images" id="image-rows" aria-labelledby="images">
<thead><tr><th scope="col">${say(words.image)}</th><th scope="col">${say(words.madeFrom)}</th><th scope="col">${say(words.platforms)}</th></tr></thead>
<tbody>${plan.images.map((image) => imageRow(plan, image, contents.get(image.component), paths))}</tbody>
</table>
${groupsList(plan)}
</section>`
}

function groupsList(plan: ReleasePlan): Markup {
  const groups = [...new Set(plan.images.flatMap((image) => image.groups))].sort()
  const of = (group: string): ImagePlan[] => plan.images.filter((image) => image.groups.includes(group))
  return markup`<h3>${say(words.groups)}</h3>
<dl class="groups">${groups.map(
    (group) => markup`<dt id="group-${group}">${group}</dt><dd>${imageLinks(of(group).map(({ component }) => component))}</dd>
`,
  )}</dl>`
}

function imageLinks(components: Iterable<string>): Markup {
  return markup`${[...components].map((component, i) => [i === 0 ? '' : ', ', within(`image-${component}`, component)])}`
}

function imageRow(plan: ReleasePlan, image: ImagePlan, content: ImageContent | undefined, paths: ReadonlySet<string>): Markup {
  return markup`<tr id="image-${image.component}"><th scope="row"><b>${image.component}</b><dl class="pairs">
<dd><code>${image.reference}</code></dd>
${content && markup`<dd>index ${blob(content.index)}</dd>`}
${image.upstream === undefined || image.upstream === image.reference ? undefined : pair(words.inPlaceOf, markup`<code>${image.upstream}</code>`)}
${pair(
  words.group,
  image.groups.length === 0
    ? say(image.upstream === undefined ? words.ownImage : words.noGroup)
    : image.groups.map((group, i) => [i === 0 ? '' : ', ', within(`group-${group}`, group)]),
)}
</dl></th>
<td>${madeFrom(plan, image, paths)}</td>
<td><ul>${plan.platforms.map((platform) => platformItem(image, platform, content?.platforms[platform], paths))}</ul></td></tr>
`
}

function platformItem(image: ImagePlan, platform: PlatformName, made: ManifestContent | undefined, paths: ReadonlySet<string>): Markup {
  const planned = image.platforms[platform]
  if (planned?.status !== 'made') {
    return markup`<li>${platform}: ${say(words.notProvided)}. <i class="soft" lang="en">${planned?.reason}</i></li>`
  }
  const path = sbomPath(image.component, platform)
  const link = paths.has(path) ? linkTo(path) : undefined
  return markup`<li><b>${platform}</b>${link && markup` · <a href="${link}">SBOM</a>`}${
    made &&
    markup`<br>${blob(made.manifest)}<br>config ${blob(made.config, 12)} layers ${made.layers.map((layer, i) => [i === 0 ? '' : ' ', blob(layer, 12)])}`
  }</li>`
}

/** All of the digest stands in the link; `shown` characters of it are read. What kind of blob it is the script sees by its place. */
function blob(digest: Digest, shown = 64): Markup {
  const all = hex(digest)
  return markup`<a href="oci/blobs/sha256/${all}">${shown < 64 ? `${all.slice(0, shown)}…` : digest}</a>`
}

function madeFrom(plan: ReleasePlan, image: ImagePlan, paths: ReadonlySet<string>): Markup {
  const pin = image.locked?.pin
  const made = plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
  const standIns = [...new Set(made.flatMap((platform) => standInsOf(plan, image, platform)))]
  const edit = goEditOf(image)
  const changes = appliedFiles(image)
  return markup`<span class="tag">${say(image.action === 'mirror' ? words.mirrored : words.rebuilt)}</span> ${how(plan, image)}<dl class="pairs">
${image.source === undefined || image.source.kind === pin?.kind ? undefined : pair(words.source, sourceText(image.source))}
${takesPin(image) ? pair(pin?.kind === image.source?.kind ? words.source : words.pinned, pin === undefined ? say(words.unpinned) : pinText(pin)) : undefined}
${image.base === 'scratch' ? pair(words.base, say(words.onScratch)) : undefined}
${edit === undefined ? undefined : pair(words.edited, editText(edit))}
${
  changes.length === 0
    ? undefined
    : pair(
        words.changedBy,
        changes.map((each, i) => [
          i === 0 ? undefined : markup`<br>`,
          beside(shippedPath(each), paths),
          ' ',
          markup`<code>${each.digest}</code>`,
        ]),
      )
}
${image.deviates === undefined ? undefined : pair(words.deviates, markup`<i lang="en">${image.deviates.from}: ${image.deviates.reason}</i>`)}
${
  standIns.length === 0
    ? undefined
    : markup`<dt><span class="tag bad">${say(words.standIn)}</span></dt><dd>${standIns.map((each, i) => [i === 0 ? undefined : markup`<br>`, each])}</dd>`
}
</dl>`
}

function pair(said: Said, content: Content): Markup {
  return markup`<dt>${say(said)}</dt><dd>${content}</dd>`
}

function how(plan: ReleasePlan, image: ImagePlan): Markup | undefined {
  const { build } = image
  const kind = buildKind(image)
  if (kind === 'mirror') return undefined
  if (kind === 'collected') return markup`${say(words.collected)} ${imageLinks(collectedComponents(build))}`
  if (kind === 'files') return filesText(plan, image)
  if (kind === 'prebuilt') return say(words.prebuilt)
  if (build === undefined) return undefined
  if (build.kind === 'c') return say(words.compiledC)
  return say(build.kind === 'go' ? words.compiled(build.toolchain) : words.recipe)
}

/** Nothing is compiled: where else its programs are from. */
function filesText(plan: ReleasePlan, { build, platforms }: ImagePlan): Markup {
  const { program, installer } = carriedRelease(build) ?? {}
  const files = plan.platforms.flatMap((platform) => {
    if (platforms[platform]?.status !== 'made') return []
    const names = tarballName(platform)
    return [...(program === undefined ? [] : [names.program]), ...(installer === undefined ? [] : [names.tarball])]
  })
  const others = collectedComponents(build)
  return markup`${say(words.laidTogether)}${files.length === 0 ? undefined : markup` ${say(words.carries)} ${files.map((file, i) => [i === 0 ? '' : ', ', markup`<code>${file}</code>`])}`}${others.size === 0 ? undefined : markup` ${say(words.collected)} ${imageLinks(others)}`}`
}

function sourceText(source: NonNullable<ImagePlan['source']>): Markup {
  if (source.kind === 'go-module') return markup`<code>${source.module}@${source.version}</code>`
  return source.kind === 'git' ? markup`${web(source.url)} <code>${source.tag}</code>` : web(source.url)
}

/** Where it lies, and what makes sure that it is that: a commit, a digest, a Go checksum. */
function pinText(pin: Pin): Markup {
  const fixed = (text: string): Markup => markup`<code>${text}</code>`
  switch (pin.kind) {
    case 'git':
      return markup`${web(pin.url)} <code>${pin.tag}</code> → ${fixed(pin.commit)}${pin.archive && markup`<br>${web(pin.archive.url, 'archive')} ${fixed(pin.archive.digest)}`}`
    case 'archive':
      return markup`${web(pin.url)}<br>${fixed(pin.digest)}`
    case 'go-module':
      return markup`<code>${pin.module}@${pin.version}</code><br>zip ${fixed(pin.h1)}<br>go.mod ${fixed(pin.goModH1)}`
    case 'image':
      return markup`<code>${pin.reference}</code><br>${fixed(pin.index.digest)}`
    case 'unresolved':
      return markup`${say(words.unpinned)}. <i lang="en">${pin.reason}</i>`
  }
}

function editText({ dropReplace, require, replace, localReplaces }: GoEdit): Markup {
  const lines = [
    ...dropReplace.map((module) => `- replace ${module}`),
    ...(localReplaces === undefined ? [] : ['- replace … => ./…', `+ require … ${localReplaces}`]),
    ...Object.entries(require).map(([module, version]) => `+ require ${module} ${version}`),
    ...Object.entries(replace ?? {}).map(([module, other]) => `+ replace ${module.replace('@', ' ')} => ${other.replace('@', ' ')}`),
  ]
  return markup`${lines.map((line, i) => [i === 0 ? undefined : markup`<br>`, markup`<code>${line}</code>`])}`
}
