/** kubectl, as checks use it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { RfoError } from '../../error.ts'
import type { Json } from '../../oci/json.ts'
import { type ApiPorts, checkFailed } from './check.ts'

/** What it prints, without the last line's end. */
export async function kubectl(ports: ApiPorts, ...argv: readonly string[]): Promise<string> {
  return (await ports.exec(['kubectl', ...argv])).stdout.toString('utf8').trimEnd()
}

export async function apply(ports: ApiPorts, ...items: readonly Json[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items }
  await ports.exec(['kubectl', 'apply', '-f', '-'], { stdin: Buffer.from(JSON.stringify(list)) })
}

/** A namespace of the check's own, in which pods may be made, for as long as `use` runs. */
export async function inNamespace<T>(ports: ApiPorts, name: string, use: (namespace: string) => Promise<T>): Promise<T> {
  // the one of a run before may still be going
  const namespace = `rfo-check-${name}-${randomUUID().slice(0, 8)}`
  await apply(ports, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  try {
    // no pod is admitted before it, and the controller manager takes its time after an API server that was started again
    await eventually(ports, 'the namespace has its service account', async () => {
      await kubectl(ports, '-n', namespace, 'get', 'serviceaccount', 'default')
      return true
    })
    return await use(namespace)
  } finally {
    await kubectl(ports, 'delete', 'namespace', namespace, '--ignore-not-found', '--wait=false').catch(() => {})
  }
}

/** Asks until something else than undefined is seen. Throws RFO_CHECK_FAILED with what was seen last. */
export async function eventually<T>(ports: ApiPorts, what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const late = AbortSignal.timeout(ports.seconds * 1000)
  for (;;) {
    let last: unknown
    try {
      const seen = await ask()
      if (seen !== undefined) return seen
    } catch (cause) {
      ports.signal.throwIfAborted()
      if (!(cause instanceof RfoError)) throw cause
      last = cause
    }
    ports.signal.throwIfAborted()
    if (late.aborted) {
      const details = last instanceof RfoError ? [last.message, ...last.details] : []
      throw checkFailed(`not within ${ports.seconds} seconds: ${what}`, details, last)
    }
    await sleep(300)
  }
}
