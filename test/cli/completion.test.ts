import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { tool } from '../tools.ts'
import { run } from './ports.ts'

const bash = tool('bash')

/** What bash offers after these words. */
async function offers(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run(['completion', 'bash'])
  const ask = `${stdout}
COMP_WORDS=(rfo-build ${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length}
_rfo_build
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout: out, stderr, status } = spawnSync(bash.path, ['--norc', '-u', '-c', ask])
  expect({ stderr: stderr.toString(), status }).toEqual({ stderr: '', status: 0 })
  return out.toString().trim().split('\n')
}

test.skipIf(bash.skip)('bash completes commands, flags and values from the commands as they are', async () => {
  expect(await offers('doc')).toEqual(['doctor'])
  expect(await offers('')).toEqual(expect.arrayContaining(['keys', 'doctor', 'completion', '--json']))
  expect(await offers('keys', 'gen')).toEqual(['generate'])
  expect(await offers('keys', 'generate', '--co')).toEqual(['--cosign'])
  expect(await offers('--lang', '')).toEqual(['en', 'zh'])
  expect(await offers('doctor', '--progress', 'l')).toEqual(['lines'])
})

test('fish and zsh get the same words; fish with the sentences of --help', async () => {
  const fish = (await run(['completion', 'fish', '--lang', 'zh'])).stdout
  expect(fish).toContain("complete -c rfo-build -l lang -x -a 'en zh'")
  expect(fish).toContain("-f -a doctor -d '检查本机")
  expect((await run(['completion', 'zsh'])).stdout).toMatch(/^#compdef rfo-build\n/)
})

test('another shell is exit 2', async () => {
  expect(await run(['completion', 'tcsh'])).toMatchObject({ exit: 2, stdout: '' })
})
