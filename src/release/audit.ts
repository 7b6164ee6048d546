/**
 * audit.html: a map from every file of a release to what it was made of, for somebody with a browser and no network. Pure text
 * from what is known before the checksum lists are written, so that they and the root cover it: no key, no signature, no root
 * digest, no clock.
 */
import { createHash } from 'node:crypto'
import { type Digest, hex } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { ChartPlan, ReleasePlan } from '../plan/release-plan.ts'
import { checkSection, findSection } from './audit-check.ts'
import { type ImageContent, imagesSection } from './audit-images.ts'
import { beside, linkTo, type Markup, markup, raw, web, within } from './audit-markup.ts'
import { script, style } from './audit-page.ts'
import { type Said, say, words } from './audit-words.ts'
import { chartPath } from './chart-tasks.ts'
import { standInsOf } from './labels.ts'
import { checksumListNames, legacyGroups } from './lists.ts'
import { by } from './root.ts'
import type { Support } from './support-task.ts'

export const auditFile = 'audit.html'

export interface AuditFacts {
  readonly plan: ReleasePlan
  /** by component */
  readonly images: ReadonlyMap<string, ImageContent>
  readonly support: Support
  /** component whose source the program, the tarball and the packages are made of */
  readonly sourceOf: string
  /** every other file that is there before the checksum lists */
  readonly files: readonly AuditedFile[]
}

export interface AuditedFile {
  readonly path: string
  readonly digest: Digest
  readonly size: number
  /** absent: nothing inside of it depends on who signs */
  readonly unsigned?: { readonly digest: Digest }
}

