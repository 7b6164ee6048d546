/** The release's own paths: what curl, dnf and helm fetch. Pure. */
import { type Answer, text } from './answer.ts'
import type { Offer } from './offer.ts'

const types: readonly (readonly [RegExp, string])[] = [
  [/\.json$/, 'application/json'],
  [/\.ya?ml$/, 'application/yaml'],
  [/\.html$/, 'text/html; charset=utf-8'],
  [/\.xml$/, 'application/xml'],
  [/\.(tgz|gz)$/, 'application/gzip'],
  [/\.zst$/, 'application/zstd'],
  [/\.rpm$/, 'application/x-rpm'],
  [/\.(txt|md|sh|lock|spec|pub|asc|prov)$/, 'text/plain; charset=utf-8'],
]

/** `path` is decoded, and begins with `/`. It is looked up, never walked: `..` is a name that no file has. */
export function fileAnswer({ files }: Offer, path: string): Answer {
  const file = files.get(path.slice(1))
  if (file !== undefined) {
    const type = types.find(([form]) => form.test(path))?.[1] ?? 'application/octet-stream'
    return { status: 200, headers: { 'content-type': type }, body: file }
  }
  if (path !== '/') return text(404, 'no such file\n')
  const names = [...files.keys()].filter((name) => !name.startsWith('oci/blobs/')).sort()
  return text(200, names.map((name) => `${name}\n`).join(''))
}
