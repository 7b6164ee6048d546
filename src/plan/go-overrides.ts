/**
 * pipelines/overrides/<component>/<file>: what RKE2's image builds keep as go-mod-overrides, arguments of `go mod edit`, one
 * a line. Text in, values out. https://go.dev/ref/mod#go-mod-edit
 */
import { RfoError } from '../error.ts'
import { replaced, replacement } from './component.ts'

export interface GoOverrides {
  readonly replace: Readonly<Record<string, string>>
  readonly require: Readonly<Record<string, string>>
  readonly dropReplace: readonly string[]
}

/** `-replace a=a@v1.2.3`, `-require a@v1.2.3`, `-dropreplace a`, blank lines, `#` lines. Throws RFO_PLAN_OVERRIDES with file:line. */
export function parseOverrides(text: string, file: string): GoOverrides {
  const replace = new Map<string, string>()
  const require = new Map<string, string>()
  const dropReplace = new Set<string>()
  for (const [at, line] of text.split('\n').entries()) {
    const said = line.trim()
    if (said === '' || said.startsWith('#')) continue
    const refuse = (why: string): RfoError =>
      new RfoError('RFO_PLAN_OVERRIDES', `${why}: ${JSON.stringify(said.slice(0, 200))}`, {
        exit: 'usage',
        where: `${file}:${at + 1}`,
        next: 'write `-replace module=module@v1.2.3`, `-require module@v1.2.3` or `-dropreplace module`',
      })
    const [, flag, value = ''] = /^--?(replace|require|dropreplace)(?:=|\s+)(\S+)$/.exec(said) ?? []
    if (flag === 'replace') {
      const equals = value.indexOf('=')
      const [from, to] = [value.slice(0, equals), value.slice(equals + 1)]
      if (!replaced.test(from) || !exact.test(to) || !replacement.test(to)) throw refuse('no published module at an exact version')
      if (replace.has(from)) throw refuse(`${from} is replaced twice`)
      replace.set(from, to)
    } else if (flag === 'require') {
      if (!exact.test(value) || !replacement.test(value)) throw refuse('no published module at an exact version')
      const [path = '', version = ''] = value.split('@')
      if (require.has(path)) throw refuse(`${path} is required twice`)
      require.set(path, version)
    } else if (flag === 'dropreplace' && replaced.test(value)) dropReplace.add(value)
    else throw refuse('not an argument of go mod edit that is taken here')
  }
  return { replace: Object.fromEntries(replace), require: Object.fromEntries(require), dropReplace: [...dropReplace] }
}

/** `latest` or a branch would be another module tomorrow. https://go.dev/ref/mod#versions */
const exact = /@v\d+\.\d+\.\d+[\w.+-]*$/
