/**
 * What three public lists ask of an SBOM, element by element, counted over a CycloneDX document of anybody:
 * NTIA, The Minimum Elements For a Software Bill of Materials (July 2021), section IV; CISA, 2025 Minimum Elements (public comment draft,
 * August 2025); BSI TR-03183-2 v2.1.0 (August 2025), section 5.2. The order is that of the lists.
 */
import { z } from 'zod'
import { RfoError } from '../error.ts'

const Named = z.looseObject({
  name: z.string().optional(),
  url: z.array(z.string()).optional(),
  contact: z.array(z.looseObject({ email: z.string().optional() })).optional(),
})
const Component = z.looseObject({
  'bom-ref': z.string().optional(),
  name: z.string().optional(),
  version: z.string().optional(),
  purl: z.string().optional(),
  cpe: z.string().optional(),
  swid: z.unknown().optional(),
  supplier: Named.optional(),
  manufacturer: Named.optional(),
  authors: z.array(z.looseObject({ email: z.string().optional(), name: z.string().optional() })).optional(),
  licenses: z.array(z.unknown()).optional(),
  hashes: z.array(z.looseObject({ alg: z.string(), content: z.string() })).optional(),
  properties: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).optional(),
})
type Component = z.infer<typeof Component>
const Bom = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.string(),
  metadata: z
    .looseObject({
      timestamp: z.string().optional(),
      component: Component.optional(),
      supplier: Named.optional(),
      manufacturer: Named.optional(),
      authors: z.array(z.looseObject({ name: z.string().optional(), email: z.string().optional() })).optional(),
      lifecycles: z.array(z.unknown()).optional(),
      tools: z.unknown().optional(),
    })
    .optional(),
  components: z.array(Component).optional(),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).optional() })).optional(),
  compositions: z
    .array(z.looseObject({ assemblies: z.array(z.string()).optional(), dependencies: z.array(z.string()).optional() }))
    .optional(),
})
type Bom = z.infer<typeof Bom>

export type Standard = 'ntia-2021' | 'cisa-2025' | 'bsi-tr-03183-2-v2.1'

export interface ElementScore {
  readonly element: string
  readonly met: number
  readonly of: number
  /** the first that lack it, by name */
  readonly lacking: readonly string[]
}

export interface StandardScore {
  readonly standard: Standard
  /** of all counted fields, rounded down: 100 means that none is missing */
  readonly percent: number
  readonly elements: readonly ElementScore[]
}

/** names that are given for each element */
const mostNamed = 3

type OfDocument = (bom: Bom) => boolean
type OfComponent = (component: Component, graph: Graph) => boolean
type Element = { readonly element: string } & ({ readonly document: OfDocument } | { readonly component: OfComponent })

interface Graph {
  /** references whose dependencies the document speaks of */
  readonly related: ReadonlySet<string>
  /** references whose completeness it states */
  readonly stated: ReadonlySet<string>
}

/** words that say that nothing is known */
const unknown: ReadonlySet<string> = new Set(['', 'unknown', 'noassertion', 'none'])
const says = (text: string | undefined): boolean => text !== undefined && !unknown.has(text.trim().toLowerCase())
const named = (who: z.infer<typeof Named> | undefined): boolean => says(who?.name)
const reachable = (who: z.infer<typeof Named> | undefined): boolean =>
  (who?.url ?? []).some(says) || (who?.contact ?? []).some(({ email }) => says(email))
const property = (component: Component, name: string): boolean =>
  (component.properties ?? []).some((each) => each.name === name && says(each.value))
const hashed = (component: Component, algorithm?: string): boolean =>
  (component.hashes ?? []).some(({ alg, content }) => says(content) && (algorithm === undefined || alg === algorithm))
const identified = (component: Component): boolean =>
  // a digest is one: NTIA, "Other Unique Identifiers"; of what has no purl, it is the only one
  says(component.purl) || says(component.cpe) || component.swid !== undefined || hashed(component)
const related: OfComponent = (component, graph) => graph.related.has(component['bom-ref'] ?? '')
const stated: OfComponent = (component, graph) => graph.stated.has(component['bom-ref'] ?? '')
const supplier: OfComponent = (component) => named(component.supplier) || named(component.manufacturer)
const author: OfDocument = ({ metadata }) =>
  named(metadata?.manufacturer) ||
  named(metadata?.supplier) ||
  (metadata?.authors ?? []).some(({ name, email }) => says(name) || says(email))
const timestamp: OfDocument = ({ metadata }) => !Number.isNaN(Date.parse(metadata?.timestamp ?? ''))

/** `tools` is a list of tools in CycloneDX 1.4, and an object of components since 1.5. */
function toolNamed({ metadata }: Bom): boolean {
  const Tools = z.union([
    z.array(z.looseObject({ name: z.string() })),
    z.looseObject({ components: z.array(z.looseObject({ name: z.string() })) }),
  ])
  const tools = Tools.safeParse(metadata?.tools)
  return tools.success && (Array.isArray(tools.data) ? tools.data : tools.data.components).some(({ name }) => says(name))
}

