/** Text from outside, made safe for one line of a terminal or a CI log. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unsafe = /\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g

/**
 * One line without escape sequences, control characters and direction overrides: a build can neither repaint the terminal
 * nor begin a line with a CI service's command.
 */
export function printable(text: string): string {
  return text.replace(unsafe, (match) => (match.startsWith('\x1b[') ? '' : ' ')).trimEnd()
}
