/** A server laid out like openEuler's and Go's in one, on loopback, with every defect that is known of them. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { digestOf } from '../../src/oci/digest.ts'
import { csaf, cvrf, go, osv } from './documents.ts'

export interface AdvisoryServer {
  readonly url: string
  /** path → bytes; may be changed while it runs */
  readonly files: Map<string, Buffer | string>
  /** paths that were asked for, with `=` behind those that were answered by 304 */
  readonly asked: string[]
  /** answers 503 to so many requests more */
  failing: number
  close(): Promise<void>
}

/** Six advisories of openEuler that can be read, one of them in CVRF alone, one in OSV alone, and two of Go. */
export function everyDefect(): Map<string, Buffer | string> {
  const name = (number: number): string => `2026/csaf-openeuler-sa-2026-${number}.json`
  return new Map<string, Buffer | string>([
    [
      'csaf/advisories/index.txt',
      [
        name(1001),
        // in other case on the server
        '2026/csaf-openEuler-SA-2026-1002.json',
        name(1003),
        name(1004),
        // not there
        name(1005),
        name(1006),
        // not UTF-8
        name(1007),
        // twice, and paths that lead elsewhere
        name(1001).toUpperCase().replace('CSAF', 'csaf').replace('.JSON', '.json'),
        '../../../etc/passwd.json',
        '//evil.example/x.json',
        'a b.json',
        '',
      ].join('\r\n'),
    ],
    [`csaf/advisories/${name(1001)}`, csaf()],
    [`csaf/advisories/${name(1002)}`, csaf({ number: 1002, source: 'zlib', fixed: '1.2.13-9.oe2403sp1', severity: 'Critical' })],
    [`csaf/advisories/${name(1003)}`, ''],
    [`csaf/advisories/${name(1004)}`, csaf({ number: 1004 }).slice(0, 700)],
    [`csaf/advisories/${name(1006)}`, '<html>404</html>'],
    [
      `csaf/advisories/${name(1007)}`,
      Buffer.from(csaf({ number: 1007, source: 'bash', fixed: '5.2.15-20.oe2403sp1' }).replace('An update', '\u00ff'), 'latin1'),
    ],
    // without the year's folder
    ['cvrf/index.txt', 'cvrf-openEuler-SA-2026-1003.xml\n2026/cvrf-openEuler-SA-2026-1008.xml\n'],
    ['cvrf/2026/cvrf-openEuler-SA-2026-1003.xml', cvrf({ number: 1003, source: 'glibc', fixed: '2.38-60.oe2403sp1' })],
    ['cvrf/2026/cvrf-openEuler-SA-2026-1008.xml', cvrf({ number: 1008 }).slice(0, 900)],
    [
      'osv/all.json',
      JSON.stringify([{ id: 'OESA-2026-1004', modified: '2026-10-02T00:00:00Z' }, { id: '../x' }, { id: 'OESA-2026-1009' }]),
    ],
    ['osv/OESA-2026-1004.json', osv({ number: 1004, source: 'curl', fixed: '8.4.0-9.oe2403sp1' })],
    [
      'index/vulns.json',
      JSON.stringify([
        { id: 'GO-2026-1001', modified: '2026-10-02T00:00:00Z', aliases: [] },
        { id: 'GO-2026-1002', modified: '2026-10-03T00:00:00Z' },
        { id: 'GO-2026-1003', modified: '2026-10-03T00:00:00Z' },
      ]),
    ],
    ['ID/GO-2026-1001.json', go()],
    ['ID/GO-2026-1002.json', go({ id: 'GO-2026-1002', module: 'stdlib', events: [{ introduced: '0' }, { fixed: '1.22.4' }] })],
    ['ID/GO-2026-1003.json', go({ id: 'GO-2026-1003', withdrawn: '2026-10-04T00:00:00Z' })],
  ])
}

export async function advisoryServer(files: Map<string, Buffer | string> = everyDefect()): Promise<AdvisoryServer> {
  const asked: string[] = []
  const state = { failing: 0 }
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').slice(1)
    const held = files.get(path)
    if (state.failing > 0) {
      state.failing -= 1
      response.writeHead(503).end()
      return
    }
    const bytes = held === undefined ? undefined : Buffer.from(held)
    const etag = bytes === undefined ? '' : `"${digestOf(bytes)}"`
    const same = bytes !== undefined && request.headers['if-none-match'] === etag
    asked.push(same ? `${path}=` : path)
    if (bytes === undefined) response.writeHead(404).end('not here')
    else if (same) response.writeHead(304).end()
    else response.writeHead(200, { etag }).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    files,
    asked,
    get failing() {
      return state.failing
    },
    set failing(count) {
      state.failing = count
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
