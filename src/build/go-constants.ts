/**
 * Whether `-X` had an effect. The linker says nothing of a name that no variable has, and the program then says `dev`, or
 * pulls somebody else's image: https://pkg.go.dev/cmd/link ("Set the value of the string variable in importpath named name").
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { goVariables } from './go-variables.ts'

/** A string variable that is set at link time. */
export interface LinkConstant {
  /** import path, or `main` */
  readonly path: string
  readonly name: string
  readonly value: string
}

export interface ConstantsCheck {
  readonly ldflags: readonly string[]
  /** on disk; a constant counts that one of them holds */
  readonly programs: readonly string[]
  /** what `go list -deps` prints in the form of `listFormat` */
  readonly listed: string
  /** for the error */
  readonly where: string
}

/** One package a line: import path, name, folder and the files that are compiled. */
export const listFormat = '{{.ImportPath}}\t{{.Name}}\t{{.Dir}}\t{{join .GoFiles "/"}}\t{{join .CgoFiles "/"}}'

/** Of each flag that sets one. Throws RFO_BUILD_CONSTANT for a `-X` in a form that is not read here. */
export function linkConstants(ldflags: readonly string[]): LinkConstant[] {
  return ldflags.flatMap((flag) => {
    if (!/(^|\s)['"]?--?X/.test(flag)) return []
    const [, , path, name, value] = /^--?X[ =](['"]?)([^\s='"]+)\.([^\s='".]+)=([^'"]*)\1$/.exec(flag.trim()) ?? []
    if (path === undefined || name === undefined || value === undefined) {
      throw refusal(`${flag} is not one constant`, flag, 'write each as -X importpath.name=value, in an entry of its own')
    }
    return [{ path, name, value }]
  })
}

/** Throws RFO_BUILD_CONSTANT (build). */
export async function checkConstants({ ldflags, programs, listed, where }: ConstantsCheck): Promise<void> {
  const packages = listed.split('\n').map((line) => line.split('\t'))
  const read = new Map<string, ReadonlyMap<string, boolean>>()
  for (const { path, name, value } of linkConstants(ldflags)) {
    const spelt = `-X ${path}.${name}`
    const own = packages.filter(([importPath, packageName]) => (path === 'main' ? packageName === 'main' : importPath === path))
    if (own.length === 0) throw refusal(`${spelt}: no such package in what is compiled`, where)
    const known = read.get(path) ?? (await variablesIn(own))
    read.set(path, known)
    const settable = known.get(name)
    if (settable === undefined) throw refusal(`${spelt}: the package has no such variable`, where)
    if (!settable) throw refusal(`${spelt}: the variable is no string, or is computed when the program starts`, where)
    if (!(await oneHolds(programs, Buffer.from(value, 'utf8')))) throw refusal(`${spelt}: no program uses the variable`, where)
  }
}

async function variablesIn(packages: readonly (readonly string[])[]): Promise<Map<string, boolean>> {
  const found = new Map<string, boolean>()
  for (const [, , dir = '', goFiles = '', cgoFiles = ''] of packages) {
    for (const file of `${goFiles}/${cgoFiles}`.split('/').filter((each) => each !== '')) {
      for (const { name, settable } of goVariables(await readFile(join(dir, file), 'utf8')))
        found.set(name, settable || found.get(name) === true)
    }
  }
  return found
}

/** An empty value leaves no bytes. */
async function oneHolds(programs: readonly string[], value: Buffer): Promise<boolean> {
  if (value.length === 0) return true
  for (const program of programs) if (await holds(program, value)) return true
  return false
}

/** In pieces: programs have a hundred megabytes. */
async function holds(file: string, value: Buffer): Promise<boolean> {
  const handle = await open(file)
  try {
    const buffer = Buffer.alloc(Math.max(1 << 20, 2 * value.length))
    let kept = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, kept, buffer.length - kept, null)
      if (bytesRead === 0) return false
      const filled = kept + bytesRead
      if (buffer.subarray(0, filled).includes(value)) return true
      // the value may lie across two pieces
      kept = Math.min(value.length - 1, filled)
      buffer.copy(buffer, 0, filled - kept, filled)
    }
  } finally {
    await handle.close()
  }
}

function refusal(message: string, where: string, next = 'correct ldflags in the pipeline'): RfoError {
  return new RfoError('RFO_BUILD_CONSTANT', message, { exit: 'build', where, next })
}
