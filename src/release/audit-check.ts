/** The parts of audit.html about checking: commands to type, and a file that is chosen to learn which one it is. */
import { predicateTypes } from '../attest/statement.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { type Content, type Markup, markup, shellWord } from './audit-markup.ts'
import { type Said, say, words } from './audit-words.ts'
import { checksumListNames } from './lists.ts'

export function checkSection(plan: ReleasePlan): Markup {
  const version = shellWord(plan.version)
  const lists = plan.platforms.map((platform) => checksumListNames(platform).sha256)
  const typed = (commands: readonly string[]): Markup => markup`<pre>${commands.map((each) => markup`<code>${each}</code>`)}</pre>`
  return markup`<section aria-labelledby="check">
<h2 id="check">${say(words.check)}</h2>
<p>${say(words.checkKey)}</p>
<ol class="steps">
<li>${say(words.checkAll)}${typed([`rfo-build verify . --expect ${version} --key rfo.pub`])}</li>
<li>${say(words.checkPlain)}${typed([`sh verify.sh --key rfo.pub --expect ${version}`])}</li>
<li>${say(words.checkDamage)}${typed(
    lists.flatMap((list) => [`sha256sum -c ${list}`, `openssl dgst -sha256 -verify rfo.pub -signature ${list}.sig ${list}`]),
  )}</li>
<li>${say(words.checkOne)}<pre>${oneFile(markup`&lt;sha256&gt;`)}</pre></li>
</ol>
</section>`
}

/** What asks the statement about one digest: https://docs.sigstore.dev/cosign/verifying/attestation/ */
function oneFile(digest: Markup): Markup {
  return markup`<code>cosign verify-blob-attestation --key rfo.pub --insecure-ignore-tlog --bundle evidence/release.sigstore.json --type ${predicateTypes.release} --digest ${digest} --digestAlg sha256</code>`
}

/** Every answer stands in the page, hidden, and the script shows one. */
export function findSection(): Markup {
  const name = markup`<code data-slot="name"></code>`
  const found = markup`<ul data-slot="found"></ul>`
  const typed = markup`<pre><code data-slot="typed"></code></pre>`
  const digest = markup`<p>SHA-256 <code class="whole" data-slot="digest"></code></p>`
  const answer = (state: string, kind: '' | 'good' | 'bad', said: Said, rest?: Content): Markup =>
    markup`<div data-answer="${state}" class="${kind}" hidden><p><strong>${say(said)}</strong> ${name}</p>${rest}</div>
`
  const asked = markup`<div data-if="subject"><p>${say(words.listedNext)}</p><pre>${oneFile(markup`<span data-slot="digest"></span>`)}</pre></div>`
  const same = markup`<div data-if="found"><p>${say(words.sameName)}</p>${found}</div>`
  return markup`<section aria-labelledby="find">
<h2 id="find">${say(words.find)}</h2>
<noscript><p>${say(words.noScript)}</p></noscript>
<div class="drop" data-script hidden>
<label for="chosen">${say(words.choose)}</label>
<input type="file" id="chosen" aria-describedby="chosen-hint">
<p class="soft" id="chosen-hint">${say(words.chooseHint)}</p>
</div>
<div id="answer" role="status">
${answer('computing', '', words.computing)}${answer('listed', 'good', words.listed, [digest, found, asked])}${answer('unlisted', 'bad', words.unlisted, [digest, same, markup`<p>${say(words.unlistedNext)}</p>`])}${answer('large', '', words.tooLarge, typed)}${answer('crypto', '', words.noCrypto, typed)}${answer('unreadable', '', words.unreadable, typed)}</div>
</section>`
}
