import { describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import type { Task } from '../../src/graph/task.ts'
import { content, held, memoryResults, quick, run, settled } from './rig.ts'

const broken = (word: string): RfoError => new RfoError(`RFO_TEST_${word}`, `it is ${word}`, { exit: 'build' })

describe('order', () => {
  test('a diamond runs its base once, and the inputs are named', async () => {
    const log: string[] = []
    const base = quick('base', { log })
    const left = quick('left', { needs: { base }, log })
    const right = quick('right', { needs: { base }, log })
    const root = quick('root', { needs: { left, right }, log })
    const { report } = run([root])
    const { results, ran, cached, skipped, failures } = await report
    expect(log).toEqual(['base', 'left', 'right', 'root'])
    expect({ ran, cached, skipped, failures }).toEqual({ ran: 4, cached: 0, skipped: 0, failures: [] })
    expect([...results.keys()].sort()).toEqual(['base', 'left', 'right', 'root'])
  })

  test('a slot is free while a task waits for its needs', async () => {
    const base = held('base', { lane: 'network' })
    const waiting = quick('waiting', { needs: { base } })
    const other = held('other')
    const { report } = run([waiting, other], { lanes: { cpu: 1, network: 1, cluster: 1 } })
    await other.started
    base.end()
    other.end()
    expect((await report).ran).toBe(3)
  })

  test('lanes are bounded, each by its own number', async () => {
    const tasks = [1, 2, 3, 4].map((n) => held(`cpu${n}`))
    const fetch = held('fetch', { lane: 'network' })
    const { report } = run([...tasks, fetch])
    await fetch.started
    await settled()
    expect(tasks.map((task) => task.runs())).toEqual([1, 1, 0, 0])
    tasks[1]?.end()
    await tasks[2]?.started
    await settled()
    expect(tasks.map((task) => task.runs())).toEqual([1, 1, 1, 0])
    for (const task of [...tasks, fetch]) task.end()
    expect((await report).ran).toBe(5)
  })
})

describe('recall', () => {
  test('the second run runs nothing', async () => {
    const results = memoryResults()
    const graph = () => quick('root', { needs: { base: quick('base') } })
    const first = await run([graph()], { results }).report
    const again = await run([graph()], { results }).report
    expect(again).toEqual({ ...first, ran: 0, cached: 2 })
  })

  test('early cut-off: what changed and came out the same stops the change there', async () => {
    const results = memoryResults()
    const graph = (note: string) => {
      const base = quick('base', { key: note, gives: 'the same bytes' })
      const image = quick('image', { needs: { base } })
      return { base, image, root: quick('root', { needs: { image } }) }
    }
    await run([graph('one').root], { results }).report
    const second = graph('two')
    expect(await run([second.root], { results }).report).toMatchObject({ ran: 1, cached: 2 })
    expect([second.base.runs(), second.image.runs(), second.root.runs()]).toEqual([1, 0, 0])
  })

  test('a renamed task keeps its result', async () => {
    const results = memoryResults()
    await run([quick('old', { key: 'k' })], { results }).report
    expect(await run([quick('new', { key: 'k' })], { results }).report).toMatchObject({ ran: 0, cached: 1 })
  })

  test('two tasks of one fingerprint run once, even at the same time', async () => {
    const one = held('one', { key: 'k' })
    const two = held('two', { key: 'k' })
    const { report } = run([one, two])
    await one.started
    await settled()
    one.end()
    expect(await report).toMatchObject({ ran: 1, cached: 1 })
    expect(two.runs()).toBe(0)
  })

  test('an effect runs every time and is not recorded', async () => {
    const results = memoryResults()
    const publish = quick('publish', { effect: true })
    await run([publish], { results }).report
    await run([publish], { results }).report
    expect(publish.runs()).toBe(2)
    expect(results.known.size).toBe(0)
  })

  test('only the content of a result goes on: a recalled one could not say more', async () => {
    const seen: object[] = []
    const base: Task = { ...quick('base'), run: async () => ({ ...content('x'), annotations: { a: 'b' } }) }
    const root: Task = {
      ...quick('root', { needs: { base } }),
      async run(inputs) {
        seen.push({ ...inputs.base })
        return content('y')
      },
    }
    await run([root]).report
    expect(seen).toEqual([content('x')])
  })

  test('a store that fails fails the task, not the run', async () => {
    const full = new RfoError('RFO_CONTENT_FULL', 'no space left', { exit: 'machine' })
    const results = { ...memoryResults(), record: () => Promise.reject(full) }
    const { failures, skipped } = await run([quick('root', { needs: { base: quick('base') } })], { results }).report
    expect(failures.map(({ task, error }) => [task, error.code, error.where])).toEqual([['base', 'RFO_CONTENT_FULL', 'base']])
    expect(skipped).toBe(1)
  })
})

describe('failure', () => {
  /** bad and good run at once; next waits for the slot; after needs bad; beside needs good. */
  const graph = (killable = true) => {
    const bad = held('bad')
    const good = held('good', { killable })
    const next = quick('next', { lane: 'network' })
    const after = quick('after', { needs: { bad } })
    const beside = quick('beside', { needs: { good, next } })
    return { bad, good, next, after, beside, roots: [after, beside, quick('root', { needs: { after, beside } })] }
  }

  test('finish: all that does not depend on the failure still runs', async () => {
    const { bad, good, beside, roots } = graph()
    const { report, events } = run(roots, { failureMode: 'finish' })
    await good.started
    bad.fail(broken('BAD'))
    await settled()
    good.end()
    expect(await report).toMatchObject({ ran: 3, skipped: 2, failures: [{ task: 'bad' }] })
    expect(beside.runs()).toBe(1)
    expect(events.filter((event) => event.kind === 'task-skipped').map((event) => [event.task, event.because])).toEqual([
      ['after', 'bad'],
      ['root', 'bad'],
    ])
  })

  test('stop: nothing new starts, what runs may end and is recorded', async () => {
    const { bad, good, beside, roots } = graph()
    const results = memoryResults()
    const { report } = run(roots, { failureMode: 'stop', results })
    await good.started
    await settled()
    bad.fail(broken('BAD'))
    await settled()
    good.end()
    expect(await report).toMatchObject({ ran: 2, skipped: 3, failures: [{ task: 'bad' }] })
    expect(beside.runs()).toBe(0)
    expect([...results.known.values()]).toContainEqual(content('good'))
  })

  test('kill: what runs is aborted, and is no failure of its own', async () => {
    const { bad, good, roots } = graph()
    const { report, events } = run(roots, { failureMode: 'kill' })
    await good.started
    await settled()
    bad.fail(broken('BAD'))
    expect(await report).toMatchObject({ ran: 1, skipped: 4, failures: [{ task: 'bad', error: { code: 'RFO_TEST_BAD' } }] })
    expect(events.filter((event) => event.kind === 'task-skipped').every((event) => event.because === 'bad')).toBe(true)
  })

  test('kill: a finding of a task that was being killed is kept', async () => {
    const bad = held('bad')
    const tampered = held('tampered', { killable: false })
    const cut = held('cut', { killable: false, lane: 'network' })
    const { report } = run([bad, tampered, cut], { failureMode: 'kill' })
    await Promise.all([bad.started, tampered.started, cut.started])
    bad.fail(broken('BAD'))
    await settled()
    tampered.fail(new RfoError('RFO_TEST_TAMPERED', 'not what was signed', { exit: 'untrusted' }))
    cut.fail(new RfoError('RFO_TEST_CUT', 'copy failed', { exit: 'outside', cause: new DOMException('aborted', 'AbortError') }))
    const { failures, skipped } = await report
    expect(failures.map(({ task }) => task)).toEqual(['bad', 'tampered'])
    expect(skipped).toBe(1)
  })

  test('several failures are in the order in which they happened, and a dependant names the first', async () => {
    const one = held('one')
    const two = held('two')
    const { report, events } = run([quick('root', { needs: { one, two } })])
    await Promise.all([one.started, two.started])
    two.fail(broken('TWO'))
    await settled()
    one.fail(new Error('not even coded'))
    const { failures } = await report
    expect(failures.map(({ task, error }) => [task, error.code])).toEqual([
      ['two', 'RFO_TEST_TWO'],
      ['one', 'RFO_MAIN_BUG'],
    ])
    expect(events.find((event) => event.kind === 'task-skipped')).toMatchObject({ task: 'root', because: 'two' })
  })

  test('a task that throws at once, and a key that has no canonical form, are failures too', async () => {
    const hasty: Task = {
      ...quick('hasty'),
      run() {
        throw broken('HASTY')
      },
    }
    const { failures } = await run([hasty, quick('keyless', { key: 0.5 })]).report
    expect(failures.map(({ task }) => task).sort()).toEqual(['hasty', 'keyless'])
  })

  test('a listener that throws ends nothing, and is told at the end', async () => {
    const root = quick('root', { needs: { base: quick('base') } })
    const { report } = run([root], {
      listener() {
        throw new Error('deaf')
      },
    })
    await expect(report).rejects.toThrow('deaf')
    expect(root.runs()).toBe(1)
  })
})

describe('abort from outside', () => {
  test('starts nothing new, aborts what runs, and rejects when it has ended', async () => {
    const abort = new AbortController()
    const stubborn = held('stubborn', { killable: false })
    const killed = held('killed')
    const never = quick('never', { needs: { stubborn } })
    const { report, events } = run([never, killed, held('queued')], { signal: abort.signal })
    let ended = false
    const over = report.finally(() => {
      ended = true
    })
    over.catch(() => {})
    await Promise.all([stubborn.started, killed.started])
    const reason = new Error('SIGINT')
    abort.abort(reason)
    await settled()
    expect(ended).toBe(false)
    stubborn.end()
    await expect(over).rejects.toBe(reason)
    expect(never.runs()).toBe(0)
    expect(events.at(-1)).toMatchObject({ kind: 'run-ended', done: 1, failed: 0, skipped: 3 })
  })

  test('before the start: nothing is told and nothing runs', async () => {
    const root = quick('root')
    const { report, events } = run([root], { signal: AbortSignal.abort(new Error('early')) })
    await expect(report).rejects.toThrow('early')
    expect([root.runs(), events]).toEqual([0, []])
  })
})

describe('logs', () => {
  test('each run of a task has a log, closed before it is done; a failure ends it', async () => {
    const said: string[] = []
    const logs = {
      open: (id: string) => ({
        path: `/logs/${id}`,
        line: (text: string) => said.push(`${id}: ${text}`),
        close: async () => void said.push(`${id} closed`),
      }),
    }
    const talk: Task = {
      ...quick('talk'),
      async run(_inputs, at) {
        at.log('hello')
        return content('talk')
      },
    }
    const bad = held('bad', { needs: { talk } })
    bad.fail(broken('BAD'))
    const { report, events } = run([bad], { logs })
    await report
    expect(said).toEqual(['talk: hello', 'talk closed', 'bad: RFO_TEST_BAD: it is BAD', 'bad closed'])
    expect(events).toContainEqual(expect.objectContaining({ kind: 'task-line', task: 'talk', line: 'hello' }))
    expect(events).toContainEqual(expect.objectContaining({ kind: 'task-failed', task: 'bad', log: '/logs/bad' }))
  })
})

test('the events of a small run', async () => {
  const { events, report } = run([quick('root', { needs: { base: quick('base') } })])
  await report
  expect(events.map((event) => ('task' in event ? `${event.kind} ${event.task}` : event.kind))).toEqual([
    'run-started',
    'task-waiting base',
    'task-waiting root',
    'task-started base',
    'task-done base',
    'task-started root',
    'task-done root',
    'run-ended',
  ])
})
