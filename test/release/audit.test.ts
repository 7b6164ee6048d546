/** audit.html: pure text that no name can break out of, and a map on which nothing of the release is missing. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { hex } from '../../src/oci/digest.ts'
import { auditFile, auditPage } from '../../src/release/audit.ts'
import { linkTo, markup, shellWord, visible } from '../../src/release/audit-markup.ts'
import { auditFacts, hostile, hostileFacts } from './audit-facts.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, version } from './project.ts'
import { smallPlan } from './small-plan.ts'

/** Of an element that stands once. */
function inner(page: string, element: string): string {
  const found = [...page.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))]
  expect(found.length, element).toBe(1)
  return found[0]?.[1] ?? ''
}

/** The page without its style and script, whose digests the policy names. */
const body = (page: string): string => page.replace(/<(style|script)>[\s\S]*?<\/\1>/g, '')
const unescaped = (text: string): string => text.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)))
const links = (page: string): string[] => [...body(page).matchAll(/ href="([^"]*)"/g)].map(([, href = '']) => unescaped(href))

describe('the text', () => {
  test('is the same for the same facts, in whatever order the files come', () => {
    const facts = auditFacts()
    expect(auditPage({ ...facts, files: [...facts.files].reverse() })).toBe(auditPage(facts))
  })

  test('allows its own style and script and nothing else', () => {
    const page = auditPage(auditFacts())
    const sum = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const policy = unescaped(/http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? '')
    expect(policy).toBe(
      `default-src 'none'; style-src ${sum(inner(page, 'style'))}; script-src ${sum(inner(page, 'script'))}; base-uri 'none'; form-action 'none'`,
    )
    // what stands before the policy is not under it
    expect(page.indexOf('Content-Security-Policy')).toBeLessThan(page.indexOf('<style>'))
    expect(body(page)).not.toMatch(/ (style|src|srcset|on[a-z]+)="/)
    expect(body(page)).not.toMatch(/<(link|img|iframe|object|form|base)\b/)
    expect(inner(page, 'style')).not.toMatch(/url\(|@import/)
  })

  test('says what a file was made of', () => {
    const page = auditPage(auditFacts())
    const from = (path: string): string => {
      const row = page.split('\n').find((line) => line.includes('<th scope="row"><a') && line.includes(`>${path}<`))
      return row?.slice(row.lastIndexOf('<td>')) ?? ''
    }
    expect(from('sbom/b.linux-amd64.cdx.json')).toContain('href="#image-b"')
    expect(from('rfo-images-core.linux-amd64.tar.zst')).toContain('href="#group-core"')
    expect(from('rfo-images.linux-riscv64.txt')).toMatch(/href="#group-core".*href="#group-canal"/)
    expect(from('rfo-images-all.linux-amd64.txt')).toContain('href="#images"')
    expect(from('rfo.linux-amd64')).toContain('href="#image-a"')
    expect(from('plan.json')).toContain('plan and lock')
  })

  test('names the source by what pins it', () => {
    const [image] = smallPlan().images
    const pinned = (pin: object) =>
      auditPage(auditFacts({ ...smallPlan(), images: [{ ...image, locked: { fingerprint: 'sha256:0', pin } } as never] }))
    const git = pinned({ kind: 'git', url: 'https://example.test/x', tag: 'v1', commit: 'c'.repeat(40) })
    expect(git).toContain(`<a href="https://example.test/x">https://example.test/x</a> <code>v1</code> → <code>${'c'.repeat(40)}</code>`)
    const module = pinned({ kind: 'go-module', module: 'example.test/m', version: 'v1.2.3', h1: 'h1:zip', goModH1: 'h1:mod' })
    expect(module).toContain('<code>example.test/m@v1.2.3</code><br>zip <code>h1:zip</code><br>go.mod <code>h1:mod</code>')
    const mirrored = pinned({ kind: 'image', reference: 'docker.io/x/y:v1', index: { digest: 'sha256:abc' } })
    expect(mirrored).toContain('<code>docker.io/x/y:v1</code><br><code>sha256:abc</code>')
  })

  test('warns of stand-ins, by name, and only of those', () => {
    expect(auditPage(auditFacts())).not.toContain('class="warning"')
    const plan = smallPlan()
    const images = plan.images.map((image) =>
      image.component === 'c' ? { ...image, locked: { ...image.locked, standIn: 'the real c' } as never } : image,
    )
    const warned = auditPage(auditFacts({ ...plan, images }))
    const banner = warned.slice(warned.indexOf('class="warning"'), warned.indexOf('id="check"'))
    expect(banner).toContain('1 of 3 images')
    expect(banner).toContain('href="#image-c"')
    expect(banner).not.toContain('href="#image-a"')
    expect(warned).toContain('the real c')
  })
})

describe('names that others chose', () => {
  test('stay text: nothing of them becomes a tag, an attribute or a link that runs', () => {
    const page = auditPage(hostileFacts())
    expect(page).toContain('&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#96;&#38;amp;‹U+202E›exe‹U+0000›‹U+000A›--&#62;')
    const tag = /^<(?:!doctype html|\/[a-z0-9]+|[a-z0-9]+(?: [a-z-]+(?:="[^"<>]*")?)*)>$/
    const text = body(page)
    for (const [found] of text.matchAll(/<[^>]*>?/g)) expect(found).toMatch(tag)
    expect(text.replace(/<[^>]*>/g, '')).not.toMatch(/[<>"]/)
    expect(text).not.toMatch(/<(script|img)/)
    for (const href of links(page)) expect(href).toMatch(/^(#|https:\/\/|[A-Za-z0-9._~!*()'%/-]+$)/)
    expect(links(page).filter((href) => /^javascript:|^\.\./i.test(href))).toEqual([])
  })

  test('that turn or hide text are spelt out, but for the page’s own line ends', () => {
    const page = auditPage(hostileFacts()).replaceAll('\n', '')
    expect(page).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
    expect(Buffer.from(page, 'utf8').toString('utf8')).toBe(page)
    expect(visible('a\u200bb\ud800c')).toBe('a‹U+200B›b‹U+D800›c')
  })

  test('any text comes back out of a template as it went in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { markup: made } = markup`<p title="${text}">`
        const escaped = made.slice('<p title="'.length, -'">'.length)
        expect(escaped).not.toMatch(/[<>"'`]/)
        expect(unescaped(escaped)).toBe(visible(text))
      }),
    )
  })

  test('are one word in a command', () => {
    expect(shellWord('v1.24.8+rfor1')).toBe('v1.24.8+rfor1')
    expect(shellWord(`a'; rm`)).toBe(`'a'\\''; rm'`)
    expect(unescaped(auditPage(hostileFacts()))).toContain(`--expect ${visible(shellWord(hostile))}`)
  })

  test('are links to files beside the page only', () => {
    expect(linkTo('rpm/1+2/a b#c?.rpm')).toBe('rpm/1%2B2/a%20b%23c%3F.rpm')
    for (const path of ['../a', '/etc/passwd', 'a//b', './a', 'a\ud800']) expect(linkTo(path)).toBeUndefined()
    expect(linkTo('javascript:alert(1)')).toBe('javascript%3Aalert(1)')
  })
})

describe('in a release', () => {
  let project: Project
  let made: string
  let page: string
  let predicate: ReleasePredicate
  beforeAll(async () => {
    project = await madeProject('amd64,arm64,riscv64')
    made = join(project.folder, 'dist', version)
    page = await readFile(join(made, auditFile), 'utf8')
    predicate = await readPredicate(made)
  })
  afterAll(() => project.remove())

  test('an image that collects programs says whose they are, and those that no list names say that another carries them', () => {
    const row = (component: string): string => page.split(`<tr id="image-${component}">`)[1]?.split('</tr>')[0] ?? ''
    expect(row('rke2-runtime')).toContain('programs of other images of this release:')
    for (const component of ['hardened-containerd', 'hardened-crictl', 'hardened-kubernetes', 'hardened-runc'])
      expect(row('rke2-runtime')).toContain(`<a href="#image-${component}">${component}</a>`)
    expect(row('rke2-runtime')).not.toContain('RUN steps')
    expect(row('hardened-runc')).toContain('in no list: another image carries its programs')
    expect(row('hardened-kubernetes')).not.toContain('in no list')
  })

  test('every file of the statement is on it, but for what holds its digest and for keys', () => {
    const text = unescaped(page)
    const left = predicate.files.filter(
      // the page is in the root, and who signs decides the digest of a package
      ({ path, digest, unsigned }) =>
        !text.includes(`>${path}</a>`) || text.includes(`<code>${hex(digest)}</code>`) === (unsigned !== undefined),
    )
    const lists = ['amd64', 'arm64', 'riscv64'].flatMap((arch) => [`sha256sum-${arch}.txt`, `sm3sum-${arch}.txt`])
    expect(left.map(({ path }) => path).filter((path) => !/^trust\/|^rpm\/RPM-GPG-KEY|^rpm\/rfo-release-|\.xml\.gz$/.test(path))).toEqual(
      [auditFile, ...lists].sort(),
    )
  })

  test('the statement, the root and each checksum list cover it', async () => {
    const listed = predicate.files.find(({ path }) => path === auditFile)
    expect(listed?.digest).toBe(`sha256:${createHash('sha256').update(page).digest('hex')}`)
    expect(JSON.stringify(predicate.root.index)).toContain(`"${auditFile}"`)
    for (const arch of ['amd64', 'arm64', 'riscv64']) {
      expect(await readFile(join(made, `sha256sum-${arch}.txt`), 'utf8')).toContain(`${hex(listed?.digest as never)}  ${auditFile}\n`)
    }
  })

  test('every image is on it, with index, manifests and reasons', () => {
    const text = unescaped(page)
    for (const image of predicate.images) {
      expect(text).toContain(`<code>${image.reference}</code>`)
      expect(text).toContain(`oci/blobs/sha256/${hex(image.digest)}`)
      for (const platform of Object.values(image.platforms)) {
        expect(text).toContain(platform.status === 'made' ? `oci/blobs/sha256/${hex(platform.digest)}` : platform.reason)
      }
    }
  })

  test('every link to a file finds one', async () => {
    const beside = [...new Set(links(page).filter((href) => !href.startsWith('#') && !href.startsWith('https://')))]
    expect(beside.length).toBeGreaterThan(80)
    for (const href of beside) expect((await stat(join(made, decodeURIComponent(href)))).isFile(), href).toBe(true)
  })

  test('every blob that an image ships is on it', async () => {
    const named = new Set(links(page).flatMap((href) => /^oci\/blobs\/sha256\/([0-9a-f]{64})$/.exec(href)?.[1] ?? []))
    for (const blob of named) expect((await readdir(join(made, 'oci/blobs/sha256'))).includes(blob)).toBe(true)
    for (const image of predicate.images) {
      const index = JSON.parse(await readFile(join(made, 'oci/blobs/sha256', hex(image.digest)), 'utf8')) as {
        manifests: { digest: string }[]
      }
      for (const { digest } of index.manifests) {
        const manifest = JSON.parse(await readFile(join(made, 'oci/blobs/sha256', digest.slice(7)), 'utf8')) as Record<
          'layers',
          { digest: string }[]
        >
        for (const layer of manifest.layers) expect(named).toContain(layer.digest.slice(7))
      }
    }
  })

  test('it holds no key, no signature and no root digest', async () => {
    expect(page).not.toContain(hex(predicate.root.digest))
    const pem = await readFile(join(made, 'trust/cosign.pub'), 'utf8')
    expect(page).not.toContain(pem.split('\n')[1])
    expect(page).not.toContain(hex((predicate.standInKey ?? 'sha256:none') as never))
    for (const name of (await readdir(made)).filter((each) => each.endsWith('.sig'))) {
      expect(page).not.toContain((await readFile(join(made, name))).toString('base64').slice(0, 40))
    }
  })
})
