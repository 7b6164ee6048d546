/** What the engine tells: renderers listen, nobody prints. Times are milliseconds since the run began (no wall clock). */
import type { Digest } from '../oci/digest.ts'

export type Event =
  | { readonly kind: 'run-started'; readonly tasks: number; readonly at: number }
  | { readonly kind: 'task-waiting'; readonly task: string; readonly at: number }
  | { readonly kind: 'task-started'; readonly task: string; readonly at: number; readonly log?: string }
  | { readonly kind: 'task-line'; readonly task: string; readonly line: string; readonly at: number }
  | { readonly kind: 'task-cached'; readonly task: string; readonly digest: Digest; readonly at: number }
  | { readonly kind: 'task-done'; readonly task: string; readonly digest: Digest; readonly at: number }
  | {
      readonly kind: 'task-failed'
      readonly task: string
      readonly code: string
      readonly message: string
      readonly at: number
      readonly log?: string
    }
  | { readonly kind: 'task-skipped'; readonly task: string; readonly because: string; readonly at: number }
  | { readonly kind: 'note'; readonly message: string; readonly at: number }
  | {
      readonly kind: 'run-ended'
      readonly done: number
      readonly cached: number
      readonly failed: number
      readonly skipped: number
      readonly at: number
    }

export type Listener = (event: Event) => void
