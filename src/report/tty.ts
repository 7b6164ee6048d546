/**
 * For a terminal, drawn by listr2. It draws what it is told and drives nothing: its rows are stages, set twice a second
 * from the counts, never raw output; fed with every line it would cost more than the work that it shows. Loaded when
 * there is something to draw, so that `--version` and CI never pay for it.
 */
import { Writable } from 'node:stream'
import { styleText } from 'node:util'
import type { ListrTaskWrapper } from 'listr2'
import type { Event } from '../graph/event.ts'
import { flush } from './flush.ts'
import { follow, newProgress, type Progress, type Stage } from './progress.ts'
import type { Renderer, RendererOptions } from './renderer.ts'
import { allDone, nowRows, rowsFor, stageTitle } from './tty-rows.ts'

/** Milliseconds between two drawings. */
const interval = 500

interface Drawing {
  /** Sets the rows to the progress; `last` ends them. */
  draw(last: boolean): void
  readonly drawn: Promise<unknown>
}

export function ttyRenderer(options: RendererOptions): Renderer {
  const progress = newProgress()
  let drawing: Promise<Drawing> | undefined
  let timer: NodeJS.Timeout | undefined
  const listener = (event: Event): void => {
    follow(progress, event)
    // by now every task has been named as waiting, hence every stage is known: listr2 takes no rows later on
    if (drawing !== undefined || event.kind === 'run-started' || event.kind === 'task-waiting') return
    drawing = begin(progress, options)
    drawing.then(
      (it) => {
        timer = setInterval(() => it.draw(false), interval)
        timer.unref()
        it.draw(false)
      },
      () => {}, // end() awaits the same promise and throws
    )
  }
  const end = async (): Promise<void> => {
    const it = await drawing
    clearInterval(timer)
    it?.draw(true)
    await it?.drawn
    await flush(options.stderr)
  }
  return { listener, end }
}

async function begin(progress: Progress, options: RendererOptions): Promise<Drawing> {
  const { DefaultRenderer, Listr, ListrLogger, ProcessOutput } = await import('listr2')
  /** listr2 asks whether stdout is a terminal; ours is stderr, and stdout may well be a file. */
  class StderrRenderer extends DefaultRenderer {
    static override nonTTY = true
  }
  const output = new ProcessOutput(options.stderr as NodeJS.WriteStream, discard() as unknown as NodeJS.WriteStream)
  const rows = rowsFor(progress, options).map((stages) => new Row(stages, stageTitle(stages, options.lang)))
  const now = new Row([], nowRows(progress, rows.length, options).title)
  const list = new Listr(
    [...rows, now].map((row) => ({
      title: row.title,
      rendererOptions: { persistentOutput: row === now },
      task: (_: unknown, it: ListrTaskWrapper<unknown, typeof StderrRenderer, never>) => row.show(it),
    })),
    {
      concurrent: true,
      exitOnError: false,
      registerSignalListeners: false,
      renderer: StderrRenderer,
      rendererOptions: {
        lazy: true,
        formatOutput: 'truncate',
        showErrorMessage: false,
        showSkipMessage: false,
        logger: new ListrLogger({ processOutput: output, useIcons: true, toStderr: [] }),
        color: colors(options.env),
      },
    },
  )
  const drawn = list.run()
  drawn.catch(() => {}) // awaited by end()
  return {
    drawn,
    draw(last) {
      for (const row of rows) {
        row.set(stageTitle(row.stages, options.lang), '')
        if (last || row.stages.every(allDone)) row.end(verdict(row.stages))
      }
      const { title, lines } = nowRows(progress, rows.length, options)
      now.set(title, lines.join('\n'))
      if (last) now.end(progress.ended === undefined || progress.failures.length > 0 ? 'failed' : 'done')
    },
  }
}

/** All said here: left alone, listr2 asks its own environment, and stdout, which is not where it draws. */
function colors(env: RendererOptions['env']): Record<string, (text?: string) => string> {
  const styles = { PENDING: 'yellow', COMPLETED: 'green', FAILED: 'red', SKIPPED_WITH_COLLAPSE: 'yellow', OUTPUT: 'dim' } as const
  const noColor = env.NO_COLOR !== undefined && env.NO_COLOR !== ''
  return Object.fromEntries(
    Object.entries(styles).map(([state, style]) => [
      state,
      (text = '') => (noColor ? text : styleText(style, text, { validateStream: false })),
    ]),
  )
}

type Verdict = 'done' | 'failed' | 'skipped'

function verdict(stages: readonly Stage[]): Verdict {
  if (stages.some((stage) => stage.failed > 0)) return 'failed'
  return stages.some((stage) => stage.skipped > 0 || !allDone(stage)) ? 'skipped' : 'done'
}

/** One row of listr2, held open until it is ended. Setting what it shows already costs nothing. */
class Row {
  readonly stages: readonly Stage[]
  title: string
  #task: ListrTaskWrapper<unknown, never, never> | undefined
  #output = ''
  readonly #ended = Promise.withResolvers<Verdict>()

  constructor(stages: readonly Stage[], title: string) {
    this.stages = stages
    this.title = title
  }

  async show(task: unknown): Promise<void> {
    this.#task = task as ListrTaskWrapper<unknown, never, never>
    const verdict = await this.#ended.promise
    if (verdict === 'failed') throw new Error(this.title)
    if (verdict === 'skipped') this.#task.skip()
  }

  set(title: string, output: string): void {
    if (this.#task === undefined) return
    if (output !== this.#output) {
      this.#output = output
      this.#task.output = output
    }
    if (title !== this.title) {
      this.title = title
      this.#task.title = title
    }
  }

  end(verdict: Verdict): void {
    this.#ended.resolve(verdict)
  }
}

/** listr2 takes two streams over; the other one is nobody's. */
function discard(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}
