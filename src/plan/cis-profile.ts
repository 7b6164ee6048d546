/**
 * RFO's profile of kube-bench: where its nodes have what the CIS Kubernetes Benchmark looks at, and which checks say nothing there.
 * https://github.com/aquasecurity/kube-bench/blob/v0.12.0/docs/architecture.md
 */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { FileText } from './pipelines.ts'
import { minorLine, parseVersion } from './version.ts'
import { parseYaml } from './yaml.ts'

/** Folders that a node has somewhere: `{pki}/ca.crt`. */
export type NodeFolder = 'config' | 'pki'

const Path = z.string().regex(/^(\{config\}|\{pki\})?\/[\w./-]+$/, 'an absolute path; it may begin with {config} or {pki}')
const Paths = z.array(Path).min(1)
const Component = z.strictObject({
  bins: z.array(z.string().regex(/^[a-z][a-z-]*$/, 'a program’s name')).length(1),
  confs: Paths.optional(),
  kubeconfig: Paths.optional(),
  cafile: Paths.optional(),
})

export const CisProfile = z
  .strictObject({
    nodes: z
      .record(z.enum(['master', 'etcd', 'controlplane', 'node', 'policies']), z.record(z.string().regex(/^[a-z]+$/), Component))
      .describe('kube-bench’s words: kind of node → component → its program, files and kubeconfigs'),
    benchmarks: z.record(
      z.string().regex(/^[a-z0-9.-]{1,40}$/, 'a folder of kube-bench’s cfg/'),
      z.strictObject({
        kubernetes: z.array(z.string().regex(/^1\.\d+$/, 'a minor version, such as 1.25')).min(1),
        skip: z
          .array(
            z.strictObject({
              checks: z.array(z.string().regex(/^\d+(\.\d+)+$/, 'the number of a check, such as 1.1.12')).min(1),
              reason: z.string().min(1).max(300),
            }),
          )
          .describe('checks that say nothing about RFO or about a local cluster, each with its reason'),
      }),
    ),
  })
  .superRefine(({ benchmarks }, at) => {
    const minors = new Set<string>()
    for (const [name, { kubernetes, skip }] of Object.entries(benchmarks)) {
      for (const minor of kubernetes) {
        if (minors.has(minor))
          at.addIssue({ code: 'custom', path: ['benchmarks', name, 'kubernetes'], message: `${minor} has two benchmarks` })
        minors.add(minor)
      }
      const checks = new Set<string>()
      for (const check of skip.flatMap((one) => one.checks)) {
        if (checks.has(check)) at.addIssue({ code: 'custom', path: ['benchmarks', name, 'skip'], message: `${check} is skipped twice` })
        checks.add(check)
      }
    }
  })
export type CisProfile = z.infer<typeof CisProfile>

/** What is asked of kube-bench for one version of Kubernetes. */
export interface CisPlan {
  /** kube-bench's name */
  readonly benchmark: string
  /** kinds of node, in its words */
  readonly targets: readonly string[]
  /** number of a check → why it is not looked at */
  readonly skip: ReadonlyMap<string, string>
  readonly nodes: CisProfile['nodes']
}

/** Throws RFO_PLAN_YAML, and RFO_PLAN_CIS (usage) where no benchmark is chosen for the version. */
export function cisPlan({ file, text }: FileText, version: string): CisPlan {
  const { nodes, benchmarks } = parseYaml(CisProfile, text, file)
  const minor = minorLine(parseVersion(version)).replace(/^v/, '')
  const found = Object.entries(benchmarks).find(([, { kubernetes }]) => kubernetes.includes(minor))
  if (found === undefined)
    throw new RfoError('RFO_PLAN_CIS', `no CIS benchmark is chosen for Kubernetes ${minor}`, {
      exit: 'usage',
      where: file,
      next: `name one of kube-bench's benchmarks for ${minor} there`,
    })
  const [benchmark, { skip }] = found
  return {
    benchmark,
    targets: Object.keys(nodes),
    skip: new Map(skip.flatMap(({ checks, reason }) => checks.map((check) => [check, reason] as const))),
    nodes,
  }
}

/** kube-bench's config.yaml, as JSON, which is YAML. */
export function kubeBenchConfig({ benchmark, targets, nodes }: CisPlan, folders: Readonly<Record<NodeFolder, string>>): string {
  const placed = (paths: readonly string[]): string[] =>
    paths.map((path) => path.replace(/^\{(config|pki)\}/, (_, name: string) => folders[name as NodeFolder]))
  const config = Object.entries(nodes).map(([kind, components]) => [
    kind,
    {
      components: Object.keys(components),
      ...Object.fromEntries(
        Object.entries(components).map(([name, { bins, ...files }]) => [
          name,
          { bins, ...Object.fromEntries(Object.entries(files).map(([what, paths]) => [what, placed(paths ?? [])])) },
        ]),
      ),
    },
  ])
  return `${JSON.stringify({ ...Object.fromEntries(config), target_mapping: { [benchmark]: targets } }, null, 2)}\n`
}
