/**
 * What an image's own CycloneDX says is inside of it, as advisories look at it: the same as its inventory, for whoever has the
 * document and not the layers.
 */
import { PackageURL } from 'packageurl-js'
import { z } from 'zod'
import type { GoComponent, RpmComponent } from '../advisory/match.ts'
import { RfoError } from '../error.ts'
import { type MainModule, sourceOf } from './inside.ts'

const Bom = z.looseObject({
  components: z
    .array(
      z.looseObject({
        type: z.string(),
        name: z.string().max(4096),
        version: z.string().max(4096).optional(),
        purl: z.string().max(8192).optional(),
      }),
    )
    .max(200_000),
})

/** Throws RFO_SCAN_BOM (untrusted). */
export function insideOfBom(
  bytes: Uint8Array,
  where: string,
  main?: MainModule,
): { readonly rpms: readonly RpmComponent[]; readonly go: readonly GoComponent[] } {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw refused('no JSON', where, cause)
  }
  const parsed = Bom.safeParse(value)
  if (!parsed.success) throw refused(parsed.error.issues[0]?.message ?? 'another form', where)
  const libraries = parsed.data.components.filter(({ type }) => type === 'library')
  const purls = libraries.flatMap((each) => (each.purl === undefined ? [] : [{ ...each, purl: each.purl, parts: partsOf(each.purl) }]))
  return {
    rpms: purls.flatMap(({ purl, parts, name }) => (parts?.type === 'rpm' ? [rpmComponent(purl, name, parts)] : [])),
    go: purls.flatMap(({ purl, parts, name }) => (parts?.type === 'golang' ? [goComponent(purl, name, parts, main)] : [])),
  }
}

function rpmComponent(purl: string, name: string, { version = '', qualifiers }: PackageURL): RpmComponent {
  return { purl, name, epoch: Number(qualifiers?.['epoch'] ?? 0), ...sourceOf(qualifiers?.['upstream'] ?? '', name, version) }
}

/** The document calls the standard library's version as a module's; advisories know it as Go's own. Which programs link it is not asked. */
function goComponent(purl: string, module: string, { version = '' }: PackageURL, main: MainModule | undefined): GoComponent {
  const known = module === main?.module && !isReleased(version) ? main.version : version
  return { purl, module, version: module === 'stdlib' && known !== '' ? `go${known}` : known, paths: [] }
}

/** A pseudo-version of no tag is what a tree's commit comes to: the lock knows better. */
function isReleased(version: string): boolean {
  return version !== '' && version !== '(devel)' && !version.startsWith('v0.0.0-')
}

function partsOf(purl: string): PackageURL | undefined {
  try {
    return PackageURL.fromString(purl)
  } catch {
    return undefined
  }
}

function refused(why: string, where: string, cause?: unknown): RfoError {
  return new RfoError('RFO_SCAN_BOM', `no CycloneDX document: ${why}`, {
    exit: 'untrusted',
    where,
    next: 'get the release again',
    ...(cause === undefined ? {} : { cause }),
  })
}
