/** What never leaves by a log, a terminal or an error: known secrets and what URLs carry before the `@`. */

const mark = '***'

/** https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1; the scheme is bounded so that a long line costs linear time. */
const userinfo = /([a-z][a-z0-9+.-]{0,19}:\/\/)[^\s/?#"'<>]*@/gi

/** Shorter pieces of a secret of several lines would blacken ordinary words. */
const shortestPiece = 8

/** The text without userinfo in URLs and without the secrets, also as they are spelt in a URL or in JSON, and line by line. */
export function redact(text: string, secrets: readonly string[]): string {
  let out = text.replace(userinfo, `$1${mark}@`)
  for (const secret of spellings(secrets)) out = out.replaceAll(secret, mark)
  return out
}

/** Longest first, so that a secret that holds another goes as a whole. */
function spellings(secrets: readonly string[]): readonly string[] {
  const all = new Set<string>()
  for (const secret of secrets) {
    const lines = secret
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line.length >= shortestPiece && !line.startsWith('-----'))
    for (const piece of [secret, ...lines]) {
      all.add(piece)
      all.add(encodeURIComponent(piece.toWellFormed()))
      all.add(JSON.stringify(piece).slice(1, -1))
    }
  }
  all.delete('')
  return [...all].sort((a, b) => b.length - a.length)
}
