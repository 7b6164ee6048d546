/**
 * Settings that say where a public address is really reached: a mirror, a proxy, a stand-in on loopback. They change
 * no digest: what the lock pins decides what is accepted.
 */

/** Prefix → replacement: `docker.io` → `http://127.0.0.1:5000`, `https://github.com/` → `http://127.0.0.1:8080/git/`. */
export type Addresses = Readonly<Record<string, string>>

/** The longest prefix wins; no match leaves the URL as it is. */
export function reach(addresses: Addresses, url: string): string {
  let best = ''
  for (const prefix of Object.keys(addresses)) {
    if (url.startsWith(prefix) && prefix.length > best.length) best = prefix
  }
  return best === '' ? url : `${addresses[best]}${url.slice(best.length)}`
}
