/**
 * Style and script of audit.html, as they stand in it: the page's Content-Security-Policy names their digests, and nothing else
 * may run or load. The script reads what the tables say and adds no markup of its own: it copies nodes and sets text.
 */

export const style = `
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --panel: #ffffff; --ink: #1d2327; --soft: #57606a; --line: #d9dcd6; --link: #0b57a4; --mark: #eef1ec;
  --good: #17643a; --good-page: #e8f4ec; --bad: #a11a1a; --bad-page: #fdeeec; --accent: #2f6f62;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181a; --panel: #1b2023; --ink: #e6e8e6; --soft: #a7b0b5; --line: #363d41; --link: #8cc1ff; --mark: #232a2d;
    --good: #8ad6a6; --good-page: #14291d; --bad: #ffaaa2; --bad-page: #351917; --accent: #7cc4b3;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
@supports selector(:has(*)) {
  html:not(:has(#zh:checked)) span[lang=zh], html:has(#zh:checked) span[lang=en] { display: none; }
}
html { scroll-padding-top: 3rem; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
}
i { font-style: normal; }
code, pre, a[href^='oci/'] { font: .8125rem/1.5 ui-monospace, "SFMono-Regular", Consolas, "Noto Sans Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
a { color: var(--link); text-underline-offset: .15em; overflow-wrap: anywhere; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
:target { background: var(--mark); }
h1, h2, h3, p, dl, ol, ul, fieldset { margin: 0; }
h1 { font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; margin-bottom: .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
header, main, footer { max-width: 84rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 1.25rem; }
.skip, .away { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--panel); padding: .5rem; }
.top { display: flex; flex-wrap: wrap; gap: .5rem 2rem; justify-content: space-between; align-items: baseline; }
.eyebrow { color: var(--accent); font-weight: 600; letter-spacing: .02em; }
fieldset { border: 0; padding: 0; display: flex; gap: 1rem; }
legend { float: left; padding: 0; margin-right: .75rem; color: var(--soft); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.map { border-left: .25rem solid var(--accent); padding-left: 1rem; max-width: 60rem; margin: 1rem 0; }
nav ul { list-style: none; padding: .6rem 0; margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; border-block: 1px solid var(--line); }
section { margin: 2.25rem 0; }
section > p { max-width: 60rem; margin-bottom: .75rem; }
.soft { color: var(--soft); }
.warning { background: var(--bad-page); border: 2px solid var(--bad); border-radius: .5rem; padding: 1rem 1.25rem; margin: 1.25rem 0; }
.warning h2 { color: var(--bad); }
.warning p { margin-bottom: .4rem; }
.warning ul { padding-left: 1.4rem; }
.warning li > span, .warning summary { font-weight: 600; }
summary { cursor: pointer; }
.steps { padding-left: 1.4rem; display: grid; gap: .9rem; }
pre { margin: .35rem 0 0; padding: .6rem .8rem; background: var(--mark); border: 1px solid var(--line); border-radius: .35rem; white-space: pre-wrap; }
pre code { display: block; user-select: all; }
.whole, td code, th code { user-select: all; }
table { width: 100%; border-collapse: collapse; background: var(--panel); border: 1px solid var(--line); }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-bottom: 1px solid var(--line); font-weight: 400; font-size: .9375rem; line-height: 1.45; }
thead th { position: sticky; top: 0; background: var(--mark); font-weight: 600; z-index: 1; }
tbody tr:hover { background: var(--mark); }
.files td:nth-child(2) { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.files thead th:nth-child(2) { text-align: right; }
.platforms th[scope=row] { white-space: nowrap; }
td ul { list-style: none; padding: 0; display: grid; gap: .4rem; }
.images th[scope=row] { width: 27%; }
.images td { width: 33%; }
.images td + td { width: 40%; }
.files th[scope=row] { width: 42%; }
.files td:nth-child(3) { width: 30%; }
b, .name { font-weight: 600; overflow-wrap: anywhere; }
.pairs { display: grid; gap: .3rem; }
.pairs dt { font-size: .875rem; }
.pairs dd + dt { margin-top: .1rem; }
.tag { display: inline-block; border: 1px solid currentColor; border-radius: .8rem; padding: 0 .55rem; font-size: .8125rem; line-height: 1.5; white-space: nowrap; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.filter { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: baseline; margin-bottom: .75rem; }
input[type=search] {
  font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--soft); border-radius: .35rem; padding: .35rem .6rem;
  width: 24rem; max-width: 100%;
}
.drop { border: 2px dashed var(--soft); border-radius: .5rem; padding: 1.1rem 1.25rem; background: var(--panel); }
.drop label { font-weight: 600; display: block; margin-bottom: .5rem; }
.drop input { font: inherit; max-width: 100%; }
.drop .soft { margin-top: .5rem; }
.over .drop { border-color: var(--accent); background: var(--mark); }
#answer > div { border: 2px solid var(--soft); border-radius: .5rem; padding: .9rem 1.25rem; margin-top: .9rem; background: var(--panel); }
#answer > .good { border-color: var(--good); background: var(--good-page); }
#answer > .bad { border-color: var(--bad); background: var(--bad-page); }
#answer p, #answer ul, #answer pre { color: var(--ink); margin: .4rem 0 0; }
#answer p:first-child { margin: 0; }
#answer ul { padding-left: 1.2rem; max-height: 16rem; overflow: auto; }
#answer strong { color: inherit; }
#answer .good strong { color: var(--good); }
#answer .bad strong { color: var(--bad); }
.groups dd { margin-bottom: .6rem; }
.groups dt { font-weight: 600; color: inherit; }
footer { padding-block: 1rem 3rem; color: var(--soft); }
@media (max-width: 52rem) {
  header, main, footer { padding-inline: 1rem; }
  h1 { font-size: 1.5rem; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .4rem; }
  .steps { padding-left: 1.2rem; }
  table, tbody, tr, tbody th, td { display: block; }
  thead { position: absolute; left: -999rem; }
  tbody th, td, .images th[scope=row], .images td, .images td + td, .files th[scope=row], .files td:nth-child(2), .files td:nth-child(3) { width: auto; border: 0; text-align: left; padding: .3rem .75rem; }
  tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --panel: #fff; --mark: #fff; --ink: #000; --soft: #333; --link: #000; }
  body { font-size: 9pt; }
  i { font-style: normal; }
code, pre, a[href^='oci/'] { font-size: 7.5pt; }
  nav, fieldset, .skip, .filter, section:has(> #find) { display: none; }
  thead th { position: static; }
  tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; }
}
`

