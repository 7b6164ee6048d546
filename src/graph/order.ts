/** The order of a graph: every task once, after its needs. A graph that has none is refused with the chain that shows it. */
import { RfoError } from '../error.ts'
import type { Task } from './task.ts'

interface Step {
  readonly task: Task
  readonly needs: readonly Task[]
  next: number
}

/**
 * The tasks that the roots need and the roots, needs first; the same graph gives the same order. Throws RFO_GRAPH_CYCLE,
 * and RFO_GRAPH_DUPLICATE when two different tasks carry one id. Iterative: a chain may be longer than the call stack.
 */
export function inOrder(roots: readonly Task[]): readonly Task[] {
  const order: Task[] = []
  const met = new Map<string, { readonly task: Task; readonly chain: () => string }>()
  const open = new Set<string>()
  const stack: Step[] = []
  const enter = (task: Task): void => {
    const known = met.get(task.id)
    if (known !== undefined && known.task !== task) throw duplicate(task.id, known.chain(), chainOf(stack, task))
    if (open.has(task.id)) throw cycle(stack, task)
    if (known !== undefined) return
    const parents = stack.at(-1)?.task.id
    met.set(task.id, { task, chain: () => (parents === undefined ? task.id : `${met.get(parents)?.chain()} → ${task.id}`) })
    open.add(task.id)
    stack.push({ task, needs: Object.values(task.needs), next: 0 })
  }
  for (const root of roots) {
    enter(root)
    for (let step = stack.at(-1); step !== undefined; step = stack.at(-1)) {
      const need = step.needs[step.next++]
      if (need !== undefined) enter(need)
      else {
        stack.pop()
        open.delete(step.task.id)
        order.push(step.task)
      }
    }
  }
  return order
}

function chainOf(stack: readonly Step[], last: Task): string {
  return [...stack.map((step) => step.task.id), last.id].join(' → ')
}

function cycle(stack: readonly Step[], again: Task): RfoError {
  const from = stack.findIndex((step) => step.task === again)
  return new RfoError('RFO_GRAPH_CYCLE', `a task needs itself: ${chainOf(stack.slice(from), again)}`, { exit: 'bug' })
}

function duplicate(id: string, first: string, second: string): RfoError {
  return new RfoError('RFO_GRAPH_DUPLICATE', `two tasks are called ${id}`, { exit: 'bug', details: [first, second] })
}
