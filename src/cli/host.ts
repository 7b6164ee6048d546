/** Node's name of this machine's processor → OCI's. */
import { RfoError } from '../error.ts'
import { type Architecture, architectureNames, architectures } from '../oci/platform.ts'
import type { Host } from './context.ts'

export function hostArchitecture(host: Host): Architecture {
  const name = architectureNames.find((each) => architectures[each].node === host.arch)
  if (name === undefined)
    throw new RfoError('RFO_CLI_HOST', `no release is made on ${host.arch}`, {
      exit: 'machine',
      next: `use one of ${architectureNames.map((each) => architectures[each].node).join(', ')}`,
    })
  return name
}
