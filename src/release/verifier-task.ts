/** rfo-verify.cjs: this rfo-build's own `verify` in one file, for auditors who have Node and install nothing. */
import { join } from 'node:path'
import { oneScript } from '../build/script.ts'
import { pushBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'

export const verifierPath = 'rfo-verify.cjs'

const root = join(import.meta.dirname, '..', '..')

export function verifierTask({ code }: ReleaseRequest, ports: ReleasePorts): Task {
  return {
    id: verifierPath,
    needs: {},
    key: { rule: 'verifier@1', code },
    lane: 'cpu',
    run: async () => await pushBytes(ports.store, mediaTypes.octets, await oneScript(root, 'install/rfo-verify.js')),
  }
}