const standards: Readonly<Record<Standard, readonly Element[]>> = {
  'ntia-2021': [
    { element: 'supplier name', component: supplier },
    { element: 'component name', component: ({ name }) => says(name) },
    { element: 'version of the component', component: ({ version }) => says(version) },
    { element: 'other unique identifiers', component: identified },
    { element: 'dependency relationship', component: related },
    { element: 'author of SBOM data', document: author },
    { element: 'timestamp', document: timestamp },
  ],
  'cisa-2025': [
    { element: 'SBOM author', document: author },
    { element: 'software producer', component: supplier },
    { element: 'component name', component: ({ name }) => says(name) },
    { element: 'component version', component: ({ version }) => says(version) },
    { element: 'software identifiers', component: identified },
    { element: 'component hash', component: (component) => hashed(component) },
    { element: 'license', component: ({ licenses = [] }) => licenses.length > 0 },
    { element: 'dependency relationship', component: related },
    { element: 'tool name', document: toolNamed },
    { element: 'timestamp', document: timestamp },
    { element: 'generation context', document: ({ metadata }) => (metadata?.lifecycles ?? []).length > 0 },
    { element: 'coverage', component: stated },
  ],
  'bsi-tr-03183-2-v2.1': [
    { element: 'format version', document: ({ specVersion }) => Number(specVersion) >= 1.6 },
    {
      element: 'creator of the SBOM',
      document: ({ metadata }) =>
        reachable(metadata?.manufacturer) || reachable(metadata?.supplier) || (metadata?.authors ?? []).some(({ email }) => says(email)),
    },
    { element: 'timestamp', document: timestamp },
    {
      element: 'component creator',
      component: ({ supplier: one, manufacturer, authors = [] }) =>
        reachable(one) || reachable(manufacturer) || authors.some(({ email }) => says(email)),
    },
    { element: 'component name', component: ({ name }) => says(name) },
    { element: 'component version', component: ({ version }) => says(version) },
    { element: 'filename of the component', component: (each) => property(each, 'bsi:component:filename') },
    { element: 'dependencies on other components', component: related },
    { element: 'completeness of the dependencies', component: stated },
    { element: 'distribution licences', component: ({ licenses = [] }) => licenses.length > 0 },
    { element: 'hash value of the deployable component (SHA-512)', component: (each) => hashed(each, 'SHA-512') },
    { element: 'executable property', component: (each) => property(each, 'bsi:component:executable') },
    { element: 'archive property', component: (each) => property(each, 'bsi:component:archive') },
    { element: 'structured property', component: (each) => property(each, 'bsi:component:structured') },
    { element: 'unique identifiers', component: identified },
  ],
}

/** Throws RFO_INSPECT_SBOM (untrusted) for what is no CycloneDX document. */
export function scoreSbom(text: string): readonly StandardScore[] {
  const bom = parseBom(text)
  const components = [...(bom.metadata?.component === undefined ? [] : [bom.metadata.component]), ...(bom.components ?? [])]
  const graph: Graph = {
    related: new Set((bom.dependencies ?? []).flatMap(({ ref, dependsOn = [] }) => [ref, ...dependsOn])),
    stated: new Set((bom.compositions ?? []).flatMap(({ assemblies = [], dependencies = [] }) => [...assemblies, ...dependencies])),
  }
  return (Object.keys(standards) as Standard[]).map((standard) => {
    const elements = standards[standard].map((each): ElementScore => {
      if ('document' in each) {
        const met = each.document(bom)
        return { element: each.element, met: met ? 1 : 0, of: 1, lacking: met ? [] : ['the document'] }
      }
      const lacking = components.filter((component) => !each.component(component, graph))
      const { length } = components
      return {
        element: each.element,
        met: length - lacking.length,
        of: length,
        lacking: lacking.slice(0, mostNamed).map(({ name, 'bom-ref': ref }) => name ?? ref ?? '(no name)'),
      }
    })
    const total = (key: 'met' | 'of'): number => elements.reduce((sum, each) => sum + each[key], 0)
    return { standard, percent: Math.floor((100 * total('met')) / total('of')), elements }
  })
}

function parseBom(text: string): Bom {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new RfoError('RFO_INSPECT_SBOM', 'not JSON', { exit: 'untrusted', cause })
  }
  const bom = Bom.safeParse(parsed)
  if (bom.success) return bom.data
  const issue = bom.error.issues[0]
  throw new RfoError('RFO_INSPECT_SBOM', `not a CycloneDX document: ${issue?.path.join('.')}: ${issue?.message}`.slice(0, 300), {
    exit: 'untrusted',
  })
}
