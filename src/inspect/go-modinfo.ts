/** The module text in a Go program: https://pkg.go.dev/runtime/debug#BuildInfo, lines of tab-separated fields. */

export interface GoModule {
  readonly path: string
  /** `(devel)` for a main module that was built from a tree, and for a replacement by a directory */
  readonly version: string
  /** `h1:…`, of the module's zip as the checksum database has it; '' when Go knew none */
  readonly sum: string
  readonly replace?: { readonly path: string; readonly version: string; readonly sum: string }
}

export interface GoModuleInfo {
  /** import path of the main package; '' when there is no module text */
  readonly package: string
  readonly main: GoModule | undefined
  readonly deps: readonly GoModule[]
  readonly settings: Readonly<Record<string, string>>
}

/** Takes what it can read: lines of kinds that it doesn't know are from a newer Go and skipped, as Go itself does. */
export function parseModuleInfo(text: string): GoModuleInfo {
  let path = ''
  let main: GoModule | undefined
  const deps: GoModule[] = []
  const settings = new Map<string, string>()
  let last: 'main' | 'dep' | undefined
  for (const line of text.split('\n')) {
    const [kind, first = '', second = '', third = ''] = line.split('\t')
    const module = { path: first, version: second, sum: third }
    if (kind === 'path') path = first
    else if (kind === 'mod') {
      main = module
      last = 'main'
    } else if (kind === 'dep') {
      deps.push(module)
      last = 'dep'
    } else if (kind === '=>') {
      const replaced = last === 'main' ? main : deps.at(-1)
      if (replaced !== undefined && last === 'main') main = { ...replaced, replace: module }
      else if (replaced !== undefined && last === 'dep') deps[deps.length - 1] = { ...replaced, replace: module }
    } else if (kind === 'build') {
      const setting = parseSetting(line.slice('build\t'.length))
      if (setting !== undefined) settings.set(setting[0], setting[1])
    }
  }
  const sorted = [...settings].sort(([a], [b]) => (a < b ? -1 : 1))
  return { package: path, main, deps, settings: Object.fromEntries(sorted) }
}

/** `key=value`, either of them quoted as Go quotes strings when it holds a space, a quote or (the key) `=`. */
function parseSetting(line: string): readonly [string, string] | undefined {
  const quoted = /^(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/.exec(line)?.[0]
  const end = quoted === undefined ? line.indexOf('=') : quoted.length
  if (end <= 0 || line[end] !== '=') return undefined
  return [unquote(line.slice(0, end)), unquote(line.slice(end + 1))]
}

const escapes: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** https://pkg.go.dev/strconv#Unquote; what is not quoted stays. */
export function unquote(text: string): string {
  if (/^`[^`]*`$/.test(text)) return text.slice(1, -1)
  if (!/^"(?:[^"\\]|\\.)*"$/.test(text)) return text
  return text
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/g,
      (_, x?: string, u?: string, long?: string, one?: string) => {
        const code = x ?? u ?? long
        if (code === undefined) return escapes[one ?? ''] ?? one ?? ''
        const point = Number.parseInt(code, 16)
        return point > 0x10ffff ? '\u{fffd}' : String.fromCodePoint(point)
      },
    )
}
