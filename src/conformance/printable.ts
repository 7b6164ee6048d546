/** Names out of a results file, safe for one line of a terminal, a log or a statement. */

/** UTF-16 code units; the longest name of the Kubernetes suite has 410 */
const longest = 500

export function printableName(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.length <= longest ? line : `${line.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…`
}
