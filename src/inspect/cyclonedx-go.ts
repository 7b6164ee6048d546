/** Go programs and the modules in them as components. A module that several programs hold stands there once. */
import type { Models } from '@cyclonedx/cyclonedx-library'
import { deployable, hashesOf, type Library, organization } from './cyclonedx-document.ts'
import type { Inventory, InventoryGo, InventoryGoModule } from './inventory.ts'
import { genericPurl, golangPurl } from './purl.ts'

export interface GoComponents {
  /** One per file, in the order of paths. */
  readonly programs: readonly Models.Component[]
  /** Sorted by reference, in code units. */
  readonly modules: readonly Models.Component[]
}

export function goComponents(library: Library, inventory: Inventory): GoComponents {
  const { Models, Enums } = library
  const modules = new Map<string, Models.Component>()
  const use = (module: Module): Models.Component => {
    const ref = `go:${module.path}@${module.version}`
    const component = modules.get(ref) ?? moduleComponent(library, ref, module)
    modules.set(ref, component)
    for (const [name, value] of module.facts) {
      if (![...component.properties].some((one) => one.name === name && one.value === value)) {
        component.properties.add(new Models.Property(name, value))
      }
    }
    return component
  }
  const programs = inventory.go.map((program) => {
    const version = program.main === null ? '' : mainModule(program.main, program.settings).version
    const component = new Models.Component(Enums.ComponentType.File, program.path, {
      bomRef: `file:${program.path}`,
      version: version === '' ? `sha256:${program.sha256.slice(0, 12)}` : version,
      supplier: supplierOf(library, program.main?.path ?? program.package),
      hashes: hashesOf(library, program.sha256, program.sha512),
      properties: new Models.PropertyRepository([
        ...deployable(library, program.path.slice(program.path.lastIndexOf('/') + 1), 'executable'),
        new Models.Property('rfo:go:package', program.package),
        new Models.Property('rfo:go:version', program.goVersion),
        ...Object.entries(program.settings).map(([key, value]) => new Models.Property(`rfo:go:setting:${key}`, value)),
      ]),
    })
    for (const module of modulesOf(program)) component.dependencies.add(use(module).bomRef)
    return component
  })
  return { programs, modules: [...modules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component) }
}

interface Module {
  readonly path: string
  /** '' when there is none to tell */
  readonly version: string
  readonly facts: readonly (readonly [name: string, value: string])[]
}

function modulesOf(program: InventoryGo): readonly Module[] {
  const stdlib = /^go(\d\S*)/.exec(program.goVersion)?.[1] ?? program.goVersion
  const main = program.main === null ? [] : [mainModule(program.main, program.settings)]
  return [...main, ...program.deps.map(compiled), { path: 'stdlib', version: stdlib, facts: [] }]
}

/** A main module built from a tree has the version `(devel)`: its commit says more, in the form of Go's pseudo-versions. */
function mainModule(module: InventoryGoModule, settings: Readonly<Record<string, string>>): Module {
  if (module.version !== '(devel)') return compiled(module)
  const { 'vcs.revision': revision, 'vcs.time': time } = settings
  const stamp = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/
    .exec(time ?? '')
    ?.slice(1)
    .join('')
  const version = revision === undefined || stamp === undefined ? '' : `v0.0.0-${stamp}-${revision.slice(0, 12)}`
  return { path: module.path, version, facts: [['rfo:go:main', '(devel)']] }
}

/**
 * What was compiled: the replacement, where there is one. A directory (https://go.dev/ref/mod#go-mod-file-replace: it begins
 * with `./`, `../` or `/`) has no version, and its path means nothing elsewhere.
 */
function compiled(module: InventoryGoModule): Module {
  const { replace } = module
  if (replace === undefined) return { path: module.path, version: module.version, facts: sum(module.sum) }
  const replaced = ['rfo:go:replaces', `${module.path}@${module.version}`] as const
  if (/^\.{0,2}\//.test(replace.path) || replace.version === '')
    return { path: module.path, version: '', facts: [replaced, ['rfo:go:directory', replace.path]] }
  return { path: replace.path, version: replace.version, facts: [...sum(replace.sum), replaced] }
}

/** A property and no hash: `h1:` is of a list of files (https://go.dev/ref/mod#go-sum-files), not of any one file. */
function sum(text: string): [string, string][] {
  return text === '' ? [] : [['rfo:go:sum', text]]
}

function moduleComponent(library: Library, ref: string, module: Module): Models.Component {
  const { Models, Enums } = library
  const version = module.version === '' ? '(devel)' : module.version
  // a version that Go's rules don't allow has no purl of Go's
  const purl = golangPurl(module.path, module.version) ?? genericPurl(module.path, version)
  return new Models.Component(Enums.ComponentType.Library, module.path, {
    bomRef: ref,
    version,
    ...(purl === undefined ? {} : { purl }),
    supplier: supplierOf(library, module.path),
  })
}

/** Who publishes a module is, as far as anyone can tell, who owns its place: host and owner. */
function supplierOf(library: Library, path: string): Models.OrganizationalEntity {
  const name = path === 'stdlib' ? 'go.dev' : path.split('/').slice(0, 2).join('/')
  return organization(library, {
    name: name === '' ? 'unknown' : name,
    url: /^[a-z0-9-]+(\.[a-z0-9-]+)+(\/[\w.~-]+)?$/i.test(name) ? `https://${name}` : '',
  })
}
