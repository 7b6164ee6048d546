import type { Json } from '../../oci/json.ts'
import { type Check, checkFailed, type NodePorts } from './check.ts'
import { apply, eventually, inNamespace, kubectl } from './kubectl.ts'

/** An address that nobody has: https://www.rfc-editor.org/rfc/rfc5737#section-3 */
const nowhere = '192.0.2.1/absent:1'

export const airGapCheck: Check = {
  needs: 'node',
  title: {
    en: 'everything started from the images that were put there: none was pulled, and none can be',
    zh: '全部由预置镜像启动：没有拉取过镜像，也无法拉取',
  },
  async run(ports) {
    await refusePulls(ports)
    return await inNamespace(ports, 'air-gap', async (namespace) => {
      await apply(ports, pod('here', namespace, ports.images.pause))
      const running = await eventually(ports, 'a pod of an image that is there runs', async () => {
        const phase = await kubectl(ports, '-n', namespace, 'get', 'pod', 'here', '-o=jsonpath={.status.phase}')
        return phase === 'Running' ? (await events(ports, namespace, 'here', 'Pulled'))[0] : undefined
      })
      await refusePulls(ports)
      await apply(ports, pod('absent', namespace, nowhere))
      const refused = await eventually(ports, 'an image that is absent can’t be pulled', async () => {
        const said = await events(ports, namespace, 'absent', 'Failed')
        return said.find((text) => text.startsWith('Failed to pull image'))
      })
      // what was looked for before is there now, so it would have been seen
      if ((await pulls(ports)).length === 0) throw checkFailed('a pull leaves no trace: nothing can be said of those before')
      return { running, refused: refused.slice(0, 500) }
    })
  },
}

async function refusePulls(ports: NodePorts): Promise<void> {
  const seen = await pulls(ports)
  if (seen.length > 0) throw checkFailed(`${seen.length} pulls of images were tried`, seen.slice(0, 20))
}

/** Events of the cluster, and what containerd says itself. */
async function pulls(ports: NodePorts): Promise<string[]> {
  const said = await kubectl(
    ports,
    'get',
    'events',
    '-A',
    '--field-selector=reason=Pulling',
    '-o=jsonpath={range .items[*]}{.message}{"\\n"}{end}',
  )
  const log = (await ports.log('containerd')).split('\n').filter((line) => line.includes('msg="PullImage '))
  return [...said.split('\n').filter((line) => line !== ''), ...log]
}

async function events(ports: NodePorts, namespace: string, name: string, reason: string): Promise<string[]> {
  const selector = `--field-selector=involvedObject.name=${name},reason=${reason}`
  const said = await kubectl(ports, '-n', namespace, 'get', 'events', selector, '-o=jsonpath={range .items[*]}{.message}{"\\n"}{end}')
  return said.split('\n').filter((line) => line !== '')
}

function pod(name: string, namespace: string, image: string): Json {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name, image, imagePullPolicy: 'IfNotPresent' }] },
  }
}
