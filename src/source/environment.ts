/** What of the user's environment a foreign program is told. */
const everywhere = [
  'PATH',
  'TMPDIR',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'https_proxy',
  'http_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
]

/** Where programs lie, proxies and certificates, and what else the program has names for; nothing that is not set. */
export function passedOn(env: Readonly<Record<string, string>>, more: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => everywhere.includes(name) || more.includes(name)))
}
