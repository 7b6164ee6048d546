import type { Check } from './check.ts'
import { installedWith, withHelmChart } from './helm-controller.ts'
import { eventually, kubectl } from './kubectl.ts'

export const helmChartCheck: Check = {
  needs: 'api',
  title: {
    en: 'a HelmChart installs its chart with its values, and removes it when it is deleted',
    zh: 'HelmChart 按其取值安装 chart，删除后一并卸载',
  },
  async run(ports) {
    return await withHelmChart(ports, 'helm-chart', 'word: of the HelmChart', async (namespace) => {
      const values = await installedWith(ports, namespace, 'of the HelmChart')
      const job = await eventually(ports, 'the job that installed it has succeeded', async () => {
        const [name, image, succeeded] = (
          await kubectl(
            ports,
            '-n',
            namespace,
            'get',
            'job',
            'helm-install-rfo-check',
            '-o=jsonpath={.metadata.name} {.spec.template.spec.containers[0].image} {.status.succeeded}',
          )
        ).split(' ')
        return succeeded === '1' ? { name: name ?? '', image: image ?? '' } : undefined
      })
      await kubectl(ports, '-n', namespace, 'delete', 'helmchart', 'rfo-check', `--timeout=${ports.seconds}s`)
      await eventually(ports, 'what the chart made is gone', async () => {
        const left = await kubectl(ports, '-n', namespace, 'get', 'configmap', 'rfo-check', '--ignore-not-found', '-o=name')
        return left === '' ? true : undefined
      })
      return { values, job }
    })
  },
}
