/** A terminal for tests: enough of ECMA-48 to know what a person sees. */

export interface Screen {
  /** After each write: rows that hold text. The last entry is what stays. */
  readonly frames: readonly (readonly string[])[]
  /** Escape sequences that it does not know; a test wants none. */
  readonly unknown: readonly string[]
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal reads
const token = /\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b/g

export function play(output: string): Screen {
  const rows: string[] = ['']
  const frames: (readonly string[])[] = []
  const unknown: string[] = []
  let row = 0
  let column = 0
  const line = (): string => rows[row] ?? ''
  const put = (text: string): void => {
    rows[row] = line().padEnd(column).slice(0, column) + text + line().slice(column + text.length)
    column += text.length
  }
  const go = (to: number): void => {
    row = Math.max(0, to)
    while (rows.length <= row) rows.push('')
  }
  for (const [all, parameters, command] of output.matchAll(token)) {
    const n = Number(parameters || 1)
    if (all === '\r') column = 0
    else if (all === '\n') go(row + 1)
    else if (command === undefined) put(all)
    else if (command === 'A') go(row - n)
    else if (command === 'B') go(row + n)
    else if (command === 'G') column = n - 1
    else if (command === 'K') rows[row] = parameters === '2' ? '' : line().slice(0, column)
    else if (command === 'm') continue
    else if (all === '\x1b[?2026l' || all === '\x1b[?25h') frames.push(rows.filter((text) => text.trim() !== ''))
    else if (all !== '\x1b[?2026h' && all !== '\x1b[?25l') unknown.push(JSON.stringify(all))
  }
  return { frames, unknown }
}
