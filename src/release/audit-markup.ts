/** Text → HTML. Whatever is put into a template is escaped unless it is markup already: nobody can forget it. */

export interface Markup {
  readonly markup: string
}
export type Content = string | number | Markup | undefined | readonly Content[]

/** `markup`<p class="${name}">${text}</p>``: values are escaped for text and for quoted attributes alike; undefined is nothing. */
export function markup(fixed: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return { markup: fixed.map((text, i) => text + (i < values.length ? escaped(values[i]) : '')).join('') }
}

/** Text that is no one's input: a style, a script. */
export function raw(text: string): Markup {
  return { markup: text }
}

function escaped(content: Content): string {
  if (content === undefined) return ''
  if (typeof content === 'number') return String(content)
  if (typeof content === 'string') return visible(content).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`)
  if ('markup' in content) return content.markup
  return content.map(escaped).join('')
}

/**
 * Characters that nobody sees, or that turn others around, spelt out: a name looks like what it is. Half a surrogate pair is
 * no character and would not survive the file.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u3164\uffa0]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    return `‹U+${code}›`
  })
}

/** A relative link to a file beside the page; undefined where the path leads elsewhere. A `+` or a `#` in a path is not a URL's. */
export function linkTo(path: string): string | undefined {
  const parts = path.split('/')
  if (!path.isWellFormed() || parts.some((part) => part === '' || part === '.' || part === '..')) return undefined
  return parts.map(encodeURIComponent).join('/')
}

/** A page on the web: linked only where a browser would go to the web. */
export function web(url: string, text = url): Markup {
  return /^https:\/\/[^\s]+$/.test(url) ? markup`<a href="${url}">${text}</a>` : markup`<span>${url}</span>`
}

/** A place on the page itself. */
export function within(id: string, text: string): Markup {
  return markup`<a href="#${encodeURIComponent(visible(id))}">${text}</a>`
}

/** A file beside the page, linked if the release has it. */
export function beside(path: string, paths: ReadonlySet<string>): Markup {
  const link = paths.has(path) ? linkTo(path) : undefined
  return link === undefined ? markup`<span>${path}</span>` : markup`<a href="${link}">${path}</a>`
}

/** A word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9@%+=:,./_-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
