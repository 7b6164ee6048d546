/** Logins of the registry on loopback: Basic, or Bearer with its own token server at `/token`. */
import type http from 'node:http'
import { digestOf } from '../oci/digest.ts'

export interface RegistryLogin {
  readonly kind: 'basic' | 'bearer'
  readonly username: string
  readonly password: string
  /** How many requests a token is good for; without end unless told. */
  readonly tokenUses?: number
}

interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Gives the answer to a request that gets no further: a refusal, or a token. */
export function createGate(
  login: RegistryLogin | undefined,
  self: () => string,
): (request: http.IncomingMessage, path: URL) => Refusal | undefined {
  if (login === undefined) return () => undefined
  const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
  const refresh = `refresh-${login.password}`
  /** token → its scopes and how often it may still be used */
  const tokens = new Map<string, { readonly scopes: readonly string[]; uses: number }>()
  const json = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): Refusal => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const unauthorized = (challenge: string): Refusal => json(401, { errors: [{ code: 'UNAUTHORIZED' }] }, { 'www-authenticate': challenge })

  const give = (scopes: readonly string[]): Refusal => {
    const token = digestOf(`${refresh}${tokens.size}`).slice(7)
    tokens.set(token, { scopes, uses: login.tokenUses ?? Number.POSITIVE_INFINITY })
    return json(200, { token })
  }

  return (request, path) => {
    const { authorization } = request.headers
    if (login.kind === 'basic') return authorization === basic ? undefined : unauthorized('Basic realm="registry"')
    if (path.pathname === '/token') {
      if (request.method !== 'GET' || authorization !== basic) return unauthorized('Basic realm="token"')
      return give(path.searchParams.getAll('scope'))
    }
    const name = /^\/v2\/(.+?)\/(?:blobs|manifests|referrers|tags)\//.exec(path.pathname)?.[1] ?? ''
    const action = request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push'
    const token = tokens.get(authorization?.replace(/^Bearer /, '') ?? '')
    const allowed = token?.scopes.some((scope) => {
      const [kind, repository, actions = ''] = scope.split(':')
      return kind === 'repository' && repository === name && actions.split(',').includes(action)
    })
    if (token !== undefined && (allowed === true || name === '') && token.uses > 0) {
      token.uses -= 1
      return undefined
    }
    return unauthorized(`Bearer realm="${self()}/token",service="registry",scope="repository:${name}:pull,push"`)
  }
}
