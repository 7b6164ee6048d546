/** What a run looks like at one moment: counts per stage, what runs now, what failed. Fed by events; drawn by others. */
import type { Event } from '../graph/event.ts'

export interface Stage {
  /** First path segment of its tasks' ids. */
  readonly name: string
  tasks: number
  finished: number
  failed: number
  skipped: number
}

export interface Progress {
  /** In the order in which the engine names their first tasks. */
  readonly stages: Map<string, Stage>
  /** Task → its last line; what has been running longest comes first. */
  readonly running: Map<string, string>
  readonly failures: { readonly task: string; readonly code: string; readonly message: string; readonly log: string | undefined }[]
  readonly notes: string[]
  ended: Extract<Event, { kind: 'run-ended' }> | undefined
}

export function newProgress(): Progress {
  return { stages: new Map(), running: new Map(), failures: [], notes: [], ended: undefined }
}

export function stageOf(task: string): string {
  const slash = task.indexOf('/')
  return slash === -1 ? task : task.slice(0, slash)
}

/** Takes one event in. */
export function follow(progress: Progress, event: Event): void {
  switch (event.kind) {
    case 'task-waiting':
      stage(progress, event.task).tasks++
      return
    case 'task-started':
      progress.running.set(event.task, '')
      return
    case 'task-line':
      if (progress.running.has(event.task)) progress.running.set(event.task, event.line)
      return
    case 'task-failed':
      progress.failures.push({ task: event.task, code: event.code, message: event.message, log: event.log })
      stage(progress, event.task).failed++
      finish(progress, event.task)
      return
    case 'task-skipped':
      stage(progress, event.task).skipped++
      finish(progress, event.task)
      return
    case 'task-cached':
    case 'task-done':
      finish(progress, event.task)
      return
    case 'note':
      progress.notes.push(event.message)
      return
    case 'run-ended':
      progress.ended = event
      return
    case 'run-started':
      return
  }
}

function stage(progress: Progress, task: string): Stage {
  const name = stageOf(task)
  const known = progress.stages.get(name)
  if (known !== undefined) return known
  const fresh: Stage = { name, tasks: 0, finished: 0, failed: 0, skipped: 0 }
  progress.stages.set(name, fresh)
  return fresh
}

function finish(progress: Progress, task: string): void {
  progress.running.delete(task)
  stage(progress, task).finished++
}
