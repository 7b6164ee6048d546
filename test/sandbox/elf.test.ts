import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Architecture, architectures } from '../../src/oci/platform.ts'
import { standInProgram } from '../../src/sandbox/elf.ts'
import { standInText } from '../../src/sandbox/tree.ts'
import { tool } from '../tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'rfo-elf-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const names = Object.keys(architectures) as Architecture[]
const text = standInText('hardened-coredns', 'v1.9.3')

function written(architecture: Architecture, said: string): string {
  const path = join(folder, `${architecture}-${said.length}`)
  writeFileSync(path, standInProgram(architecture, said), { mode: 0o755 })
  return path
}

describe.each(names)('stand-in program for %s', (architecture) => {
  const native = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' }[arch() as string] === architecture
  const qemu = native ? { path: '', skip: false } : tool(`qemu-${architectures[architecture].qemu}-static`)
  const run = (path: string, ...args: string[]): string => {
    const [program, ...rest] = native ? [path, ...args] : [qemu.path, path, ...args]
    return execFileSync(program, rest, { encoding: 'utf8' })
  }

  test.skipIf(qemu.skip)('prints its text whatever it is asked, and ends with 0', () => {
    const path = written(architecture, text)
    expect(run(path)).toBe("hardened-coredns v1.9.3 (stand-in of RFO's sandbox)\n")
    expect(run(path, '--version', 'x')).toBe(text)
  })

  test.skipIf(qemu.skip)('prints the longest text whole', () => {
    const longest = `${'ä'.repeat(1023)}\n`
    expect(run(written(architecture, longest))).toBe(longest)
  })

  test('is a static executable for its machine', () => {
    const bytes = standInProgram(architecture, text)
    expect(bytes.subarray(0, 7).toString('latin1')).toBe('\x7fELF\x02\x01\x01')
    expect(bytes.readUInt16LE(16)).toBe(2)
    expect(bytes.readUInt16LE(18)).toBe(architectures[architecture].elfMachine)
  })

  test('is the same everywhere', () => {
    const golden = {
      amd64: 'sha256:4608d9343238f7924ad754aa33830ee8bf7cc5e380473f21396ff98f53872ffa',
      arm64: 'sha256:ca1b19605e888e22d1df89a58c82f29295ce7fdc912612f7659e2524dd8e7e1d',
      riscv64: 'sha256:6bc7a75cb86e63c3972c7c66747c6c263fe4ac39be4f204cf1c913194ae34859',
    }
    expect(digestOf(standInProgram(architecture, text))).toBe(golden[architecture])
  })
})

const readelf = tool('readelf')
test.skipIf(readelf.skip)('readelf takes them without a word of complaint', () => {
  for (const architecture of names) {
    const shown = execFileSync(readelf.path, ['-W', '-h', '-l', written(architecture, text)], { encoding: 'utf8' })
    expect(shown).toMatch(/Type: +EXEC/)
    expect(shown).toMatch(/GNU_STACK .* RW /)
    expect(shown).not.toMatch(/warning|error/i)
  }
})

test('a text that is too long is refused', () => {
  expect(() => standInProgram('amd64', 'x'.repeat(2048))).toThrow(expect.objectContaining({ code: 'RFO_SANDBOX_TEXT' }))
})
