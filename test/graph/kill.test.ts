/** The store is the state: whatever moment the process is killed at, the next run goes on from there and ends in the same root. */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'

const kills = 20
const tasks = 61
const walk = join(import.meta.dirname, 'fixture', 'walk.ts')
const dir = await mkdtemp(join(tmpdir(), 'rfo-kill-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Numbers below `below` that only the seed decides: https://en.wikipedia.org/wiki/Linear_congruential_generator (the constants of Numerical Recipes). */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

interface Walk {
  readonly root: string | undefined
  readonly ran: number
  readonly cached: number
}

/** Runs the graph; with `killAfter`, kills it that many done tasks and some milliseconds later. */
async function walkOver(store: string, killAfter?: { readonly done: number; readonly delay: number }): Promise<Walk> {
  const child = spawn(process.execPath, [walk, store], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  let done = 0
  let last = ''
  for await (const line of createInterface(child.stdout)) {
    last = line
    if (line === 'task-done') done++
    if (killAfter !== undefined && done === killAfter.done && line !== 'task-cached')
      setTimeout(() => child.kill('SIGKILL'), killAfter.delay)
  }
  await ended
  const [word, root, ran, cached] = last.split(' ')
  return word === 'root' ? { root, ran: Number(ran), cached: Number(cached) } : { root: undefined, ran: 0, cached: 0 }
}

/** Every recorded result is there and is what its digest says; gives their number. */
async function intact(folder: string): Promise<number> {
  const store = await openDirectoryStore(folder)
  const tags = await readdir(join(folder, 'tags'))
  for (const tag of tags) {
    const result = JSON.parse(await readFile(join(folder, 'tags', tag), 'utf8')) as Descriptor
    for await (const _ of store.fetch(result)) {
      // fetch verifies size and digest
    }
  }
  return tags.length
}

test(`${kills} kills at random moments end in the same root, and lose nothing that was recorded`, { timeout: 120_000 }, async () => {
  const quiet = await walkOver(join(dir, 'quiet'))
  expect(quiet).toMatchObject({ ran: tasks, cached: 0 })
  const random = seeded(20221122)
  const store = join(dir, 'killed')
  let killed = 0
  let recorded = 0
  while (killed < kills) {
    const { root } = await walkOver(store, { done: 1 + random(2), delay: random(6) })
    const now = await intact(store)
    expect(now).toBeGreaterThanOrEqual(recorded)
    recorded = now
    if (root === undefined) killed++
    else {
      // it got through: once more from nothing, until it has been killed often enough
      expect(root).toBe(quiet.root)
      await rm(store, { recursive: true })
      recorded = 0
    }
  }
  const last = await walkOver(store)
  expect(last.root).toBe(quiet.root)
  expect(last.cached).toBe(recorded)
  expect(last.ran).toBe(tasks - recorded)
  expect(await walkOver(store)).toEqual({ root: quiet.root, ran: 0, cached: tasks })
})
