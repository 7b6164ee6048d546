/** A file of the web, its body unread: redirects are followed, and from https never away from it. Who asks decides about another try. */
import type http from 'node:http'
import { type Agents, drain, exchange } from './exchange.ts'

export interface WebAsk {
  readonly agents: Agents
  readonly headers?: Readonly<Record<string, string>>
  /** statuses whose response is wanted; default: 200 alone */
  readonly answers?: readonly number[]
  readonly signal?: AbortSignal | undefined
}

/** `passing`: another try may mend it, or another address. */
export type Opened = { readonly response: http.IncomingMessage } | { readonly failed: string; readonly passing: boolean }

const maxRedirects = 5

/** Throws the signal's reason alone. */
export async function openWeb(address: string, { agents, headers = {}, answers = [200], signal }: WebAsk): Promise<Opened> {
  let url = URL.parse(address)
  if (url === null) return { failed: `not a URL: ${address}`, passing: false }
  for (let redirects = 0; ; redirects += 1) {
    const { protocol } = url
    if (protocol !== 'https:' && protocol !== 'http:') return { failed: `only https and http are spoken, not ${protocol}`, passing: false }
    const sent = { 'user-agent': 'rfo-build', 'accept-encoding': 'identity', ...headers }
    const response = await exchange(agents, { method: 'GET', url, headers: sent, signal }).catch((cause: Error) => cause)
    if (response instanceof Error) {
      signal?.throwIfAborted()
      return { failed: response.message, passing: true }
    }
    const status = response.statusCode ?? 0
    if (answers.includes(status)) return { response }
    drain(response)
    const { location } = response.headers
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined)
      return { failed: `HTTP ${status}`, passing: status === 408 || status === 429 || status >= 500 }
    const next = URL.parse(location, url.href)
    if (redirects >= maxRedirects) return { failed: `more than ${maxRedirects} redirects`, passing: false }
    if (next === null) return { failed: 'a redirect to no URL', passing: false }
    if (protocol === 'https:' && next.protocol !== 'https:') return { failed: `a redirect from https to ${next.protocol}`, passing: false }
    url = next
  }
}
