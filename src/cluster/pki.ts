/**
 * Certificates of one cluster, by openssl: Node makes keys, but no certificates. They live as long as the cluster does.
 * Who must be called what: https://kubernetes.io/docs/setup/best-practices/certificates/
 */
import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exec } from '../exec.ts'
import { network } from './network.ts'

export interface Pki {
  /** Absolute path of a file: `ca.crt`, `apiserver.key`, `admin.kubeconfig`. */
  file(name: string): string
}

/** Without it, openssl's own file would add the extensions of an authority to every certificate. */
const config = '[req]\ndistinguished_name = name\n[name]\n'

const { address, service } = network
const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost'].map(
  (name) => `DNS:${name}`,
)

const authorities = { ca: 'rfo-cluster', front: 'rfo-cluster-front-proxy', 'etcd-ca': 'rfo-cluster-etcd' } as const

interface Certificate {
  readonly ca: keyof typeof authorities
  readonly subject: string
  readonly usage: 'serverAuth' | 'clientAuth' | 'serverAuth,clientAuth'
  readonly names?: string
  /** a kubeconfig of the same name is wanted */
  readonly user?: true
}

const certificates: Readonly<Record<string, Certificate>> = {
  apiserver: {
    ca: 'ca',
    subject: '/CN=kube-apiserver',
    usage: 'serverAuth',
    names: [...names, 'IP:127.0.0.1', `IP:${address}`, `IP:${service}`].join(','),
  },
  'kubelet-client': { ca: 'ca', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client', usage: 'clientAuth' },
  kubelet: { ca: 'ca', subject: `/CN=${network.node}`, usage: 'serverAuth', names: `DNS:${network.node},IP:${address}` },
  'front-client': { ca: 'front', subject: '/CN=front-proxy-client', usage: 'clientAuth' },
  // to its clients and to its peers
  etcd: { ca: 'etcd-ca', subject: '/CN=etcd', usage: 'serverAuth,clientAuth', names: 'DNS:localhost,IP:127.0.0.1' },
  'etcd-client': { ca: 'etcd-ca', subject: '/CN=kube-apiserver-etcd-client', usage: 'clientAuth' },
  admin: { ca: 'ca', subject: '/O=system:masters/CN=admin', usage: 'clientAuth', user: true },
  'controller-manager': { ca: 'ca', subject: '/CN=system:kube-controller-manager', usage: 'clientAuth', user: true },
  scheduler: { ca: 'ca', subject: '/CN=system:kube-scheduler', usage: 'clientAuth', user: true },
  proxy: { ca: 'ca', subject: '/CN=system:kube-proxy', usage: 'clientAuth', user: true },
  node: { ca: 'ca', subject: `/O=system:nodes/CN=system:node:${network.node}`, usage: 'clientAuth', user: true },
}

export async function makePki(folder: string, env: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = (name: string): string => join(folder, name)
  await writeFile(file('openssl.cnf'), config)
  const make = async (name: string, subject: string, extensions: readonly string[], ca?: string): Promise<void> => {
    const signer = ca === undefined ? [] : ['-CA', file(`${ca}.crt`), '-CAkey', file(`${ca}.key`)]
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', file(`${name}.key`)]
    const added = extensions.flatMap((each) => ['-addext', each])
    await exec(
      [
        'openssl',
        'req',
        '-config',
        file('openssl.cnf'),
        '-x509',
        '-days',
        '30',
        ...key,
        '-out',
        file(`${name}.crt`),
        '-subj',
        subject,
        ...signer,
        ...added,
      ],
      { env, exit: 'machine', ...(signal === undefined ? {} : { signal }) },
    )
    await chmod(file(`${name}.crt`), 0o600)
  }
  await Promise.all(
    Object.entries(authorities).map(([name, cn]) =>
      make(name, `/CN=${cn}`, ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']),
    ),
  )
  await Promise.all(
    Object.entries(certificates).map(([name, { ca, subject, usage, names: alternatives }]) =>
      make(
        name,
        subject,
        [
          'basicConstraints=critical,CA:FALSE',
          'keyUsage=critical,digitalSignature',
          `extendedKeyUsage=${usage}`,
          ...(alternatives === undefined ? [] : [`subjectAltName=${alternatives}`]),
        ],
        ca,
      ),
    ),
  )
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFile(file('accounts.key'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  await writeFile(file('accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  const encoded = async (name: string): Promise<string> => (await readFile(file(name))).toString('base64')
  for (const [name, { user }] of Object.entries(certificates)) {
    if (user !== true) continue
    const text = kubeconfig(await encoded('ca.crt'), await encoded(`${name}.crt`), await encoded(`${name}.key`))
    await writeFile(file(`${name}.kubeconfig`), text, { mode: 0o600 })
  }
  return { file }
}

/** JSON is YAML. https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
function kubeconfig(ca: string, certificate: string, key: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster: { server: `https://${address}:${network.port}`, 'certificate-authority-data': ca } }],
    users: [{ name: 'own', user: { 'client-certificate-data': certificate, 'client-key-data': key } }],
    contexts: [{ name: 'own', context: { cluster: 'local', user: 'own' } }],
    'current-context': 'own',
  })
}
