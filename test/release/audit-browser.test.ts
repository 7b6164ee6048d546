/** audit.html of a real release, opened from its folder by a real browser. */
import { appendFile, copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { hex } from '../../src/oci/digest.ts'
import { auditPage } from '../../src/release/audit.ts'
import { visible } from '../../src/release/audit-markup.ts'
import { tool } from '../tools.ts'
import { hostile, hostileFacts } from './audit-facts.ts'
import { type Browser, type Page, startBrowser } from './browser.ts'
import { madeProject, type Project, version } from './project.ts'

const chromium = tool('chromium')

describe.skipIf(chromium.skip)('in a browser', () => {
  let project: Project
  let made: string
  let scratch: string
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    project = await madeProject('amd64,arm64,riscv64')
    scratch = await mkdtemp(join(tmpdir(), 'rfo-audit-'))
    made = join(project.folder, 'dist', version)
    browser = await startBrowser(chromium.path)
    page = await browser.open(pathToFileURL(join(made, 'audit.html')).href)
  })
  afterAll(async () => {
    await browser?.close()
    await project.remove()
    await rm(scratch, { recursive: true, force: true })
  })

  const shown = (selector: string): Promise<string> =>
    page.value(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((each) => each.innerText).join('\\n')`)
  const answered = async (file: string): Promise<string> => {
    await page.value(`document.getElementById('answer').dataset.state = ''`)
    await page.choose('#chosen', file)
    await page.until(`!['', 'computing'].includes(document.getElementById('answer').dataset.state)`)
    return await page.value(`document.getElementById('answer').dataset.state`)
  }

  test('it loads without a complaint and asks for nothing but itself', () => {
    expect(page.complaints).toEqual([])
    expect(page.asked).toEqual([pathToFileURL(join(made, 'audit.html')).href])
  })

  test('its policy refuses what it does not name', async () => {
    const other = await browser.open(pathToFileURL(join(made, 'audit.html')).href)
    await other.value(`document.body.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.foreign = true' }))`)
    await other.value(`document.body.append(Object.assign(new Image(), { src: 'platforms.txt' }))`)
    await other.until(`document.images[0].complete`)
    expect(await other.value('globalThis.foreign')).toBe(undefined)
    expect(other.complaints.filter((each) => each.includes('Content Security Policy')).length).toBe(2)
  })

  test('every link into the page leads to a place in it', async () => {
    const dead = `[...document.querySelectorAll('a[href^="#"]')].map((a) => decodeURIComponent(a.hash.slice(1))).filter((id) => document.getElementById(id) === null)`
    expect(await page.value(dead)).toEqual([])
    expect(
      await page.value(
        `[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size`,
      ),
    ).toBe(true)
  })

  test('the filter hides rows, by all of its words', async () => {
    const rows = (): Promise<string[]> =>
      page.value(
        `[...document.querySelectorAll('#file-rows tbody tr')].filter((row) => row.offsetParent !== null).map((row) => row.cells[0].innerText)`,
      )
    const type = (text: string): Promise<unknown> =>
      page.value(
        `{ const box = document.getElementById('file-filter'); box.value = ${JSON.stringify(text)}; box.dispatchEvent(new Event('input')) }`,
      )
    const all = (await rows()).length
    await type('SBOM pause')
    expect(await rows()).toEqual(
      ['amd64', 'arm64', 'riscv64'].flatMap((arch) => ['cdx', 'spdx', 'vuln'].map((form) => `sbom/pause.linux-${arch}.${form}.json`)),
    )
    expect(await shown('#file-count')).toBe(`9 / ${all}`)
    await type('')
    expect((await rows()).length).toBe(all)
  })

  test('a file of the release is named, and the command that asks the statement about it', async () => {
    const file = join(made, 'charts', 'rke2-coredns-1.19.401.tgz')
    expect(await answered(file)).toBe('listed')
    const said = await shown('#answer')
    const { predicate } = JSON.parse(await readFile(join(made, 'evidence/release.json'), 'utf8')) as { predicate: ReleasePredicate }
    const digest = hex(predicate.files.find((each) => each.path === `charts/${basename(file)}`)?.digest as never)
    expect(said).toContain('charts/rke2-coredns-1.19.401.tgz ← rke2-coredns')
    expect(said).toContain(`--digest ${digest} --digestAlg sha256`)
  })

  test('a blob is named by the images that hold it', async () => {
    const index = await page.value<string>(`document.querySelector('#image-pause th a[href^="oci/"]').getAttribute('href')`)
    expect(await answered(join(made, index))).toBe('listed')
    expect(await shown('#answer')).toContain('pause index sha256:')
    const layer = await page.value<string>(`[...document.querySelectorAll('#image-pause li:first-child a')].at(-1).getAttribute('href')`)
    expect(await answered(join(made, layer))).toBe('listed')
    expect(await shown('#answer')).toContain('pause linux/amd64 layer')
    // the statement has no such subject
    expect(await shown('#answer')).not.toContain('cosign')
  })

  test('an altered file is not listed, and the page says that one of its name is', async () => {
    const altered = join(scratch, 'platforms.txt')
    await copyFile(join(made, 'platforms.txt'), altered)
    await appendFile(altered, 'linux/s390x bootable\n')
    expect(await answered(altered)).toBe('unlisted')
    expect(await shown('#answer')).toMatch(/Not listed[\s\S]*of that name is listed, with another content[\s\S]*platforms\.txt/)
    const foreign = join(scratch, "it's <b>other")
    await copyFile(altered, foreign)
    expect(await answered(foreign)).toBe('unlisted')
    expect(await shown('#answer')).toContain("it's <b>other")
    expect(await shown('#answer')).not.toContain('of that name')
  })

  test('a file of more than 1 GiB is not read: the command is given instead', async () => {
    const large = join(scratch, "large 'one'.tar.zst")
    const file = await open(large, 'w')
    await file.truncate(2 ** 30 + 1)
    await file.close()
    expect(await answered(large)).toBe('large')
    expect(await shown('#answer pre')).toContain(`sha256sum -- 'large '\\''one'\\''.tar.zst'`)
  })

  test('where the browser computes no digests, the command is given instead', async () => {
    await page.value(`Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined, configurable: true })`)
    expect(await answered(join(made, 'platforms.txt'))).toBe('crypto')
    expect(await shown('#answer pre')).toContain(`sha256sum -- 'platforms.txt'`)
    await page.value('delete globalThis.crypto.subtle')
  })

  test('a dropped file is looked at like a chosen one', async () => {
    const text = JSON.stringify(await readFile(join(made, 'platforms.txt'), 'utf8'))
    await page.value(`{
      const dataTransfer = new DataTransfer()
      dataTransfer.items.add(new File([${text}], 'renamed.txt'))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
    }`)
    await page.until(`document.getElementById('answer').dataset.state === 'listed'`)
    expect(await shown('#answer')).toContain('platforms.txt ←')
  })

  test('one language at a time, English first', async () => {
    expect(await shown('h2')).toContain('Check it')
    expect(await shown('h2')).not.toContain('校验')
    await page.value(`document.getElementById('zh').click()`)
    expect(await shown('h2')).toContain('校验')
    expect(await shown('h2')).not.toContain('Check it')
    expect(await page.value('document.documentElement.lang')).toBe('zh')
    await page.value(`document.getElementById('en').click()`)
  })

  test('names that somebody chose to be taken for markup are shown as they are', async () => {
    const file = join(scratch, 'hostile.html')
    await writeFile(file, auditPage(hostileFacts()))
    const other = await browser.open(pathToFileURL(file).href)
    expect(other.complaints).toEqual([])
    expect(await other.value(`[document.scripts.length, document.images.length]`)).toEqual([1, 0])
    expect(await other.value(`document.querySelector('h1').textContent`)).toBe(`RFO ${visible(hostile)}`)
    await other.value(`document.querySelector('.warning a[href^="#image-"]').click()`)
    expect(await other.value(`document.querySelector(':target b').textContent`)).toContain('‹U+202E›')
  })

  test('without JavaScript every table and the switch are there, and nothing that would not work', async () => {
    const plain = await browser.open('about:blank')
    await plain.tell('Emulation.setScriptExecutionDisabled', { value: true })
    await plain.tell('Page.navigate', { url: pathToFileURL(join(made, 'audit.html')).href })
    await plain.until(`document.readyState === 'complete' && document.getElementById('files') !== null`)
    expect(await plain.value(`document.querySelectorAll('#file-rows tbody tr').length`)).toBeGreaterThan(50)
    expect(
      await plain.value(`[...document.querySelectorAll('input')].filter((each) => each.offsetParent !== null).map((each) => each.type)`),
    ).toEqual(['radio', 'radio'])
    expect(await plain.value(`document.querySelector('noscript').innerText`)).toContain('sha256sum FILE')
    await plain.value(`document.getElementById('zh').checked = true`)
    expect(await plain.value(`document.querySelector('h2').innerText`)).not.toMatch(/[a-z]/)
  })
})
