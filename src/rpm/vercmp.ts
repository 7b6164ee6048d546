/**
 * rpm's order of versions: https://rpm-software-management.github.io/rpm/man/rpm-version.7 and
 * https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/rpmio/rpmvercmp.c. Segments of digits or letters
 * are compared one by one, everything between them separates; `~` sorts before the end, `^` after it but before any more.
 */

/** Negative: a is older. */
export function compareRpmVersions(a: string, b: string): number {
  let [x, y] = [a, b]
  for (;;) {
    x = x.replace(/^[^A-Za-z0-9~^]+/, '')
    y = y.replace(/^[^A-Za-z0-9~^]+/, '')
    if (x.startsWith('~') || y.startsWith('~')) {
      if (!x.startsWith('~')) return 1
      if (!y.startsWith('~')) return -1
    } else if (x.startsWith('^') || y.startsWith('^')) {
      if (x === '') return -1
      if (y === '') return 1
      if (!x.startsWith('^')) return 1
      if (!y.startsWith('^')) return -1
    } else {
      if (x === '' || y === '') return x === y ? 0 : x === '' ? -1 : 1
      const digits = /^[0-9]/.test(x)
      const segment = digits ? /^[0-9]*/ : /^[A-Za-z]*/
      const [p, q] = [segment.exec(x)?.[0] ?? '', segment.exec(y)?.[0] ?? '']
      // segments of different kinds: numbers are newer
      if (q === '') return digits ? 1 : -1
      const order = digits ? compareNumbers(p, q) : compareText(p, q)
      if (order !== 0) return order
      x = x.slice(p.length)
      y = y.slice(q.length)
      continue
    }
    x = x.slice(1)
    y = y.slice(1)
  }
}

export interface Evr {
  readonly epoch: number
  readonly version: string
  /** absent = any, as in `Requires: x = 1.0` */
  readonly release?: string
}

/** `[epoch:]version[-release]` */
export function parseEvr(text: string): Evr {
  const found = /^(?:([0-9]+):)?(.*?)(?:-([^-]*))?$/s.exec(text)
  const [, epoch, version = '', release] = found ?? []
  return { epoch: Number(epoch ?? 0), version, ...(release === undefined ? {} : { release }) }
}

/** Negative: a is older. A release that one of them leaves out does not count. */
export function compareEvr(a: string, b: string): number {
  const [x, y] = [parseEvr(a), parseEvr(b)]
  if (x.epoch !== y.epoch) return x.epoch < y.epoch ? -1 : 1
  const order = compareRpmVersions(x.version, y.version)
  return order !== 0 || x.release === undefined || y.release === undefined ? order : compareRpmVersions(x.release, y.release)
}

/** As text: a date with a count behind it has more digits than a number holds. */
function compareNumbers(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')]
  return x.length === y.length ? compareText(x, y) : x.length < y.length ? -1 : 1
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
