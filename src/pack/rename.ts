/**
 * Upstream's scripts under RFO's names: ordered, exact replacements, each with the number of times that it must occur. What
 * upstream changes is an error that names file and rule, never a script that is half renamed.
 */
import { RfoError } from '../error.ts'
import type { Bundle, BundleFile, RenameRule, SourceEdit } from '../plan/bundle.ts'

/** Throws RFO_PACK_RENAME (build). `bytes` are upstream's; the result is UTF-8. */
export function renamed(file: BundleFile, rename: Bundle['rename'], bytes: Uint8Array): Buffer {
  const text = replaced(file, bytes)
  refuseRemains(file, rename.from, text)
  return Buffer.from(text, 'utf8')
}

/** A file of a program's source with its rules applied; what else it says stays. Throws RFO_PACK_RENAME (build). */
export function editedSource({ path, replace }: SourceEdit, bytes: Uint8Array): Buffer {
  return Buffer.from(replaced({ path, from: path, replace }, bytes), 'utf8')
}

type Rules = Pick<BundleFile, 'path' | 'from' | 'replace'>

function replaced(file: Rules, bytes: Uint8Array): string {
  let text = decoded(file, bytes)
  for (const [at, rule] of file.replace.entries()) {
    const parts = text.split(rule.text)
    const found = parts.length - 1
    if (!allowed(rule).includes(found)) {
      const wanted = allowed(rule).join(' or ')
      throw changed(file, `rule ${at + 1} expects ${JSON.stringify(rule.text)} ${wanted} times and finds it ${found} times`)
    }
    text = parts.join(rule.with)
  }
  return text
}

function allowed(rule: RenameRule): readonly number[] {
  return typeof rule.count === 'number' ? [rule.count] : rule.count
}

function decoded(file: Rules, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw changed(file, 'it is not text in UTF-8', cause)
  }
}

function refuseRemains(file: BundleFile, name: string, text: string): void {
  const rest = file.keep.reduce((left, kept) => left.split(kept).join(''), text)
  const line = rest.split('\n').find((each) => each.toLowerCase().includes(name.toLowerCase()))
  if (line !== undefined) throw changed(file, `${name} remains in ${JSON.stringify(line.trim().slice(0, 120))}`)
}

function changed(file: Rules, what: string, cause?: unknown): RfoError {
  return new RfoError('RFO_PACK_RENAME', what, {
    exit: 'build',
    where: file.from === file.path ? file.path : `${file.from} → ${file.path}`,
    next: `read what changed upstream, then edit the rules of ${file.path} in pipelines/rfo.yaml`,
    ...(cause === undefined ? {} : { cause }),
  })
}
