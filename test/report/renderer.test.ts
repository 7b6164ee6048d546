import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Event } from '../../src/graph/event.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type EventLine, eventJsonSchema, eventSchema } from '../../src/report/event-schema.ts'
import type { Language } from '../../src/report/messages.ts'
import { type ProgressKind, renderer } from '../../src/report/renderer.ts'

const digest = digestOf('x')
const walk: readonly Event[] = [
  { kind: 'run-started', tasks: 11, at: 0 },
  { kind: 'task-waiting', task: 'source/coredns', at: 0 },
  { kind: 'task-cached', task: 'source/coredns', digest, at: 1 },
  { kind: 'task-started', task: 'image/coredns/linux/amd64', at: 2, log: '.rfo/logs/image__coredns__linux__amd64.log' },
  { kind: 'task-line', task: 'image/coredns/linux/amd64', line: 'go: downloading https://u:p@example.org/x', at: 3 },
  { kind: 'task-done', task: 'image/coredns/linux/amd64', digest, at: 1500 },
  { kind: 'task-started', task: 'image/etcd/linux/arm64', at: 1500 },
  { kind: 'note', message: 'etcd is slow', at: 1600 },
  {
    kind: 'task-failed',
    task: 'image/etcd/linux/arm64',
    code: 'RFO_BUILD_GO',
    message: 'it ended\n::error::with hunter2',
    at: 2000,
    log: 'x.log',
  },
  { kind: 'task-skipped', task: 'index/etcd', because: 'image/etcd/linux/arm64', at: 2000 },
  { kind: 'task-skipped', task: 'release', because: 'interrupted', at: 2000 },
  { kind: 'run-ended', done: 1, cached: 1, failed: 1, skipped: 2, at: 2345 },
]

async function render(
  kind: ProgressKind,
  more: { readonly lang?: Language; readonly isTTY?: boolean; readonly env?: Record<string, string> } = {},
): Promise<string> {
  const stderr = new PassThrough()
  const { listener, end } = renderer(kind, {
    stderr,
    isTTY: false,
    columns: 80,
    rows: 24,
    env: {},
    lang: 'en',
    secrets: ['hunter2'],
    ...more,
  })
  for (const event of walk) listener(event)
  const written = text(stderr)
  await end()
  stderr.end()
  return await written
}

test('lines', async () => {
  expect(await render('lines')).toMatchInlineSnapshot(`
    "[ 1/11] started image/coredns/linux/amd64
    [ 2/11] done    image/coredns/linux/amd64
    [ 2/11] started image/etcd/linux/arm64
    [ 2/11] note: etcd is slow
    [ 3/11] FAILED  image/etcd/linux/arm64: RFO_BUILD_GO: it ended ::error::with *** (log: x.log)
    [ 4/11] skipped index/etcd because of image/etcd/linux/arm64
    [ 5/11] skipped release because of interruption
    [ 5/11] ended after 2.3 s: 1 done, 1 unchanged, 1 failed, 2 skipped
    "
  `)
})

test('lines in Chinese', async () => {
  expect(await render('lines', { lang: 'zh' })).toMatchInlineSnapshot(`
    "[ 1/11] 开始 image/coredns/linux/amd64
    [ 2/11] 完成 image/coredns/linux/amd64
    [ 2/11] 开始 image/etcd/linux/arm64
    [ 2/11] 提示：etcd is slow
    [ 3/11] 失败 image/etcd/linux/arm64：RFO_BUILD_GO：it ended ::error::with *** (日志：x.log)
    [ 4/11] 跳过 index/etcd，原因：image/etcd/linux/arm64
    [ 5/11] 跳过 release，原因：中断
    [ 5/11] 用时 2.3 秒：完成 1，未变 1，失败 1，跳过 2
    "
  `)
})

test('json', async () => {
  expect(await render('json')).toMatchInlineSnapshot(`
    "{"schema":"rfo-build.event/1","kind":"run-started","tasks":11,"at":0}
    {"schema":"rfo-build.event/1","kind":"task-waiting","task":"source/coredns","at":0}
    {"schema":"rfo-build.event/1","kind":"task-cached","task":"source/coredns","digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","at":1}
    {"schema":"rfo-build.event/1","kind":"task-started","task":"image/coredns/linux/amd64","at":2,"log":".rfo/logs/image__coredns__linux__amd64.log"}
    {"schema":"rfo-build.event/1","kind":"task-line","task":"image/coredns/linux/amd64","line":"go: downloading https://***@example.org/x","at":3}
    {"schema":"rfo-build.event/1","kind":"task-done","task":"image/coredns/linux/amd64","digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","at":1500}
    {"schema":"rfo-build.event/1","kind":"task-started","task":"image/etcd/linux/arm64","at":1500}
    {"schema":"rfo-build.event/1","kind":"note","message":"etcd is slow","at":1600}
    {"schema":"rfo-build.event/1","kind":"task-failed","task":"image/etcd/linux/arm64","code":"RFO_BUILD_GO","message":"it ended\\n::error::with ***","at":2000,"log":"x.log"}
    {"schema":"rfo-build.event/1","kind":"task-skipped","task":"index/etcd","because":"image/etcd/linux/arm64","at":2000}
    {"schema":"rfo-build.event/1","kind":"task-skipped","task":"release","because":"interrupted","at":2000}
    {"schema":"rfo-build.event/1","kind":"run-ended","done":1,"cached":1,"failed":1,"skipped":2,"at":2345}
    "
  `)
})

test('json lines are what the published schema says', async () => {
  const lines = (await render('json', { lang: 'zh' })).trimEnd().split('\n')
  expect(lines).toHaveLength(walk.length)
  for (const line of lines) eventSchema.parse(JSON.parse(line))
  expect(eventSchema.safeParse({ schema: 'rfo-build.event/1', kind: 'note', message: 'x', at: 0, more: 1 }).success).toBe(false)
})

test('the schema is the engine’s own union', () => {
  type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
  type Loose<E> = E extends unknown ? { [Key in keyof E]: Key extends 'digest' ? string : E[Key] } : never
  type Named = Event extends infer E
    ? E extends Event
      ? { readonly [Key in keyof E]: E[Key] } & { readonly schema: 'rfo-build.event/1' }
      : never
    : never
  const kinds: Same<Named['kind'], EventLine['kind']> = true
  const fits: Loose<Named> extends infer L ? ([L] extends [Readonly<EventLine>] ? true : false) : false = true
  expect([kinds, fits]).toEqual([true, true])
})

test('docs/schema/event.schema.json is fresh (renew it with vitest -u)', async () => {
  await expect(eventJsonSchema()).toMatchFileSnapshot('../../docs/schema/event.schema.json')
})

test('none says nothing; auto is lines unless a person watches', async () => {
  expect(await render('none')).toBe('')
  const lines = await render('lines')
  expect(await render('auto')).toBe(lines)
  expect(await render('auto', { isTTY: true, env: { CI: 'true' } })).toBe(lines)
  expect(await render('auto', { isTTY: true, env: { TERM: 'dumb' } })).toBe(lines)
  expect(await render('auto', { isTTY: true })).not.toBe(lines)
})
