/** A release after one pipeline changed: its path runs, and nothing beside it. The events say so. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Event } from '../../src/graph/event.ts'
import { type Project, run, smallProject, version } from './project.ts'

let project: Project
beforeAll(async () => {
  project = await smallProject()
  await release()
})
afterAll(() => project.remove())

interface Tasks {
  readonly ran: readonly string[]
  readonly cached: readonly string[]
}

/** Ids of the tasks, sorted. */
async function release(): Promise<Tasks> {
  const { code, stderr } = await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'json'])
  expect(code).toBe(0)
  const events = stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Event] : []))
  const tasks = (kind: Event['kind']): string[] =>
    events.flatMap((event) => (event.kind === kind && 'task' in event ? [event.task] : [])).sort()
  return { ran: tasks('task-done'), cached: tasks('task-cached') }
}

/** Runs with one text of a pipeline replaced, and puts it back. */
async function releaseWith(component: string, from: string, to: string): Promise<Tasks> {
  const file = join(project.folder, 'pipelines', `${component}.yaml`)
  const text = await readFile(file, 'utf8')
  expect(text).toContain(from)
  await writeFile(file, text.replace(from, to))
  try {
    return await release()
  } finally {
    await writeFile(file, text)
  }
}

/** What comes of every change that a release shows. */
const everyRelease = ['charts', 'release', 'statement', 'unsigned']
const said = (component: string): string[] => [
  `index/${component}`,
  `inventory/${component}/linux/amd64`,
  `provenance/${component}/linux/amd64`,
  `sbom/${component}/linux/amd64`,
  `scan/${component}/linux/amd64`,
  `sign/${component}`,
  `spdx/${component}/linux/amd64`,
]

test('a label: its image, and all that says something of it or holds it', async () => {
  const { ran, cached } = await releaseWith('hardened-coredns', 'config:\n', 'config:\n  labels: { changed: "yes" }\n')
  expect(ran).toEqual(
    [
      'archive/rfo-images-core.linux-amd64',
      'image/hardened-coredns/linux/amd64',
      ...said('hardened-coredns'),
      'sboms',
      'gate',
      ...everyRelease,
    ].sort(),
  )
  for (const other of ['programs/hardened-coredns/linux/amd64', 'archive/rfo-images-multus.linux-amd64', 'rpm/linux/amd64', 'support'])
    expect(cached).toContain(other)
})

test('an ldflag that gives the same bytes: nothing beyond the programs and what is said of them', async () => {
  const { ran, cached } = await releaseWith('hardened-coredns', '    - -w\n', '')
  // a stand-in is what it is, whatever the linker is told
  expect(ran).toEqual(
    ['programs/hardened-coredns/linux/amd64', 'provenance/hardened-coredns/linux/amd64', 'sign/hardened-coredns', ...everyRelease].sort(),
  )
  expect(cached).toContain('image/hardened-coredns/linux/amd64')
})

test('a file in an image whose programs another one collects: that one is looked at, and stays as it is', async () => {
  const { ran, cached } = await releaseWith('hardened-runc', 'smoke:\n', 'files: [{ path: /etc/x, text: x }]\nsmoke:\n')
  expect(ran).toEqual(
    [
      'image/hardened-runc/linux/amd64',
      'programs/hardened-runc/linux/amd64',
      ...said('hardened-runc'),
      'programs/rke2-runtime/linux/amd64',
      // its provenance names the image that it took the program from
      'provenance/rke2-runtime/linux/amd64',
      'sign/rke2-runtime',
      // they refer to the image's
      'sboms',
      'gate',
      ...everyRelease,
    ].sort(),
  )
  for (const same of ['image/rke2-runtime/linux/amd64', 'archive/rfo-images-core.linux-amd64', 'tarball/linux/amd64'])
    expect(cached).toContain(same)
})
