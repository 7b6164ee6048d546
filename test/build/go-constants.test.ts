/** What `-X` sets is a string variable of what was compiled, or the build says so. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkConstants, linkConstants } from '../../src/build/go-constants.ts'
import { goVariables } from '../../src/build/go-variables.ts'

const settable = (text: string): string[] => goVariables(text).map(({ name, settable: can }) => (can ? name : `!${name}`))

describe('the variables of a file', () => {
  test('stand alone, in groups, in lists, behind comments', () => {
    expect(
      settable(`// Copyright
package version /* var no = "x"
*/
var Version = "dev"; var Commit string
var (
	a, b = "x", "y" // two
	// c = "z"
	c = "it's" + " more" +
		"lines"
	d = name.Default
)
const Const = "c"
var 变量 = \`raw
var inside = "x"\`
`),
    ).toEqual(['Version', 'Commit', 'a', 'b', 'c', 'd', '变量'])
  })

  test('are no locals, no parameters, no fields, no text that looks like them', () => {
    expect(
      settable(`package p

func f(var1 string) string {
	var local = "x"
	var (
		other = "y"
	)
	return local + other + "var text = 1" + string('"')
}

type t struct{ variable string }

var last = "z"`),
    ).toEqual(['last'])
  })

  test('that are computed, or no strings, can’t be set', () => {
    expect(
      settable(`package p
var (
	upper = strings.ToUpper(Program)
	number int
	list = []string{"a"}
	made = func() string {
		var no = "x"
		return no
	}()
	env, ok = os.LookupEnv("X")
	pointer = &upper
	plain string = "x"
)
`),
    ).toEqual(['!upper', '!number', '!list', '!made', '!env', '!ok', '!pointer', 'plain'])
  })

  test('of text that is no Go end somewhere', () => {
    for (const text of ['', 'var', 'var (', 'var x = "', 'var (\n a = (', '`', '/*', 'var ((((', '}}}} var x']) goVariables(text)
  })
})

describe('the flags', () => {
  test('are read in the forms that the linker takes', () => {
    const value = { path: 'example.org/a.v3/b', name: 'Version', value: 'v1=2' }
    for (const flag of ['-X example.org/a.v3/b.Version=v1=2', "-X 'example.org/a.v3/b.Version=v1=2'", '-X=example.org/a.v3/b.Version=v1=2'])
      expect(linkConstants(['-s', '-w', flag])).toEqual([value])
    expect(linkConstants(['-X main.v='])).toEqual([{ path: 'main', name: 'v', value: '' }])
  })

  test('that hold more than one constant, or none, are refused', () => {
    for (const flag of ['-w -X main.a=b', '-X main.a', '-X', "-X 'main.a=b", '-X a=b'])
      expect(() => linkConstants([flag])).toThrow(expect.objectContaining({ code: 'RFO_BUILD_CONSTANT' }))
  })
})

describe('the check', () => {
  let dir: string
  const program = () => join(dir, 'program')
  const check = (...ldflags: string[]) =>
    checkConstants({
      ldflags,
      programs: [program()],
      listed: `example.org/p/version\tversion\t${dir}\tversion.go\t\n`,
      where: 'linux/amd64',
    })
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-constants-'))
    await writeFile(join(dir, 'version.go'), 'package version\n\nvar Version, Unused = "dev", ""\n')
    // the value lies across two pieces of what is read at once
    await writeFile(program(), Buffer.concat([Buffer.alloc((1 << 20) - 2), Buffer.from('v1.2.3'), Buffer.alloc(9)]))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test('passes what a program holds', async () => {
    await check('-s', '-X example.org/p/version.Version=v1.2.3', '-X example.org/p/version.Unused=')
  })

  test.each([
    ['-X example.org/p/versions.Version=v1.2.3', 'no such package'],
    ['-X main.Version=v1.2.3', 'no such package'],
    ['-X example.org/p/version.version=v1.2.3', 'no such variable'],
    ['-X example.org/p/version.Unused=never', 'no program uses the variable'],
  ])('refuses %s', async (flag, why) => {
    await expect(check(flag)).rejects.toMatchObject({ code: 'RFO_BUILD_CONSTANT', exit: 'build', message: expect.stringContaining(why) })
  })
})
