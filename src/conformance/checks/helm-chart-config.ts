import { type Check, checkFailed } from './check.ts'
import { installedWith, withHelmChart } from './helm-controller.ts'
import { apply } from './kubectl.ts'

export const helmChartConfigCheck: Check = {
  needs: 'api',
  title: {
    en: 'a HelmChartConfig changes values of an installed chart, and leaves the HelmChart’s others',
    zh: 'HelmChartConfig 修改已安装 chart 的取值，HelmChart 的其他取值不变',
  },
  async run(ports) {
    const values = 'word: of the HelmChart\nother: of the HelmChart'
    return await withHelmChart(ports, 'helm-chart-config', values, async (namespace) => {
      const before = await installedWith(ports, namespace, 'of the HelmChart')
      await apply(ports, {
        apiVersion: 'helm.cattle.io/v1',
        kind: 'HelmChartConfig',
        metadata: { name: 'rfo-check', namespace },
        spec: { valuesContent: 'word: of the HelmChartConfig' },
      })
      const after = await installedWith(ports, namespace, 'of the HelmChartConfig')
      if (after !== 'of the HelmChartConfig/of the HelmChart') throw checkFailed(`the values are ${after}`)
      return { before, after }
    })
  },
}
