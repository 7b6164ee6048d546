/** What the terminal's rows say, and how many there may be. Pure: progress in, text out. */
import { message } from './messages.ts'
import { printable } from './printable.ts'
import type { Progress, Stage } from './progress.ts'
import type { RendererOptions } from './renderer.ts'

type Screen = Pick<RendererOptions, 'stderr' | 'rows' | 'lang'>

/** Left for the prompt, the command and what others print. */
const spareRows = 4
/** Rows at the end that tell what runs and what failed; stages share rows rather than take these. */
const leastNowRows = 3

export function allDone(stage: Stage): boolean {
  return stage.finished >= stage.tasks
}

function budget(screen: Screen): number {
  const rows = (screen.stderr as { readonly rows?: number }).rows ?? screen.rows
  return Math.max(leastNowRows + 1, rows - spareRows)
}

/** One row per stage; when the terminal is too low for that, the last row holds all the stages that are left. */
export function rowsFor(progress: Progress, screen: Screen): readonly (readonly Stage[])[] {
  const stages = [...progress.stages.values()]
  const room = budget(screen) - leastNowRows
  if (stages.length <= room) return stages.map((stage) => [stage])
  return [...stages.slice(0, room - 1).map((stage) => [stage]), stages.slice(room - 1)]
}

export function stageTitle(stages: readonly Stage[], lang: Screen['lang']): string {
  const [first] = stages
  const sum = (field: 'tasks' | 'finished' | 'failed'): number => stages.reduce((total, stage) => total + stage[field], 0)
  const name = printable(stages.length === 1 && first !== undefined ? first.name : `${first?.name}, … (${stages.length})`)
  const values = { stage: name, finished: sum('finished'), tasks: sum('tasks') }
  return sum('failed') === 0 ? message(lang, 'stage', values) : message(lang, 'stageFailed', { ...values, failed: sum('failed') })
}

/** The last row and the lines under it: failures first, they matter most, then what has been running longest. */
export function nowRows(
  progress: Progress,
  stageRows: number,
  screen: Screen,
): { readonly title: string; readonly lines: readonly string[] } {
  const { ended, failures, running } = progress
  const title =
    ended === undefined
      ? nowTitle(progress, screen.lang)
      : message(screen.lang, 'ended', { ...ended, seconds: (ended.at / 1000).toFixed(1) })
  const lines = [
    ...failures.map(({ task, code, message: what, log }) => {
      const where = log === undefined ? '' : ` (${message(screen.lang, 'log', { path: log })})`
      return message(screen.lang, 'failed', { task, code, message: what }) + where
    }),
    ...(ended === undefined ? [...running].map(([task, line]) => (line === '' ? task : `${task}: ${line}`)) : []),
    ...progress.notes.slice(-1).map((note) => message(screen.lang, 'note', { message: note })),
  ].map(printable)
  const room = budget(screen) - stageRows - 1
  if (lines.length <= room) return { title, lines }
  return { title, lines: [...lines.slice(0, room - 1), message(screen.lang, 'more', { count: lines.length - room + 1 })] }
}

function nowTitle(progress: Progress, lang: Screen['lang']): string {
  const stages = [...progress.stages.values()]
  const finished = stages.reduce((total, stage) => total + stage.finished, 0)
  const tasks = stages.reduce((total, stage) => total + stage.tasks, 0)
  return `${message(lang, 'total', { finished, tasks })} · ${message(lang, 'running', { count: progress.running.size })}`
}
