/** An inventory as advisories look at it: rpms by their source packages, Go's modules as they were linked. */
import type { Inside } from '../advisory/judge.ts'
import type { GoComponent, RpmComponent } from '../advisory/match.ts'
import type { Inventory, InventoryRpm } from '../inspect/inventory.ts'
import { golangPurl, rpmPurl } from '../inspect/purl.ts'
import type { ImagePlan } from '../plan/release-plan.ts'

/** What a build knows and Go's build info does not: the version of a main module that was compiled from a folder. */
export interface MainModule {
  readonly module: string
  readonly version: string
}

/** Compiled from a folder, a main module says no version; the lock knows which one it is. */
export function mainModule({ locked }: Pick<ImagePlan, 'locked'>): MainModule | undefined {
  return locked?.pin.kind === 'go-module' ? { module: locked.pin.module, version: locked.pin.version } : undefined
}

export function insideOf(inventory: Inventory, name: string, main?: MainModule): Inside {
  return {
    name,
    digest: inventory.image,
    os: inventory.os,
    rpmDatabase: inventory.rpmDatabase,
    rpms: inventory.rpm.map((one) => rpmComponent(one, inventory)),
    go: goComponents(inventory, main),
    unexplained: inventory.unexplained.length,
    programs: inventory.coverage.total,
  }
}

function rpmComponent(one: InventoryRpm, { os }: Inventory): RpmComponent {
  const own = `${one.version}-${one.release}`
  const purl = rpmPurl(one, os) ?? `${one.name}@${own}`
  return { purl, name: one.name, epoch: one.epoch ?? 0, ...sourceOf(one.sourceRpm, one.name, own) }
}

/** The source's version may be another than the binary's; a package without a source, such as a key, is its own. `own`: version and release. */
export function sourceOf(sourceRpm: string, name: string, own: string): Pick<RpmComponent, 'source' | 'evr'> {
  const [, source = name, version, release] = /^(.+)-([^-]+)-([^-]+)\.(?:no)?src\.rpm$/.exec(sourceRpm) ?? []
  return { source, evr: version === undefined || release === undefined ? own : `${version}-${release}` }
}

/** One a module and version, with the programs that link it. */
function goComponents({ go }: Inventory, known: MainModule | undefined): GoComponent[] {
  const found = new Map<string, { readonly module: string; readonly version: string; readonly paths: string[] }>()
  const add = (module: string, version: string, path: string): void => {
    const key = `${module}\0${version}`
    const one = found.get(key) ?? { module, version, paths: [] }
    found.set(key, one)
    if (one.paths.at(-1) !== path) one.paths.push(path)
  }
  for (const { path, goVersion, main, deps } of go) {
    add('stdlib', /^go1\./.test(goVersion) ? goVersion.replace(/\s.*$/, '') : '', path)
    for (const each of main === null ? deps : [main, ...deps]) {
      // what replaces a module is what was compiled; a folder has no version
      const linked = each.replace ?? each
      const version = /^v\d/.test(linked.version) ? linked.version : linked.path === known?.module ? known.version : ''
      add(linked.path, version, path)
    }
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { module, version, paths }]) => ({ purl: golangPurl(module, version) ?? module, module, version, paths: paths.sort() }))
}
