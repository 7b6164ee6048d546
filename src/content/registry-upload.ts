/** Puts a blob into a registry: mounted from another repository where it is known to be, else sent. */
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type Body, canRestart, verified } from './body.ts'
import { Again, drain, outside, retrying } from './exchange.ts'
import { type Caller, call, describeAsk, safe } from './session.ts'

/** `put` is told of each digest that is there afterwards. The blob is known to be missing. */
export async function upload(caller: Caller, expected: Descriptor, body: Body, put: (digest: Digest) => void): Promise<void> {
  const { site, at } = caller
  for (;;) {
    const running = site.uploads.get(expected.digest)
    if (running !== undefined) await running.catch(() => {})
    const places = site.places.get(expected.digest)
    if (places?.has(at.repository)) return
    let location: URL | undefined
    for (const from of [...(places ?? [])].slice(0, 1)) {
      const mounted = await mount(caller, expected, from)
      if (mounted === 'mounted') return put(expected.digest)
      location = mounted
    }
    // somebody may have begun while we asked
    if (site.uploads.has(expected.digest)) continue
    const work = send(caller, expected, body, location)
    site.uploads.set(expected.digest, work)
    try {
      await work
      return put(expected.digest)
    } finally {
      site.uploads.delete(expected.digest)
    }
  }
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository; else where to send it. */
async function mount(caller: Caller, expected: Descriptor, from: string): Promise<'mounted' | URL> {
  const url = new URL(`/v2/${caller.at.repository}/blobs/uploads/`, caller.at.base)
  url.searchParams.set('mount', expected.digest)
  url.searchParams.set('from', from)
  const scopes = [`repository:${caller.at.repository}:pull,push`, `repository:${from}:pull`]
  const ask = { method: 'POST', url, headers: { 'content-length': '0' }, scopes } as const
  return await retrying(caller.retry, describeAsk(ask), caller.signal, async () => {
    const response = await call(caller, ask)
    drain(response)
    return response.statusCode === 201 ? 'mounted' : safe(response.headers.location, url)
  })
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put */
async function send(caller: Caller, expected: Descriptor, body: Body, given: URL | undefined): Promise<void> {
  const start = new URL(`/v2/${caller.at.repository}/blobs/uploads/`, caller.at.base)
  const scopes = [`repository:${caller.at.repository}:pull,push`]
  const source = verified(expected, body)
  let location = given
  let begun = false
  await retrying(caller.retry, describeAsk({ method: 'PUT', url: start }), caller.signal, async () => {
    if (begun && !canRestart(source)) throw outside(`${caller.at.login}: an upload broke off, and its bytes can't be read again`)
    const iterator = source[Symbol.asyncIterator]()
    try {
      // the first bytes may wait for a slot: only then is the registry asked to wait for them
      let next = await iterator.next()
      begun = true
      location ??= await open(caller, start, scopes)
      const url = new URL(location)
      location = undefined
      url.searchParams.set('digest', expected.digest)
      const rest: Body = {
        async *[Symbol.asyncIterator]() {
          while (next.done !== true) {
            yield next.value
            next = await iterator.next()
          }
        },
      }
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(expected.size) }
      // a lost upload session (404, 416) is begun anew
      const response = await call(caller, { method: 'PUT', url, headers, body: rest, scopes, allow: [404, 416] })
      drain(response)
      if (response.statusCode === 404 || response.statusCode === 416) throw new Again(`HTTP ${response.statusCode}`)
    } finally {
      await iterator.return?.()
    }
  })
}

async function open(caller: Caller, start: URL, scopes: readonly string[]): Promise<URL> {
  const response = await call(caller, { method: 'POST', url: start, headers: { 'content-length': '0' }, scopes })
  drain(response)
  return safe(response.headers.location, start)
}
