/** One range of bytes: https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2. Pure. */
import type { Range } from '../content/file.ts'

/** undefined = send all of it (no range, several, or another unit: a server may ignore those); `none` = no byte of it is there. */
export function rangeOf(header: string | undefined, size: number): Range | 'none' | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  if (first === '') return Number(last) === 0 || size === 0 ? 'none' : { start: Math.max(0, size - Number(last)), end: size }
  if (last !== '' && Number(last) < Number(first)) return undefined
  if (Number(first) >= size) return 'none'
  return { start: Number(first), end: last === '' ? size : Math.min(size, Number(last) + 1) }
}
