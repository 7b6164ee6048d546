/** What is asked of a cluster: one run of the e2e suite, or a few that together are one. */

export interface SuiteRun {
  /** file name's part: `all`, `parallel` */
  readonly name: string
  /** Go's regular expressions over the names of specs; empty = no such wish */
  readonly focus: string
  readonly skip: string
  /** processes of ginkgo */
  readonly procs: number
}

export const suiteNames = ['quick', 'conformance', 'certified-conformance'] as const
export type SuiteName = (typeof suiteNames)[number]

/** sonobuoy's word for its quick mode: https://github.com/vmware-tanzu/sonobuoy/blob/v0.57.1/pkg/client/mode.go */
const quickFocus = 'Pods should be submitted and removed'
const conformanceFocus = '\\[Conformance\\]'

/**
 * `conformance` is split as RKE2's CI does: what may run beside others does, the rest after it. `certified-conformance` is what
 * https://github.com/cncf/k8s-conformance asks for: all of it, one by one.
 */
export function suiteRuns(suite: SuiteName, procs: number): readonly SuiteRun[] {
  switch (suite) {
    case 'quick':
      return [{ name: 'quick', focus: quickFocus, skip: '', procs: 1 }]
    case 'conformance':
      return [
        { name: 'parallel', focus: conformanceFocus, skip: '\\[Serial\\]', procs },
        { name: 'serial', focus: '\\[Serial\\].*\\[Conformance\\]', skip: '', procs: 1 },
      ]
    case 'certified-conformance':
      return [{ name: 'certified', focus: conformanceFocus, skip: '', procs: 1 }]
  }
}
