/** Every recorded release, planned from pipelines/ as they are. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseBundle } from '../../src/plan/bundle.ts'
import { listDigest } from '../../src/plan/fingerprint.ts'
import { assemblePipelines, type FileText } from '../../src/plan/pipelines.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'
import { standInKinds } from '../../src/sandbox/kinds.ts'
import { sandboxLock } from '../../src/sandbox/lock.ts'
import { makeWorld } from '../../src/sandbox/world.ts'
import { beside } from '../plan/project.ts'

const folder = join(import.meta.dirname, '../../pipelines')
const read = (name: string): FileText => ({ file: `pipelines/${name}`, text: readFileSync(join(folder, name), 'utf8') })
const names = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'release.yaml' && name !== 'rfo.yaml')
const noLock = { schema: 'rfo-build.lock/1' as const, releases: {} }

describe.each(['v1.23.14', 'v1.24.8', 'v1.25.4', 'v1.34.10'])('%s', (kubernetes) => {
  const pipelines = assemblePipelines({
    release: read('release.yaml'),
    components: names.map(read),
    libraries: readdirSync(join(folder, 'libraries')).map((name) => read(`libraries/${name}`)),
    upstream: read(`upstream/${kubernetes}+rke2r1.yaml`),
    beside,
  })
  const version = `${kubernetes}+rfor1`
  const bundle = parseBundle(read('rfo.yaml'), parseUpstreamVersion(`${kubernetes}+rke2r1`))
  const { release, components, libraries, upstream } = pipelines
  const input = { version, release, components: [...components.values()], libraries, bundle, upstream }
  const plan = planRelease({ ...input, lock: noLock })

  test('everything is made in the sandbox: the plan with its lock has nothing unresolved', () => {
    const start = performance.now()
    const world = makeWorld(plan, { kinds: new Set(), everything: true })
    const release = sandboxLock(plan, world, noLock, listDigest(pipelines.upstream))
    console.log(`${version}: ${plan.images.length} images generated in ${(performance.now() - start).toFixed(0)} ms`)
    const again = planRelease({ ...input, lock: { ...noLock, releases: { [version]: release } } })
    expect(again.unresolved).toEqual([])
    expect(again.images.length).toBe(kubernetes === 'v1.34.10' ? 70 + 4 : 54 + 4)
    // what is laid together of the release's own files has no input that could be replaced
    expect(again.images.filter((image) => image.locked?.standIn === undefined).map((image) => image.component)).toEqual([
      'rfo-upgrade',
      'system-agent-installer-rfo',
    ])
    expect({ ...again, images: [], bases: {}, packages: undefined, advisories: undefined, charts: [], unresolved: [] }).toEqual({
      ...plan,
      images: [],
      bases: {},
      charts: [],
      unresolved: [],
    })
  })

  test('with kinds alone, what is left to resolve is Go modules, and what one of them links', () => {
    const world = makeWorld(plan, { kinds: new Set(standInKinds), everything: false })
    const release = sandboxLock(plan, world, noLock, listDigest(pipelines.upstream))
    const again = planRelease({ ...input, lock: { ...noLock, releases: { [version]: release } } })
    const modules = plan.images.filter((image) => image.source?.kind === 'go-module').map((image) => image.component)
    expect(again.unresolved.map((gap) => gap.what)).toEqual([...modules, 'library/libseccomp'])
    expect(modules).toContain('hardened-coredns')
  })

  test('a smoke test of a stand-in finds what it expects', () => {
    const world = makeWorld(plan, { kinds: new Set(), everything: true })
    const programs = world.sources.repositories.flatMap((repository) =>
      [...repository.objects.values()].map((object) => object.toString('latin1')),
    )
    for (const image of plan.images) {
      if (image.smoke === undefined || image.source?.kind !== 'git' || image.build?.kind === 'collect') continue
      const { expect: said } = image.smoke
      expect(
        programs.some((program) => program.includes(`${image.component} ${image.version} (stand-in`) && program.includes(said)),
        image.component,
      ).toBe(true)
    }
  })
})
