/** RFO_MIRRORS: where public addresses are really reached from here. It changes no digest: the lock decides what is accepted. */
import { RfoError } from '../error.ts'
import type { Addresses } from '../plan/addresses.ts'

/**
 * `docker.io=https://mirror.example,https://github.com/=https://git.example/` → prefix → replacement, both as they are
 * written. Throws RFO_CLI_MIRRORS (exit usage).
 */
export function mirrorsOf(env: Readonly<Record<string, string>>): Addresses {
  const addresses: Record<string, string> = {}
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
    addresses[entry.slice(0, at)] = entry.slice(at + 1)
  }
  return addresses
}
