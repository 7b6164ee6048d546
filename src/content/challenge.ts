/** `WWW-Authenticate`: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1. Pure, bounded, linear. */

export interface Challenge {
  /** lower case */
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

const maxHeader = 8192
const maxChallenges = 8
const scheme = /[!#$%&'*+.^_`|~0-9A-Za-z-]+(?=[ \t,]|$)/y
const parameter = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))/y
const between = /[ \t,]*/y

/** What can't be parsed ends the list: a client then acts on what came before. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, maxHeader)
  const challenges: Challenge[] = []
  let at = 0
  const match = (form: RegExp): RegExpExecArray | null => {
    form.lastIndex = at
    const found = form.exec(text)
    if (found !== null) at = form.lastIndex
    return found
  }
  while (challenges.length < maxChallenges) {
    match(between)
    const name = match(scheme)
    if (name === null) break
    const parameters: Record<string, string> = Object.create(null)
    for (;;) {
      const before = at
      match(between)
      const found = match(parameter)
      if (found === null) {
        at = before
        break
      }
      parameters[(found[1] as string).toLowerCase()] = found[2]?.replace(/\\(.)/g, '$1') ?? found[3] ?? ''
    }
    challenges.push({ scheme: name[0].toLowerCase(), parameters })
  }
  return challenges
}
