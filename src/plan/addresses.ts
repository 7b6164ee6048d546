/**
 * Settings that say where a public address is really reached: a mirror, a proxy, a stand-in on loopback. They change
 * no digest: what the lock pins decides what is accepted.
 */

/**
 * Prefix → replacement, or several that are tried in their order: `docker.io` → `http://127.0.0.1:5000`,
 * `https://github.com/` → `[https://git.example/, http://127.0.0.1:8080/git/]`.
 */
export type Addresses = Readonly<Record<string, string | readonly string[]>>

/** Where a URL is looked for, in this order. The longest prefix wins; no match leaves the URL as it is. */
export function reachAll(addresses: Addresses, url: string): readonly [string, ...string[]] {
  let best = ''
  for (const prefix of Object.keys(addresses)) {
    if (url.startsWith(prefix) && prefix.length > best.length) best = prefix
  }
  const [first, ...others] = [addresses[best] ?? []].flat().map((replacement) => `${replacement}${url.slice(best.length)}`)
  return first === undefined ? [url] : [first, ...others]
}

/** The first of them: for whoever keeps connections and logins for one place. */
export function reach(addresses: Addresses, url: string): string {
  return reachAll(addresses, url)[0]
}
