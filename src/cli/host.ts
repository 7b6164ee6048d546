/** Node's name of this machine's processor → OCI's. */
import { RfoError } from '../error.ts'
import type { Architecture } from '../oci/platform.ts'
import type { Host } from './context.ts'

const names: Readonly<Record<string, Architecture>> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' }

export function hostArchitecture(host: Host): Architecture {
  const name = names[host.arch]
  if (name === undefined)
    throw new RfoError('RFO_CLI_HOST', `no release is made on ${host.arch}`, {
      exit: 'machine',
      next: `use one of ${Object.keys(names).join(', ')}`,
    })
  return name
}
