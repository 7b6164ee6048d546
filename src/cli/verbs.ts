/** Every command that works, by name. A command's file is loaded when it is named. */
import { type Commands, commandsOf } from './commands.ts'
import type { Entry } from './verb.ts'

const entries: Readonly<Record<string, () => Promise<Entry>>> = {
  release: async () => (await import('./release.ts')).release,
  sign: async () => (await import('./sign.ts')).sign,
  build: async () => (await import('./build.ts')).build,
  test: async () => (await import('./test.ts')).test,
  verify: async () => (await import('./verify.ts')).verify,
  scan: async () => (await import('./scan.ts')).scan,
  advisories: async () => (await import('./advisories.ts')).advisories,
  sbom: async () => (await import('./sbom.ts')).sbom,
  pack: async () => (await import('./pack.ts')).pack,
  materialize: async () => (await import('./materialize.ts')).materialize,
  serve: async () => (await import('./serve.ts')).serve,
  merge: async () => (await import('./merge.ts')).merge,
  load: async () => (await import('./load.ts')).load,
  plan: async () => (await import('./plan.ts')).plan,
  lint: async () => (await import('./lint.ts')).lint,
  lock: async () => (await import('./lock.ts')).lock,
  track: async () => (await import('./track.ts')).track,
  keys: async () => (await import('./keys.ts')).keys,
  trust: async () => (await import('./trust.ts')).trust,
  doctor: async () => (await import('./doctor.ts')).doctor,
  completion: async () => (await import('./completion.ts')).completion,
}

export const commands: Commands = commandsOf('rfo-build', entries)

export function allEntries(): Promise<readonly Entry[]> {
  return commands.all()
}
