/** Streams a blob out of a registry, from any byte on. A connection that breaks half-way goes on where it stopped. */
import type http from 'node:http'
import type { Descriptor } from '../oci/descriptor.ts'
import { absent, type Body, bodyFrom, mismatch, verified } from './body.ts'
import { Again, delay, drain, outside, pause } from './exchange.ts'
import { type Caller, call, describeAsk } from './session.ts'

export function streamBlob(caller: Caller, target: Descriptor, url: URL, scopes: readonly string[], signal: AbortSignal | undefined): Body {
  return verified(
    target,
    bodyFrom((from) => stream(caller, target, url, scopes, signal, from)),
  )
}

async function* stream(
  caller: Caller,
  target: Descriptor,
  url: URL,
  scopes: readonly string[],
  signal: AbortSignal | undefined,
  from: number,
): AsyncGenerator<Uint8Array, void, void> {
  const ask = { method: 'GET', url, scopes } as const
  let received = from
  let total = 0
  // tries without a byte of progress; with progress it may go on, but not for ever: a server may give a byte each time
  for (let tries = 1; ; tries += 1) {
    total += 1
    const before = received
    try {
      const range = received === 0 ? {} : { headers: { range: `bytes=${received}-` } }
      const response = await call(caller, { ...ask, ...range, allow: [404, 416], signal })
      if (response.statusCode === 404) {
        drain(response)
        throw absent(target, 'outside').at(`${caller.at.login}/${caller.at.repository}`)
      }
      for await (const bytes of answered(response, received, target)) {
        received += bytes.length
        yield bytes
      }
      return
    } catch (thrown) {
      if (!(thrown instanceof Again)) throw thrown
      if (received > before) tries = 1
      const milliseconds = total >= 4 * (caller.retry.attempts ?? 5) ? undefined : delay(caller.retry, tries, thrown.after)
      if (milliseconds === undefined) throw outside(`${describeAsk(ask)}: ${thrown.message} after ${total} tries`, thrown.cause)
      await pause(caller.retry, milliseconds, signal)
    }
  }
}

/** The bytes from `from` on. A server that answers a range with everything (200) has its first bytes dropped. */
async function* answered(response: http.IncomingMessage, from: number, target: Descriptor): AsyncGenerator<Uint8Array, void, void> {
  let skip = from
  if (from > 0 && response.statusCode === 206) {
    // https://www.rfc-editor.org/rfc/rfc9110#section-14.4
    const start = /^bytes (\d{1,16})-/.exec(response.headers['content-range'] ?? '')?.[1]
    if (start === undefined || Number(start) !== from) {
      response.destroy()
      throw new Again('a range that was not asked for')
    }
    skip = 0
  } else if (response.statusCode === 416) {
    drain(response)
    throw mismatch(target, `the registry has no more than ${from} bytes`)
  }
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const bytes = skip === 0 ? chunk : chunk.subarray(skip)
      skip = Math.max(0, skip - chunk.length)
      if (bytes.length > 0) yield bytes
    }
  } catch (cause) {
    throw new Again(`broke off: ${(cause as NodeJS.ErrnoException).code ?? 'connection lost'}`, undefined, cause)
  }
}