/** Bytes that a browser is asked to hold at once; a digest of Web Crypto takes the whole file. */
export const maxDroppedBytes = 2 ** 30

export const script = `
'use strict'
const all = (selector, from = document) => [...from.querySelectorAll(selector)]
for (const part of all('[data-script]')) part.hidden = false

const speak = () => { document.documentElement.lang = document.getElementById('zh').checked ? 'zh' : 'en' }
for (const choice of all('input[name=language]')) choice.addEventListener('change', speak)
speak()

for (const box of all('input[type=search]')) {
  const rows = all('#' + box.dataset.rows + ' > tbody > tr').map((row) => ({ row, text: row.textContent.toLowerCase() }))
  const count = document.getElementById(box.dataset.count)
  const filter = () => {
    const words = box.value.toLowerCase().split(' ').filter((word) => word !== '')
    let shown = 0
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word))
      if (!row.hidden) shown += 1
    }
    count.textContent = shown + ' / ' + rows.length
  }
  box.addEventListener('input', filter)
  filter()
}
// a link into a row that a filter hides would lead nowhere
addEventListener('hashchange', () => {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (row === null || !row.hidden) return
  for (const box of all('input[type=search]')) { box.value = ''; box.dispatchEvent(new Event('input')) }
  row.scrollIntoView()
})

// hex of SHA-256 → the nodes that say what has it
const known = new Map()
const byName = new Map()
const add = (map, key, nodes) => map.set(key, [...(map.get(key) ?? []), nodes])
for (const row of all('#file-rows > tbody > tr')) {
  const [name, , digest, from] = row.cells
  add(known, digest.textContent, { nodes: [...name.childNodes, ' ← ', ...from.childNodes], subject: true })
  add(byName, name.textContent.slice(name.textContent.lastIndexOf('/') + 1), { nodes: [...name.childNodes] })
}
for (const row of all('#image-rows > tbody > tr')) {
  const image = document.createElement('a')
  image.href = '#' + encodeURIComponent(row.id)
  image.textContent = row.querySelector('b').textContent
  for (const index of all('th a[href^="oci/"]', row)) add(known, index.href.slice(-64), { nodes: [image, ' index ', index], subject: true })
  for (const item of all('li', row)) {
    const platform = item.firstChild.textContent
    const kinds = ['manifest', 'config']
    for (const blob of all('a[href^="oci/"]', item)) {
      add(known, blob.href.slice(-64), { nodes: [image, ' ' + platform + ' ' + (kinds.shift() ?? 'layer') + ' ', blob] })
    }
  }
}

const answer = document.getElementById('answer')
const list = (found) => found.map(({ nodes }) => {
  const item = document.createElement('li')
  item.append(...nodes.map((node) => (typeof node === 'string' ? node : node.cloneNode(true))))
  return item
})
const quoted = (name) => "'" + name.replaceAll("'", "'\\\\''") + "'"
const seen = (text) => text.replace(/[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]/gu, '\\ufffd')

function show(state, name, slots) {
  for (const part of answer.children) part.hidden = part.dataset.answer !== state
  const part = answer.querySelector('[data-answer=' + state + ']')
  for (const slot of all('[data-slot=name]', part)) slot.textContent = seen(name)
  for (const slot of all('[data-slot=typed]', part)) slot.textContent = 'sha256sum -- ' + quoted(seen(name))
  for (const slot of all('[data-slot=digest]', part)) slot.textContent = slots.digest ?? ''
  for (const slot of all('[data-slot=found]', part)) slot.replaceChildren(...list(slots.found ?? []))
  const found = slots.found ?? []
  for (const only of all('[data-if=found]', part)) only.hidden = found.length === 0
  for (const only of all('[data-if=subject]', part)) only.hidden = !found.some((each) => each.subject)
  answer.dataset.state = state
}

let asked = 0
async function look(file) {
  const mine = ++asked
  if (file.size > ${maxDroppedBytes}) return show('large', file.name, {})
  if (globalThis.crypto?.subtle === undefined) return show('crypto', file.name, {})
  show('computing', file.name, {})
  let bytes
  try {
    bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()))
  } catch {
    if (mine === asked) show('unreadable', file.name, {})
    return
  }
  // a second file was chosen while this one was read
  if (mine !== asked) return
  const digest = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const found = known.get(digest)
  if (found === undefined) show('unlisted', file.name, { digest, found: byName.get(file.name) })
  else show('listed', file.name, { digest, found })
}

const chosen = document.getElementById('chosen')
chosen.addEventListener('change', () => { if (chosen.files.length > 0) look(chosen.files[0]) })
addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('over') })
addEventListener('dragleave', (event) => { if (event.relatedTarget === null) document.body.classList.remove('over') })
addEventListener('drop', (event) => {
  event.preventDefault()
  document.body.classList.remove('over')
  const file = event.dataTransfer.files[0]
  if (file === undefined) return
  chosen.value = ''
  look(file)
  document.getElementById('find').scrollIntoView()
})
`
