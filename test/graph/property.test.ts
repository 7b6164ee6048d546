/** Random graphs, random shuffles, random failures: what holds of every run. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import type { FailureMode } from '../../src/graph/execute.ts'
import { inOrder } from '../../src/graph/order.ts'
import type { Lane, Task } from '../../src/graph/task.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import { content, memoryResults, run } from './rig.ts'

interface Node {
  readonly needs: readonly number[]
  readonly lane: Lane
  /** Turns of the microtask queue that it takes. */
  readonly turns: number
  readonly fails: boolean
}

/** Node i may need only nodes before it: every such graph is acyclic, and every acyclic graph is one of these. */
const graphs = (failing: boolean) =>
  fc
    .array(
      fc.record({
        picks: fc.array(fc.nat(), { maxLength: 4 }),
        lane: fc.constantFrom<Lane>('cpu', 'network', 'cluster'),
        turns: fc.nat(5),
        fails: failing ? fc.boolean() : fc.constant(false),
      }),
      { minLength: 1, maxLength: 30 },
    )
    .map((rows): readonly Node[] =>
      rows.map(({ picks, ...row }, i) => ({ ...row, needs: i === 0 ? [] : [...new Set(picks.map((pick) => pick % i))] })),
    )

const lanes = { cpu: 2, network: 3, cluster: 1 }

function build(nodes: readonly Node[], order: (needs: readonly number[]) => readonly number[]) {
  const ended = new Set<number>()
  const runs = new Map<number, number>()
  const wrong: string[] = []
  const busy = { cpu: 0, network: 0, cluster: 0 }
  const tasks: Task[] = []
  nodes.forEach((node, i) => {
    const needs = Object.fromEntries(order(node.needs).map((need) => [`need${need}`, tasks[need] as Task]))
    tasks.push({
      id: `t${i}`,
      needs,
      key: i,
      lane: node.lane,
      async run(inputs) {
        runs.set(i, (runs.get(i) ?? 0) + 1)
        if (!node.needs.every((need) => ended.has(need))) wrong.push(`t${i} ran before its needs`)
        if (++busy[node.lane] > lanes[node.lane]) wrong.push(`lane ${node.lane} has ${busy[node.lane]}`)
        for (let turn = 0; turn < node.turns; turn++) await Promise.resolve()
        busy[node.lane]--
        if (node.fails) throw new RfoError('RFO_TEST_BAD', `t${i}`, { exit: 'build' })
        ended.add(i)
        return made(i, inputs)
      },
    })
  })
  return { tasks, runs, wrong }
}

function made(i: number, inputs: Readonly<Record<string, Descriptor>>): Descriptor {
  return content(canonicalJson({ i, from: Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.digest])) }))
}

/** The same graph, one after the other, without the engine. */
async function sequential(tasks: readonly Task[]): Promise<Map<string, Descriptor>> {
  const results = new Map<string, Descriptor>()
  for (const task of inOrder(tasks)) {
    const inputs = Object.fromEntries(Object.entries(task.needs).map(([name, need]) => [name, results.get(need.id) as Descriptor]))
    results.set(task.id, await task.run(inputs, { signal: new AbortController().signal, log: () => {} }))
  }
  return results
}

test('every task runs at most once, after its needs, within its lane; results equal a sequential run, however needs and roots are shuffled', async () => {
  await fc.assert(
    fc.asyncProperty(graphs(false), fc.infiniteStream(fc.nat()), async (nodes, random) => {
      const shuffle = <T>(list: readonly T[]): readonly T[] =>
        list
          .map((item) => ({ item, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ item }) => item)
      const { tasks, runs, wrong } = build(nodes, shuffle)
      const results = memoryResults()
      const report = await run(shuffle(tasks), { lanes, results }).report
      expect(wrong).toEqual([])
      expect([...runs.values()].every((count) => count === 1)).toBe(true)
      const plain = await sequential(build(nodes, (needs) => needs).tasks)
      expect(new Map([...report.results].sort())).toEqual(new Map([...plain].sort()))
      const again = build(nodes, shuffle)
      expect(await run(again.tasks, { lanes, results }).report).toMatchObject({ ran: 0, cached: nodes.length })
    }),
    { numRuns: 150 },
  )
})

test('with failures, in every mode: each task is counted once, nothing runs after a failed need, and what is skipped has a cause that failed', async () => {
  await fc.assert(
    fc.asyncProperty(graphs(true), fc.constantFrom<FailureMode>('finish', 'stop', 'kill'), async (nodes, failureMode) => {
      const { tasks, runs, wrong } = build(nodes, (needs) => needs)
      const { report, events } = run(tasks, { lanes, failureMode })
      const { results, failures, ran, cached, skipped } = await report
      expect(wrong).toEqual([])
      expect([...runs.values()].every((count) => count === 1)).toBe(true)
      expect(ran + cached + failures.length + skipped).toBe(nodes.length)
      expect(results.size).toBe(ran + cached)
      const failed = failures.map(({ task }) => task)
      expect(failed).toEqual(events.filter((event) => event.kind === 'task-failed').map((event) => event.task))
      for (const event of events) if (event.kind === 'task-skipped') expect(failed).toContain(event.because)
      if (failureMode === 'finish') {
        const lost = new Set<number>()
        nodes.forEach((node, i) => {
          if (node.fails || node.needs.some((need) => lost.has(need))) lost.add(i)
        })
        expect([...results.keys()].sort()).toEqual(nodes.flatMap((_, i) => (lost.has(i) ? [] : [`t${i}`])).sort())
      }
    }),
    { numRuns: 150 },
  )
})
