/** For CI logs and pipes: a line when a task starts, ends or fails, with [finished/all]. What was unchanged is counted, not listed. */
import type { Event } from '../graph/event.ts'
import { flush } from './flush.ts'
import { type Language, message } from './messages.ts'
import { printable } from './printable.ts'
import type { Renderer, RendererOptions } from './renderer.ts'

export function linesRenderer({ stderr, lang }: Pick<RendererOptions, 'stderr' | 'lang'>): Renderer {
  let tasks = 0
  let finished = 0
  const listener = (event: Event): void => {
    if (event.kind === 'run-started') tasks = event.tasks
    if (finishing.has(event.kind)) finished++
    const words = wordsFor(event, lang)
    if (words === undefined) return
    const count = String(finished).padStart(String(tasks).length)
    stderr.write(`[${count}/${tasks}] ${printable(words)}\n`)
  }
  return { listener, end: () => flush(stderr) }
}

const finishing: ReadonlySet<Event['kind']> = new Set<Event['kind']>(['task-done', 'task-cached', 'task-failed', 'task-skipped'])

function wordsFor(event: Event, lang: Language): string | undefined {
  switch (event.kind) {
    case 'task-started':
      return message(lang, 'started', { task: event.task })
    case 'task-done':
      return message(lang, 'done', { task: event.task })
    case 'task-failed': {
      const words = message(lang, 'failed', { task: event.task, code: event.code, message: event.message })
      return event.log === undefined ? words : `${words} (${message(lang, 'log', { path: event.log })})`
    }
    case 'task-skipped':
      return message(lang, 'skipped', {
        task: event.task,
        because: event.because === 'interrupted' ? message(lang, 'interrupted', {}) : event.because,
      })
    case 'note':
      return message(lang, 'note', { message: event.message })
    case 'run-ended':
      return message(lang, 'ended', { ...event, seconds: (event.at / 1000).toFixed(1) })
    case 'run-started':
    case 'task-waiting':
    case 'task-line':
    case 'task-cached':
      return undefined
  }
}
