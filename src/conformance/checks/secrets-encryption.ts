/** https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/, with the keys rotated as it says. */
import { randomBytes } from 'node:crypto'
import type { Json } from '../../oci/json.ts'
import { type Check, checkFailed, type NodePorts } from './check.ts'
import { apply, inNamespace, kubectl } from './kubectl.ts'

export const secretsEncryptionCheck: Check = {
  needs: 'node',
  title: {
    en: 'secrets lie encrypted in etcd, under the newest key once they are rewritten, and are read all the same',
    zh: 'Secret 在 etcd 中为密文，重写后使用最新密钥，读取不受影响',
  },
  async run(ports) {
    return await inNamespace(ports, 'secrets-encryption', async (namespace) => {
      const word = randomBytes(16).toString('hex')
      await apply(ports, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kept', namespace }, stringData: { word } })
      const look = async (expected: string): Promise<string> => await stored(ports, namespace, word, expected)
      // what is readable now shows that it would be seen later
      const prefixes = [await look(plain)]
      const [first, second] = [key('first'), key('second')]
      const plainToo = { identity: {} }
      // a loop of its own for each state: what must be readable, and what is written
      for (const [providers, expected] of [
        [[aescbc([first]), plainToo], 'k8s:enc:aescbc:v1:first:'],
        [[aescbc([second, first])], 'k8s:enc:aescbc:v1:second:'],
        [[aescbc([second])], 'k8s:enc:aescbc:v1:second:'],
      ] as const) {
        await ports.encrypt(configuration(providers))
        await rewrite(ports)
        prefixes.push(await look(expected))
      }
      return { prefixes }
    })
  },
}

const plain = 'k8s\0'

function key(name: string): Json {
  return { name, secret: randomBytes(32).toString('base64') }
}

function aescbc(keys: readonly Json[]): Json {
  return { aescbc: { keys } }
}

function configuration(providers: readonly Json[]): Json {
  return { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources: [{ resources: ['secrets'], providers }] }
}

/** Every secret as it is, written again: with the first key. */
async function rewrite(ports: NodePorts): Promise<void> {
  const secrets = await kubectl(ports, 'get', 'secrets', '--all-namespaces', '-o=json')
  await ports.exec(['kubectl', 'replace', '-f', '-'], { stdin: Buffer.from(secrets) })
}

/** The beginning of what lies in etcd. */
async function stored(ports: NodePorts, namespace: string, word: string, expected: string): Promise<string> {
  const bytes = await ports.stored(`/registry/secrets/${namespace}/kept`)
  const begins = bytes.subarray(0, expected.length).toString('latin1')
  if (begins !== expected)
    throw checkFailed(`the secret begins with ${JSON.stringify(begins)} in etcd, not with ${JSON.stringify(expected)}`)
  if (bytes.includes(word) !== (expected === plain)) throw checkFailed(`the secret is ${expected === plain ? 'not ' : ''}readable in etcd`)
  const read = await kubectl(ports, '-n', namespace, 'get', 'secret', 'kept', '-o=jsonpath={.data.word}')
  if (Buffer.from(read, 'base64').toString('utf8') !== word) throw checkFailed('the API gives another secret')
  return begins
}
