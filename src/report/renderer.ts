/** Who listens to the engine: a terminal, a CI log, a program, or nobody. All of them write to stderr alone. */
import type { Event, Listener } from '../graph/event.ts'
import { jsonRenderer } from './json.ts'
import { linesRenderer } from './lines.ts'
import type { Language } from './messages.ts'
import { redact } from './redact.ts'
import { ttyRenderer } from './tty.ts'

export type ProgressKind = 'auto' | 'tty' | 'lines' | 'json' | 'none'

export interface RendererOptions {
  readonly stderr: NodeJS.WritableStream
  readonly isTTY: boolean
  /** Size of the terminal in characters. The stream's own, where it has one, wins: a window may be resized. */
  readonly columns: number
  readonly rows: number
  /** NO_COLOR (https://no-color.org), CI and TERM are read. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly lang: Language
  /** Never shown, whatever a task says. */
  readonly secrets?: readonly string[]
}

export interface Renderer {
  readonly listener: Listener
  /** After the run: draws what is left and resolves when it has been handed to the stream. Nothing may be told after it. */
  end(): Promise<void>
}

export function renderer(kind: ProgressKind, options: RendererOptions): Renderer {
  const chosen = choose(kind, options)
  const { secrets } = options
  return { listener: (event) => chosen.listener(redacted(event, secrets ?? [])), end: () => chosen.end() }
}

function choose(kind: ProgressKind, options: RendererOptions): Renderer {
  switch (kind) {
    case 'auto':
      return choose(options.isTTY && !isSet(options.env.CI) && options.env.TERM !== 'dumb' ? 'tty' : 'lines', options)
    case 'tty':
      return ttyRenderer(options)
    case 'lines':
      return linesRenderer(options)
    case 'json':
      return jsonRenderer(options)
    case 'none':
      return { listener: () => {}, end: () => Promise.resolve() }
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false'
}

function redacted(event: Event, secrets: readonly string[]): Event {
  switch (event.kind) {
    case 'task-line':
      return { ...event, line: redact(event.line, secrets) }
    case 'task-failed':
    case 'note':
      return { ...event, message: redact(event.message, secrets) }
    default:
      return event
  }
}