export function auditPage(facts: AuditFacts): string {
  const { plan } = facts
  const files = [...facts.files].sort(by((file) => file.path))
  const paths = new Set(files.map((file) => file.path))
  const body = markup`
${header(plan)}
<main id="content">
${warning(plan, facts.sourceOf)}
${checkSection(plan)}
${findSection()}
${platformsSection(plan, facts.support, paths)}
${imagesSection(plan, facts.images, paths)}
${chartsSection(plan, paths)}
${filesSection(facts, files)}
</main>
<footer><p>${say(words.end)} RFO ${plan.version}</p></footer>`
  // https://www.w3.org/TR/CSP3/#meta-element : it holds for what follows, and so stands first
  const policy = `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'`
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>RFO ${plan.version}: audit</title>
<style>${raw(style)}</style>
</head>
<body>${body}
<script>${raw(script)}</script>
</body>
</html>
`.markup
}

/** https://www.w3.org/TR/CSP3/#grammardef-hash-source */
function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

function header(plan: ReleasePlan): Markup {
  const date = new Date(plan.epoch * 1000).toISOString().replace('.000Z', ' UTC').replace('T', ' ')
  const sections = [
    ['check', words.check],
    ['find', words.find],
    ['platforms', words.platforms],
    ['images', words.images],
    ['charts', words.charts],
    ['files', words.files],
  ] as const
  return markup`<a class="skip" href="#content">${say(words.skip)}</a>
<header>
<div class="top">
<p class="eyebrow">${say(words.eyebrow)}</p>
<fieldset><legend>${say(words.language)}</legend>
<label lang="en"><input type="radio" name="language" id="en" checked> English</label>
<label lang="zh"><input type="radio" name="language" id="zh"> 中文</label>
</fieldset>
</div>
<h1>RFO ${plan.version}</h1>
<dl class="facts">
<dt>${say(words.upstream)}</dt><dd>${plan.upstream.version}</dd>
<dt>${say(words.commit)}</dt><dd><code class="whole">${plan.upstream.commit}</code></dd>
<dt>${say(words.date)}</dt><dd>${date}</dd>
<dt>${say(words.vendor)}</dt><dd>${plan.vendor}, ${web(plan.url)}</dd>
</dl>
<p class="map">${say(words.map)}</p>
<nav aria-labelledby="contents"><span class="away" id="contents">${say(words.contents)}</span><ul>${sections.map(([id, said]) => markup`<li><a href="#${id}">${say(said)}</a></li>`)}</ul></nav>
</header>`
}

/** Loud, and by name; what each stands in for is said where its link leads. */
function warning(plan: ReleasePlan, sourceOf: string): Markup | undefined {
  const bases = plan.platforms.filter((platform) => {
    const locked = plan.bases[platform]?.locked
    return locked?.kind === 'image' && locked.standIn !== undefined
  })
  const images = plan.images.filter((image) =>
    plan.platforms.some((platform) => image.platforms[platform]?.status === 'made' && standInsOf(plan, image, platform).length > 0),
  )
  const charts = plan.charts.filter(({ locked }) => locked?.kind === 'chart' && locked.standIn !== undefined)
  const installs = plan.images.filter(({ component, locked }) => component === sourceOf && locked?.standIn !== undefined)
  if (bases.length + images.length + charts.length === 0) return undefined
  const item = (said: Said, names: readonly Markup[]): Markup | undefined => {
    if (names.length === 0) return undefined
    const list = names.map((name, i) => [i === 0 ? '' : ', ', name])
    // many names would push everything else off the first screen
    const folded = names.length > 12 ? markup`<details><summary>${say(said)}</summary>${list}</details>` : markup`${say(said)}: ${list}`
    return markup`<li>${folded}</li>\n`
  }
  return markup`<section class="warning" aria-labelledby="warning">
<h2 id="warning">${say(words.standIns)}</h2>
<p>${say(words.standInsAre)}</p>
<ul>
${item(
  words.of('bases', bases.length, plan.platforms.length),
  bases.map((platform) => within('platforms', platform)),
)}${item(
  words.of('images', images.length, plan.images.length),
  images.map(({ component }) => within(`image-${component}`, component)),
)}${item(
  words.of('charts', charts.length, plan.charts.length),
  charts.map(({ name }) => within(`chart-${name}`, name)),
)}${item(
  words.bundle,
  installs.map(({ component }) => within(`image-${component}`, component)),
)}</ul>
</section>`
}

function platformsSection(plan: ReleasePlan, support: Support, paths: ReadonlySet<string>): Markup {
  const row = (platform: PlatformName): Markup => {
    const state = support.platforms[platform]
    const base = plan.bases[platform]
    const locked = base?.locked?.kind === 'image' ? base.locked : undefined
    const missing = state?.status === 'partial' ? state.missing : []
    return markup`<tr><th scope="row" class="name">${platform}</th>
<td>${missing.length === 0 ? markup`<span class="tag good">${say(words.bootable)}</span>` : markup`<span class="tag bad">${say(words.partial)}</span>`}${
      missing.length === 0
        ? undefined
        : markup`<ul>${missing.map(
            (one) =>
              markup`<li><code>${one.reference}</code>, ${say(words.neededBy)} ${one.neededBy}<br><i class="soft" lang="en">${one.reason}</i></li>`,
          )}</ul>`
    }</td>
<td><span class="name">${base?.name}</span><dl class="pairs">
<dd><code>${base?.reference}</code></dd>
${locked && markup`<dd><code>${locked.manifest.digest}</code></dd>`}
${base?.reason === undefined ? undefined : markup`<dd><i class="soft" lang="en">${base.reason}</i></dd>`}
${locked?.standIn === undefined ? undefined : markup`<dd><span class="tag bad">${say(words.standIn)}</span> ${locked.standIn}</dd>`}
</dl></td></tr>
`
  }
  return markup`<section aria-labelledby="platforms">
<h2 id="platforms">${say(words.platforms)}</h2>
<p>${say(words.bootableMeans)} ${say(words.otherChoices)} ${beside('RELEASE.md', paths)}, ${beside('platforms.txt', paths)}</p>
<table class="platforms" aria-labelledby="platforms">
<thead><tr><th scope="col">${say(words.platform)}</th><th scope="col">${say(words.state)}</th><th scope="col">${say(words.base)}</th></tr></thead>
<tbody>${plan.platforms.map(row)}</tbody>
</table>
</section>`
}

function chartsSection(plan: ReleasePlan, paths: ReadonlySet<string>): Markup {
  const row = (chart: ChartPlan): Markup => {
    const locked = chart.locked?.kind === 'chart' ? chart.locked : undefined
    return markup`<tr id="chart-${chart.name}"><th scope="row"><span class="name">${chart.name}</span> ${chart.version}<br>${beside(chartPath(chart), paths)}</th>
<td>${web(locked?.url ?? chart.url)}<br>${locked === undefined ? say(words.unpinned) : markup`<code>${locked.digest}</code>`}${
      locked?.standIn === undefined ? undefined : markup`<br><span class="tag bad">${say(words.standIn)}</span> ${locked.standIn}`
    }</td></tr>
`
  }
  return markup`<section aria-labelledby="charts">
<h2 id="charts">${say(words.charts)}</h2>
<p>${say(words.chartsAre)}</p>
<table aria-labelledby="charts">
<thead><tr><th scope="col">${say(words.chart)}</th><th scope="col">${say(words.madeFrom)}</th></tr></thead>
<tbody>${plan.charts.map(row)}</tbody>
</table>
</section>`
}

function filesSection(facts: AuditFacts, files: readonly AuditedFile[]): Markup {
  const { plan, sourceOf } = facts
  const from = origins(plan, sourceOf)
  const row = ({ path, digest, size, unsigned }: AuditedFile): Markup => {
    const link = linkTo(path)
    const name = link === undefined ? markup`${path}` : markup`<a href="${link}">${path}</a>`
    const sums =
      unsigned === undefined
        ? markup`<td>${grouped(size)}</td><td><code>${hex(digest)}</code></td>`
        : markup`<td></td><td>${say(words.signedInside)}</td>`
    return markup`<tr><th scope="row">${name}</th>${sums}<td>${from(path)}</td></tr>
`
  }
  const lists = plan.platforms.map((platform) => checksumListNames(platform).sha256)
  const unlisted = ['evidence/release.json', ...lists]
  return markup`<section aria-labelledby="files">
<h2 id="files">${say(words.files)}</h2>
<p>${say(words.filesAre)} ${unlisted.map((path, i) => markup`${i === 0 ? '' : ', '}${beside(path, new Set(unlisted))}`)}</p>
<p class="filter" data-script hidden><label for="file-filter">${say(words.filter)}</label> <input type="search" id="file-filter" data-rows="file-rows" data-count="file-count" autocomplete="off" spellcheck="false"> <output id="file-count" for="file-filter" class="soft"></output></p>
<table class="files" id="file-rows" aria-labelledby="files">
<thead><tr><th scope="col">${say(words.file)}</th><th scope="col">${say(words.size)}</th><th scope="col">SHA-256</th><th scope="col">${say(words.madeFrom)}</th></tr></thead>
<tbody>${files.map(row)}</tbody>
</table>
</section>`
}

/** What a file was made of, by its path: a link to where the page names the source. */
function origins(plan: ReleasePlan, sourceOf: string): (path: string) => Markup {
  const components = new Set(plan.images.map((image) => image.component))
  const charts = new Map(plan.charts.map((chart) => [chartPath(chart), chart.name]))
  const groups = new Set(plan.images.flatMap((image) => image.groups))
  return (path) => {
    const component = /^sbom\/(.+)\.linux-[a-z0-9]+\.(?:cdx|spdx|vuln)\.json$/.exec(path)?.[1]
    if (component !== undefined && components.has(component)) return within(`image-${component}`, component)
    const chart = charts.get(path)
    if (chart !== undefined) return within(`chart-${chart}`, chart)
    const archive = /^rfo-images(?:-([^.]+))?\.linux-/.exec(path)
    if (archive?.[1] === 'all') return markup`<a href="#images">${say(words.allImages)}</a>`
    const held = archive === null ? [] : archive[1] === undefined ? legacyGroups.filter((group) => groups.has(group)) : [archive[1]]
    if (held.length > 0) return markup`${held.map((group, i) => markup`${i === 0 ? '' : ' + '}${within(`group-${group}`, group)}`)}`
    const explorer = 'kube-explorer'
    if (components.has(explorer) && /^rpm\/(.*\/)?kube-explorer[-.][^/]*$/.test(path)) return within(`image-${explorer}`, explorer)
    if (/^rpm\/(.*\/)?rfo-(selinux|release)[-.][^/]*$/.test(path)) return say(words.written)
    if (/^rfo\.linux-|^rpm\//.test(path)) return markup`${say(words.program)} ${within(`image-${sourceOf}`, sourceOf)}`
    return /^(install-rfo|verify)\.sh$|^rfo-verify\.cjs$/.test(path) ? markup`rfo-build` : say(words.written)
  }
}

/** Never by locale: the page is the same on every machine. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
