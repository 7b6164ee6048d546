/** Values of a chart that let its pods run on one architecture alone. */
import type { ChartFiles } from './chart-archive.ts'
import { isRecord, valuesOf } from './chart-yaml.ts'

export interface PinnedArchitecture {
  readonly architecture: string
  /** `values.yaml: labels.nodeSelector` */
  readonly where: string
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-arch, and the name it had before */
const labels = ['kubernetes.io/arch', 'beta.kubernetes.io/arch']

export function pinnedArchitectures(files: ChartFiles, chart: string): readonly PinnedArchitecture[] {
  const values = files.get('values.yaml')
  const found: PinnedArchitecture[] = []
  const walk = (value: unknown, path: readonly string[]): void => {
    if (path.length > 40 || !isRecord(value)) return
    for (const label of labels) {
      const architecture = value[label]
      if (typeof architecture === 'string') found.push({ architecture, where: `values.yaml: ${path.join('.')}` })
    }
    for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
  }
  if (values !== undefined) walk(valuesOf(values, chart, 'values.yaml'), [])
  return found
}
