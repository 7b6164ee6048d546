/** RFO_MIRRORS: where public addresses are really reached from here. It changes no digest: the lock decides what is accepted. */
import { RfoError } from '../error.ts'
import type { Addresses } from '../plan/addresses.ts'

/**
 * `docker.io=https://mirror.example,https://github.com/=https://git.example/` → prefix → replacement, both as they are
 * written. A URL's prefix may stand several times: its mirrors are tried in that order. Throws RFO_CLI_MIRRORS (exit usage).
 */
export function mirrorsOf(env: Readonly<Record<string, string>>): Addresses {
  const addresses: Record<string, string[]> = {}
  for (const entry of (env.RFO_MIRRORS ?? '').split(',').map((part) => part.trim())) {
    if (entry === '') continue
    const at = entry.search(/=https?:\/\//)
    if (at < 1) {
      throw new RfoError(
        'RFO_CLI_MIRRORS',
        `RFO_MIRRORS does not say where: ${JSON.stringify(entry.replace(/\/\/[^/@]*@/, '//').slice(0, 100))}`,
        {
          exit: 'usage',
          next: 'write prefix=https://host, with commas between: docker.io=https://mirror.example',
        },
      )
    }
    const prefix = entry.slice(0, at)
    const mirrors = [...(addresses[prefix] ?? []), entry.slice(at + 1)]
    if (mirrors.length > 1 && !/^https?:\/\//.test(prefix)) {
      throw new RfoError('RFO_CLI_MIRRORS', `RFO_MIRRORS names two places for ${prefix.slice(0, 100)}`, {
        exit: 'usage',
        next: 'name one mirror of a registry; only files and git repositories are looked for in several places',
      })
    }
    addresses[prefix] = mirrors
  }
  return addresses
}
