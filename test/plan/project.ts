/** The repository's own pipelines and lock, as tests plan with them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type Bundle, parseBundle } from '../../src/plan/bundle.ts'
import type { Lock } from '../../src/plan/lock.ts'
import { parseLock } from '../../src/plan/lock-text.ts'
import { assemblePipelines, type FileText } from '../../src/plan/pipelines.ts'
import type { PlanInput } from '../../src/plan/plan-release.ts'
import { type BesideTexts, besideFolders } from '../../src/plan/source-changes.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'

export const root = join(import.meta.dirname, '../..')

export function fileText(file: string): FileText {
  return { file, text: readFileSync(join(root, file), 'utf8') }
}

export const componentFiles: readonly FileText[] = readdirSync(join(root, 'pipelines'))
  .filter((name) => name.endsWith('.yaml') && name !== 'release.yaml' && name !== 'rfo.yaml')
  .map((name) => fileText(`pipelines/${name}`))

/** Patches and overrides, by path. */
export const beside: BesideTexts = new Map(
  besideFolders.flatMap((folder) =>
    (existsSync(join(root, folder)) ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true }) : [])
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const { file, text } = fileText(relative(root, join(entry.parentPath, entry.name)))
        return [file, text] as const
      }),
  ),
)

export const libraryFiles: readonly FileText[] = readdirSync(join(root, 'pipelines/libraries')).map((name) =>
  fileText(`pipelines/libraries/${name}`),
)

/** What of a release's plan is known from RKE2's own lists, and its pins. */
interface KnownRelease {
  readonly version: string
  readonly upstream: string
  readonly commit: string
  readonly epoch: number
  /** entries of the lists, and how many images they are */
  readonly listed: readonly [entries: number, images: number]
  readonly charts: number
  /** rebuilt: those called hardened-, and the others */
  readonly hardened: number
  readonly others: readonly string[]
  readonly mirrored: number
  /** images that RKE2 has for amd64 alone */
  readonly amd64Only: number
  /** groups of the image that is in several */
  readonly cniPlugins: readonly string[]
  /** upstream's image tag */
  readonly coredns: string
  readonly etcd: string
  readonly autoscaler: string
  /** tags of RFO's own images */
  readonly helmController: string
  readonly kubeExplorer: string
  /** the module proxy serves it */
  readonly kubernetesModule: boolean
  /** components whose source is a pinned module, besides those of every release */
  readonly alsoPinned: readonly string[]
}

const november = {
  listed: [52, 51],
  charts: 12,
  hardened: 18 + 3,
  others: [
    'helm-controller',
    'klipper-helm',
    'klipper-lb',
    'kube-explorer',
    'nginx-ingress-controller',
    'pause',
    'rfo-upgrade',
    'rke2-cloud-provider',
    'rke2-runtime',
    'system-agent-installer-rfo',
  ],
  mirrored: 27,
  amd64Only: 8,
  cniPlugins: ['cilium', 'multus'],
  coredns: 'v1.9.3',
  etcd: 'v3.5.4-k3s1',
  autoscaler: '1.8.5',
  helmController: 'v0.13.0',
  kubeExplorer: 'v0.4.2',
  kubernetesModule: true,
  alsoPinned: ['hardened-flannel', 'helm-controller'],
} as const

export const releases: readonly KnownRelease[] = [
  {
    ...november,
    version: 'v1.23.14+rfor1',
    upstream: 'v1.23.14+rke2r1',
    commit: '83c8eb91b96ed5a2a3beb06c905e075724305a46',
    epoch: 1668547884,
  },
  {
    ...november,
    version: 'v1.24.8+rfor1',
    upstream: 'v1.24.8+rke2r1',
    commit: 'b061438ce1f04518d980aac842b62f92095d793d',
    epoch: 1668432300,
    kubernetesModule: false,
  },
  {
    ...november,
    version: 'v1.25.4+rfor1',
    upstream: 'v1.25.4+rke2r1',
    commit: 'b1992225c5b448bcf3b4818b473dc57e3cfb5f9b',
    epoch: 1668419005,
  },
  {
    ...november,
    version: 'v1.34.10+rfor1',
    upstream: 'v1.34.10+rke2r1',
    commit: 'd419f09226d50a4777d348e5c53ea1bce3849b77',
    epoch: 1785631290,
    listed: [70, 67],
    charts: 18,
    hardened: 17 + 3,
    mirrored: 44,
    amd64Only: 9,
    cniPlugins: ['cilium', 'flannel', 'multus'],
    coredns: 'v1.14.6',
    etcd: 'v3.6.14-k3s1',
    autoscaler: 'v1.10.3',
    helmController: 'v0.16.26',
    kubeExplorer: 'v0.5.1',
    alsoPinned: [
      'hardened-csi-snapshotter',
      'hardened-multus-cni',
      'hardened-multus-thick',
      'hardened-snapshot-controller',
      'hardened-whereabouts',
    ],
  },
]

export function ownLock(): Lock {
  const { text, file } = fileText('images.lock')
  return parseLock(text, file)
}

export function inputFor(
  version: string,
  lock: Lock,
  components: readonly FileText[] = componentFiles,
  files: BesideTexts = beside,
): PlanInput & { readonly bundle: Bundle } {
  const upstream = version.replace('rfor', 'rke2r')
  const pipelines = assemblePipelines({
    release: fileText('pipelines/release.yaml'),
    components,
    libraries: libraryFiles,
    upstream: fileText(`pipelines/upstream/${upstream}.yaml`),
    beside: files,
  })
  const bundle = parseBundle(fileText('pipelines/rfo.yaml'), parseUpstreamVersion(upstream))
  const { release, components: assembled, libraries, upstream: list } = pipelines
  return { version, release, components: [...assembled.values()], libraries, bundle, upstream: list, lock }
}

/** What a function throws, for its code and place. */
export function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (thrown) {
    return thrown
  }
  throw new Error('nothing was thrown')
}
