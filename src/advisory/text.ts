/** Documents of strangers: bytes → text → values that are looked at, not trusted. Nothing here throws. */

/** bytes; openEuler's largest (a kernel for every stream) has a few MiB */
export const maxDocumentBytes = 32 * 1024 * 1024

export interface DocumentText {
  readonly text: string
  /** bytes that are no UTF-8 were replaced by U+FFFD */
  readonly badUtf8: boolean
}

export function documentText(bytes: Uint8Array): DocumentText {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), badUtf8: false }
  } catch {
    return { text: new TextDecoder('utf-8').decode(bytes), badUtf8: true }
  }
}

/** undefined = no JSON */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** A member's value; undefined for what is no object or has it not. */
export function member(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

/** The list that a member is; nothing for what is none. More than `most` entries are not looked at. */
export function listOf(value: unknown, most = 200_000): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, most) : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
