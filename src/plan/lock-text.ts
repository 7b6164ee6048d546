/** images.lock as text: sorted keys, one spelling, so that a diff shows what moved and nothing else. */
import { stringify } from 'yaml'
import { Lock } from './lock.ts'
import { parseYaml } from './yaml.ts'

const header = `# Written by \`rfo-build lock\`; edits by hand are lost. Every input of every release, pinned by digest.
# yaml-language-server: $schema=docs/schema/lock.schema.json
`

export const emptyLock: Lock = { schema: 'rfo-build.lock/1', releases: {} }

/** Throws RFO_PLAN_YAML. */
export function parseLock(text: string, file: string): Lock {
  return parseYaml(Lock, text, file)
}

/** The same lock is the same text, whatever order its keys were made in. */
export function renderLock(lock: Lock): string {
  return header + stringify(sorted(lock), { aliasDuplicateObjects: false, lineWidth: 0, version: '1.2' })
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  // a Map: an object would put keys that look like numbers first
  return new Map(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  )
}
