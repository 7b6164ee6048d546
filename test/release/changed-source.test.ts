/** A release one of whose components is compiled from a source that files beside its pipeline change. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { digestOf } from '../../src/oci/digest.ts'
import type { Source } from '../../src/plan/component.ts'
import { dateComponents } from '../../src/plan/dated.ts'
import { listDigest, pinFingerprint } from '../../src/plan/fingerprint.ts'
import { renderLock } from '../../src/plan/lock-text.ts'
import { planInput, planOf, readInputs } from '../../src/release/inputs.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { putModule, putToolchain } from '../source/go-proxy.ts'
import { tool } from '../tools.ts'
import { readPlan, readPredicate } from './form.ts'
import { type Project, run, smallProject, version } from './project.ts'

const go = tool('go')
const name = 'hardened-coredns'
const toolchain = 'go1.21.13'
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)
const platform = process.arch === 'arm64' ? 'arm64' : 'amd64'
const patchFile = `patches/${name}/0001-words.patch`
const patch =
  'diff --git a/main.go b/main.go\n--- a/main.go\n+++ b/main.go\n@@ -5 +5 @@\n-func main() { println("upstream", lib.Name) }\n+func main() { println("patched", lib.Name) }\n'
const overridesFile = `overrides/${name}/mod`
const overrides = '# RKE2 builds with it\n-replace example.org/lib=example.org/lib@v1.2.3\n'

describe.skipIf(go.skip)('a component that is patched and whose go.mod is overridden', { timeout: 240_000 }, () => {
  let project: Project
  let folder: string
  const env = () => ({ GOPROXY: `file://${join(project.folder, 'proxy')}`, GOSUMDB: 'off' })
  const flags = ['--stand-in', 'bases,mirrors,git,charts,advisories', '--platform', platform]

  beforeAll(async () => {
    project = await smallProject()
    const { folder: at } = project
    const proxy = join(at, 'proxy')
    await putToolchain(proxy, toolchain, go.path)
    for (const each of ['v1.0.0', 'v1.2.3']) {
      const files = { 'go.mod': 'module example.org/lib\n\ngo 1.20\n', 'lib.go': `package lib\n\nconst Name = "lib ${each}"\n` }
      await putModule(proxy, 'example.org/lib', each, files)
    }
    await putModule(proxy, 'example.org/tool', 'v1.0.0', {
      'go.mod': 'module example.org/tool\n\ngo 1.20\n\nrequire example.org/lib v1.0.0\n',
      'main.go': 'package main\n\nimport "example.org/lib"\n\nfunc main() { println("upstream", lib.Name) }\n',
    })
    for (const file of (await readdir(join(at, 'pipelines'))).filter((each) => each.endsWith('.yaml'))) {
      const path = join(at, 'pipelines', file)
      const component = parse(await readFile(path, 'utf8')) as { name?: string; source?: { kind: string }; build?: object; when?: object }
      if (component.source === undefined || component.source.kind === 'git') continue
      // the others are stood in for: their sources are repositories
      Object.assign(component, { source: { kind: 'git', url: `https://github.com/rancher/${component.name}` } })
      delete component.when
      if (component.name === name) {
        const edit = { overrides: 'mod' }
        Object.assign(component, {
          source: { kind: 'go-module', module: 'example.org/tool', version: 'v1.0.0', patches: ['0001-words.patch'], edit },
        })
        component.build = { kind: 'go', toolchain, commands: [{ package: '.', output: '/coredns' }] }
      }
      await writeFile(path, stringify(component))
    }
    for (const [file, text] of [
      [patchFile, patch],
      [overridesFile, overrides],
    ] as const) {
      await mkdir(join(at, 'pipelines', file, '..'), { recursive: true })
      await writeFile(join(at, 'pipelines', file), text)
    }
    const inputs = await readInputs(at, version)
    const plan = planOf(inputs)
    const image = plan.images.find((each) => each.component === name)
    if (image?.changes === undefined) throw new Error('it names files')
    const pin = await resolveSource(image.source as Source, {
      env: { PATH: process.env.PATH ?? '', ...env() },
      addresses: {},
      host,
      toolchain,
      use: { packages: ['.'] },
      changes: image.changes,
      workDir: join(at, 'lock'),
    })
    const locked = {
      upstream: { ...plan.upstream, list: listDigest(inputs.pipelines.upstream) },
      epoch: plan.epoch,
      bases: {},
      components: { [name]: { fingerprint: pinFingerprint(image), pin } },
      charts: {},
    }
    const dated = dateComponents(planInput(inputs), locked, { today: '20261123', rebuild: new Set() })
    await writeFile(join(at, 'images.lock'), renderLock({ schema: 'rfo-build.lock/1', releases: { [plan.version]: dated } }))
    const made = await run(at, ['release', version, ...flags, '--progress', 'none'], env())
    expect([made.stderr, made.code]).toEqual(['', 0])
    folder = join(at, 'dist', version)
  }, 240_000)
  afterAll(() => project.remove())

  const read = (file: string): Promise<string> => readFile(join(folder, file), 'utf8')

  test('ships both files as they are, signed as all others, and says what they changed', async () => {
    expect([await read(patchFile), await read(overridesFile)]).toEqual([patch, overrides])
    const { images, files } = await readPredicate(folder)
    const changedBy = [
      { path: patchFile, digest: digestOf(patch) },
      { path: overridesFile, digest: digestOf(overrides) },
    ]
    expect(images.filter((image) => image.changedBy !== undefined)).toMatchObject([{ component: name, changedBy }])
    expect(files).toEqual(expect.arrayContaining(changedBy.map((each) => expect.objectContaining(each))))
    const lock = parse(await read('images.lock')) as { releases: Record<string, { components: Record<string, { pin: object }> }> }
    expect(lock.releases[version]?.components[name]?.pin).toMatchObject({
      changes: {
        patches: [{ file: `pipelines/${patchFile}`, digest: digestOf(patch) }],
        overrides: { file: `pipelines/${overridesFile}`, digest: digestOf(overrides) },
      },
    })
    expect((await readPlan(folder)).images.find((image) => image.component === name)?.changes?.patches?.[0]?.text).toBe(patch)
  })

  test('has them among the materials of its provenance, and the edit among the parameters', async () => {
    const blobs = join(folder, 'oci/blobs/sha256')
    const texts = await Promise.all((await readdir(blobs)).map((each) => readFile(join(blobs, each), 'latin1')))
    const statements = texts.flatMap((text) => {
      const payload = text.startsWith('{') ? (JSON.parse(text) as { dsseEnvelope?: { payload: string } }).dsseEnvelope?.payload : undefined
      return payload === undefined ? [] : [Buffer.from(payload, 'base64').toString('utf8')]
    })
    const said = statements.filter((text) => text.includes('slsa.dev/provenance/v1') && text.includes('0001-words.patch'))
    expect(said.length).toBe(1)
    const { buildDefinition } = (JSON.parse(said[0] ?? '') as { predicate: { buildDefinition: Record<string, unknown> } }).predicate
    expect(buildDefinition).toMatchObject({
      externalParameters: { component: name, parameters: { edit: { replace: { 'example.org/lib': 'example.org/lib@v1.2.3' } } } },
      resolvedDependencies: expect.arrayContaining([
        {
          name: `pipelines/${patchFile}`,
          uri: `pkg:generic/pipelines/${patchFile}?checksum=${digestOf(patch)}`,
          digest: { sha256: digestOf(patch).slice('sha256:'.length) },
        },
        expect.objectContaining({ name: `pipelines/${overridesFile}` }),
        expect.objectContaining({ uri: 'pkg:golang/example.org/lib@v1.2.3' }),
      ]),
    })
  })

  test('lists the overriding version in its SBOM', async () => {
    const sbom = await read(`sbom/${name}.linux-${platform}.cdx.json`)
    expect(sbom).toContain('pkg:golang/example.org/lib@v1.2.3')
    expect(sbom).not.toContain('pkg:golang/example.org/lib@v1.0.0')
  })

  test('is told to people: audit.html links the files, the notes and verify name them', async () => {
    const audit = await read('audit.html')
    expect(audit).toContain(`<a href="${patchFile}">${patchFile}</a> <code>${digestOf(patch)}</code>`)
    expect(audit).toContain('+ replace example.org/lib =&#62; example.org/lib v1.2.3')
    for (const notes of ['RELEASE.md', 'RELEASE.zh.md']) expect(await read(notes)).toContain(`- ${name}: [${patchFile}](${patchFile})`)
    const verified = await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
    expect(verified.stdout).toContain(`its source is changed by ${patchFile}, ${overridesFile}`)
    expect(verified.code).toBe(0)
  })

  test('a changed patch is found by verify in the release, and by release in the project: exit 3, exit 6', async () => {
    const [shipped, own] = [join(folder, patchFile), join(project.folder, 'pipelines', patchFile)]
    await writeFile(shipped, patch.replace('patched', 'evil'))
    expect(await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(patchFile),
    })
    await writeFile(shipped, patch)
    await writeFile(own, `another word\n${patch}`)
    expect(await run(project.folder, ['release', version, ...flags, '--progress', 'none'], env())).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(
        `stale: pipelines/${name}.yaml, pipelines/${patchFile}, pipelines/${overridesFile} or the image list changed`,
      ),
    })
    await rm(own)
    expect(await run(project.folder, ['release', version, ...flags, '--progress', 'none'], env())).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`there is no pipelines/${patchFile} (pipelines/${name}.yaml)`),
    })
    await writeFile(own, patch)
    const again = await run(project.folder, ['release', version, ...flags, '--progress', 'none'], env())
    expect([again.stderr, again.code]).toEqual(['', 0])
  })
})
