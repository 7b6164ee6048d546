/** The repository's own pipelines and lock, as tests plan with them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lock } from '../../src/plan/lock.ts'
import { parseLock } from '../../src/plan/lock-text.ts'
import { assemblePipelines, type FileText } from '../../src/plan/pipelines.ts'
import type { PlanInput } from '../../src/plan/plan-release.ts'

export const root = join(import.meta.dirname, '../..')

export function fileText(file: string): FileText {
  return { file, text: readFileSync(join(root, file), 'utf8') }
}

export const componentFiles: readonly FileText[] = readdirSync(join(root, 'pipelines'))
  .filter((name) => name.endsWith('.yaml') && name !== 'release.yaml' && name !== 'rfo.yaml')
  .map((name) => fileText(`pipelines/${name}`))

export const releases = [
  { version: 'v1.24.8+rfor1', upstream: 'v1.24.8+rke2r1', commit: 'b061438ce1f04518d980aac842b62f92095d793d', epoch: 1668432300 },
  { version: 'v1.25.4+rfor1', upstream: 'v1.25.4+rke2r1', commit: 'b1992225c5b448bcf3b4818b473dc57e3cfb5f9b', epoch: 1668419005 },
] as const

export function ownLock(): Lock {
  const { text, file } = fileText('images.lock')
  return parseLock(text, file)
}

export function inputFor(version: string, lock: Lock, components: readonly FileText[] = componentFiles): PlanInput {
  const upstream = version.replace('rfor', 'rke2r')
  const pipelines = assemblePipelines({
    release: fileText('pipelines/release.yaml'),
    components,
    upstream: fileText(`pipelines/upstream/${upstream}.yaml`),
  })
  return { version, release: pipelines.release, components: [...pipelines.components.values()], upstream: pipelines.upstream, lock }
}

/** What a function throws, for its code and place. */
export function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (thrown) {
    return thrown
  }
  throw new Error('nothing was thrown')
}
