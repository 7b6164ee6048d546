import { expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { inOrder } from '../../src/graph/order.ts'
import type { Task } from '../../src/graph/task.ts'
import { quick, run } from './rig.ts'

const ids = (tasks: readonly Task[]): readonly string[] => tasks.map((task) => task.id)
const refusal = (roots: readonly Task[]): RfoError => {
  try {
    inOrder(roots)
  } catch (thrown) {
    if (thrown instanceof RfoError) return thrown
  }
  throw new Error('not refused')
}

test('needs come first, each task once', () => {
  const base = quick('base')
  const left = quick('left', { needs: { base } })
  const right = quick('right', { needs: { base } })
  const root = quick('root', { needs: { left, right } })
  expect(ids(inOrder([root, left]))).toEqual(['base', 'left', 'right', 'root'])
})

test('a cycle is refused with the chain, and nothing runs', async () => {
  const needs: Record<string, Task> = {}
  const a = quick('a', { needs })
  const b = quick('b', { needs: { a } })
  needs.c = quick('c', { needs: { b } })
  const error = refusal([quick('root', { needs: { b } })])
  expect(error.code).toBe('RFO_GRAPH_CYCLE')
  expect(error.message).toBe('a task needs itself: b → a → c → b')
  await expect(run([b]).report).rejects.toMatchObject({ code: 'RFO_GRAPH_CYCLE' })
  expect(a.runs()).toBe(0)
})

test('two different tasks of one name are refused with both chains', () => {
  const one = quick('left', { needs: { x: quick('x', { key: 1 }) } })
  const two = quick('right', { needs: { x: quick('x', { key: 2 }) } })
  const error = refusal([quick('root', { needs: { one, two } })])
  expect(error.code).toBe('RFO_GRAPH_DUPLICATE')
  expect(error.details).toEqual(['root → left → x', 'root → right → x'])
})

test('a chain may be longer than the call stack', async () => {
  let last: Task = quick('0')
  for (let i = 1; i < 20_000; i++) last = quick(String(i), { needs: { last } })
  expect(inOrder([last])).toHaveLength(20_000)
  expect((await run([last]).report).ran).toBe(20_000)
})
