/** A pin in one line: what of it is fixed. */
import type { LockedAdvisories, LockedBase, LockedChart, Pin } from './lock.ts'

/** What a component's packages come to: in the lock as names, while it is made as what they name. */
interface Rpms {
  readonly kind: 'rpms'
  readonly rpms: readonly unknown[]
}

const saidBy = { pipeline: 'the pipeline alone', proxy: 'the pipeline and the module proxy' } as const

export function pinText(pin: Pin | LockedBase | LockedChart | { readonly kind: string }): string {
  const known = pin as Known
  const { patches = [], overrides } = 'changes' in known ? (known.changes ?? {}) : {}
  const changes = [...patches, ...(overrides === undefined ? [] : [overrides])].map(({ file, digest }) => `, ${file} ${digest}`)
  return `${fixedText(known)}${changes.join('')}`
}

type Known = Pin | LockedBase | LockedChart | LockedAdvisories | Rpms

function fixedText(known: Known): string {
  switch (known.kind) {
    case 'unresolved':
      return `unresolved: ${known.reason}`
    case 'go-module':
      return `${known.module}@${known.version} ${known.h1}${
        known.toolchain === undefined ? '' : ` (sums ${known.sums}, ${known.toolchain.version})`
      }${known.commit === undefined ? '' : `, commit ${known.commit.hash} as said by ${saidBy[known.commit.saidBy]}`}`
    case 'git':
      return `${known.url} ${known.tag} ${known.commit}`
    case 'archive':
      return `${known.url} ${known.digest}`
    case 'chart':
      return `${known.version} ${known.digest}`
    case 'advisories':
      return `${known.digest} of ${known.taken}`
    case 'rpms':
      return `${known.rpms.length} RPMs`
    case 'image':
      return 'index' in known
        ? `${known.index.digest} (${Object.entries(known.platforms)
            .map(([platform, manifest]) => `${platform} ${manifest?.digest}`)
            .sort()
            .join(', ')})`
        : `${known.reference} ${known.manifest.digest}`
  }
}
