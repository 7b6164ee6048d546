import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fileLogs } from '../../src/report/logs.ts'

const dir = await mkdtemp(join(tmpdir(), 'rfo-logs-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

test('a file per task, made by its first line, without secrets', async () => {
  const logs = fileLogs(join(dir, 'a', 'logs'), ['hunter2'])
  const silent = logs.open('image/silent')
  await silent.close()
  const log = logs.open('image/coredns/linux/amd64')
  expect(log.path).toBe(join(dir, 'a', 'logs', 'image__coredns__linux__amd64.log'))
  log.line('password hunter2')
  expect(await readFile(log.path, 'utf8')).toBe('password ***\n')
  log.line('https://u:p@example.org/')
  await log.close()
  await log.close()
  log.line('too late')
  expect(await readFile(log.path, 'utf8')).toBe('password ***\nhttps://***@example.org/\n')
  expect(await readdir(join(dir, 'a', 'logs'))).toEqual(['image__coredns__linux__amd64.log'])
})

test('the next run replaces the file', async () => {
  const logs = fileLogs(join(dir, 'again'))
  for (const text of ['a long first run', 'short']) {
    const log = logs.open('x')
    log.line(text)
    await log.close()
  }
  expect(await readFile(join(dir, 'again', 'x.log'), 'utf8')).toBe('short\n')
})

test('no id leaves the folder, and no two share a file', () => {
  const logs = fileLogs(dir)
  const ids = [
    'a/b',
    'a__b',
    'a/b:c',
    'a/b?c',
    '../../etc/passwd',
    '..',
    `long/${'x'.repeat(300)}`,
    `long/${'x'.repeat(301)}`,
    'nul\0',
    '名',
  ]
  const paths = ids.map((id) => logs.open(id).path)
  expect(new Set(paths).size).toBe(ids.length)
  for (const path of paths) {
    expect(path.slice(dir.length + 1)).toMatch(/^[\w.+@=-]{1,251}\.log$/)
    expect(path.startsWith(`${dir}/`)).toBe(true)
  }
})

test('a log that cannot be written is said when it is closed', async () => {
  await mkdir(join(dir, 'file'), { recursive: true })
  await writeFile(join(dir, 'file', 'in-the-way'), '')
  const log = fileLogs(join(dir, 'file', 'in-the-way')).open('x')
  log.line('one')
  log.line('two')
  await expect(log.close()).rejects.toMatchObject({ code: 'RFO_REPORT_LOG', exit: 'machine' })
})
