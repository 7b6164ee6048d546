/** https://www.freedesktop.org/software/systemd/man/257/os-release.html: assignments in a subset of shell. */

export interface OsRelease {
  /** ID: `openEuler`, `debian` */
  readonly id: string
  /** VERSION_ID: `24.03`; '' for a rolling system */
  readonly version: string
  /** PRETTY_NAME: `openEuler 24.03 (LTS-SP1)` — the only place where openEuler names its service pack */
  readonly prettyName: string
}

export function parseOsRelease(text: string): OsRelease {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, key, value] = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line) ?? []
    if (key !== undefined && value !== undefined) values.set(key, unquoted(value))
  }
  return { id: values.get('ID') ?? 'linux', version: values.get('VERSION_ID') ?? '', prettyName: values.get('PRETTY_NAME') ?? 'Linux' }
}

function unquoted(value: string): string {
  if (value.length >= 2 && value.startsWith("'") && value.endsWith("'")) return value.slice(1, -1)
  const inner = value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  return inner.replace(/\\(["$`\\])/g, '$1')
}
