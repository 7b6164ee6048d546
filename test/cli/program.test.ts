import { describe, expect, test } from 'vitest'
import { Interrupted } from '../../src/cli/failure.ts'
import { allEntries } from '../../src/cli/verbs.ts'
import { architectureNames } from '../../src/oci/platform.ts'
import { run } from './ports.ts'

describe('a mistyped command line is exit 2 with a hint, and stdout stays empty', () => {
  test.each([
    [['doctr'], "rfo-build: RFO_CLI_USAGE: unknown command 'doctr' (Did you mean doctor?); next: rfo-build --help"],
    [['doctor', '--jsn'], "rfo-build: RFO_CLI_USAGE: unknown option '--jsn' (Did you mean --json?); next: rfo-build doctor --help"],
    [['doctor', '--paltform', 'arm64'], "unknown option '--paltform' (Did you mean --platform?)"],
    [['doctor', 'now'], 'too many arguments'],
    [['doctor', '--progress', 'loud'], 'Allowed choices are auto, tty, lines, json, none'],
    [['doctor', '--lang', 'fr'], 'RFO_REPORT_LANG'],
    [['doctor', '--platform', 'arm64,mips'], 'RFO_CLI_VALUE: --platform does not know "linux/mips"; next: choose from linux/amd64'],
    [['doctor', '--platform', ','], 'RFO_CLI_VALUE'],
    [['doctor', '--stand-in', 'bases,moon'], 'RFO_CLI_VALUE: --stand-in does not know "moon"'],
    [['test', 'x', '--suite', 'cis', '--results', 'y'], '--suite cis takes no --results'],
    [['test', 'x', '--suite', 'cis', '--cluster', 'local', '--load', 'y'], '--suite cis takes no --load'],
    [['test', 'x', '--cluster', 'local', '--benchmarks', 'y'], '--benchmarks is for --suite cis'],
    [['completion'], "missing required argument 'shell'"],
    [['keys'], 'a command is missing; next: rfo-build keys --help'],
    [[], 'no command'],
  ])('%j', async (argv, expected) => {
    const { exit, stdout, lastLine } = await run(argv)
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
    expect(lastLine).toContain(expected)
    expect(lastLine).toMatch(/^rfo-build: RFO_[A-Z]+_[A-Z]+: /)
  })
})

test('with --json a failure is one document on stdout as well', async () => {
  const { exit, stdout, lastLine } = await run(['doctr', '--json'])
  expect(exit).toBe(2)
  expect(JSON.parse(stdout)).toEqual({
    schema: 'rfo-build.error/1',
    ok: false,
    exit: 2,
    error: { code: 'RFO_CLI_USAGE', message: "unknown command 'doctr' (Did you mean doctor?)", next: 'rfo-build --help' },
  })
  expect(lastLine).toContain('RFO_CLI_USAGE')
})

test('a result is one JSON document with schema, ok and exit', async () => {
  const { exit, stdout } = await run(['--json', 'doctor'])
  const document = JSON.parse(stdout)
  expect(document).toMatchObject({ schema: 'rfo-build.doctor/1', ok: exit === 0, exit })
  const names: string[] = document.findings.map((finding: { name: string }) => finding.name)
  const [compilers, others] = [names.filter((name) => name.endsWith('gcc')), names.filter((name) => !name.endsWith('gcc'))]
  expect(others).toEqual(['node', 'go', 'git', 'make', 'pkg-config', 'gperf', 'memory', 'disk', 'disk'])
  expect(compilers).toHaveLength(architectureNames.length)
})

test('doctor on a machine without go and git says what works without them', async () => {
  const { exit, stdout } = await run(['doctor'], { env: { PATH: '/nonexistent' } })
  expect(exit).toBe(0)
  expect(stdout).toMatch(/^go +missing .*--sandbox, verify/m)
  expect(stdout).not.toContain('compiled releases')
})

test('an interruption is 130 or 143, whatever was thrown', async () => {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const controller = new AbortController()
    controller.abort(new Interrupted(name))
    const { exit, lastLine } = await run(['doctor'], { signal: controller.signal })
    expect(exit).toBe(code)
    expect(lastLine).toBe(`rfo-build: RFO_MAIN_SIGNAL: ended by ${name}; next: run the same command again: it resumes`)
  }
})

describe('every command', async () => {
  const verbs = (await allEntries()).flatMap((entry) =>
    'verbs' in entry ? entry.verbs.map((verb) => ({ path: [entry.name, verb.name], verb })) : [{ path: [entry.name], verb: entry }],
  )

  test.each(verbs)('$path has help with an example, in both languages', async ({ path, verb }) => {
    const en = await run([...path, '--help'])
    const zh = await run([...path, '--help', '--lang', 'zh'])
    expect([en.exit, zh.exit]).toEqual([0, 0])
    expect(en.stdout).toContain(`Examples:\n  rfo-build ${verb.examples[0]}`)
    expect(zh.stdout).toContain(`示例：\n  rfo-build ${verb.examples[0]}`)
    expect(zh.stdout).toMatch(/用法： rfo-build/)
  })

  test.each(verbs)('$path: its examples are command lines that it knows', ({ path, verb }) => {
    for (const example of verb.examples) expect(example).toMatch(new RegExp(`^${path.join(' ')}( |$)`))
  })
})

test('the language comes from --lang, RFO_LANG, LC_ALL, LANG, in this order', async () => {
  const zh = { env: { LANG: 'zh_CN.UTF-8' } }
  expect((await run(['--help'], zh)).stdout).toContain('命令：')
  expect((await run(['--help', '--lang=en'], zh)).stdout).toContain('Commands:')
  expect((await run(['--help'], { env: { LANG: 'zh_CN.UTF-8', RFO_LANG: 'en' } })).stdout).toContain('Commands:')
})
