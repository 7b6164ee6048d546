/** What `npm ci` on a fresh machine relies on. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const read = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'))
const manifest = read('package.json')

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
const packages: Readonly<Record<string, Locked>> = read('package-lock.json').packages

describe('package-lock.json', () => {
  test('holds the packages of every platform: without one of them npm ci refuses the whole file', () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    )
    expect(missing).toEqual([])
  })

  test('names no registry, and nothing runs at installation', () => {
    const bad = Object.entries(packages).filter(
      ([, each]) => each.resolved !== undefined || (each.hasInstallScript === true && each.version === undefined),
    )
    expect(bad).toEqual([])
    expect(readFileSync(join(root, '.npmrc'), 'utf8')).toContain('ignore-scripts=true')
  })
})

test('versions of direct dependencies are exact', () => {
  const { dependencies, devDependencies, optionalDependencies } = manifest
  for (const version of Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
})

describe('bin/rfo-build.js', () => {
  const door = join(root, 'bin', 'rfo-build.js')

  test('prints the version of package.json', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [door, '--version'], { encoding: 'utf8' })
    expect({ stdout, stderr, status }).toEqual({ stdout: `${manifest.version}\n`, stderr: '', status: 0 })
  })

  test('loads nothing for --version', () => {
    const { stderr } = spawnSync(process.execPath, ['--trace-require-module', door, '--version'], {
      encoding: 'utf8',
      env: { NODE_DEBUG: 'esm,module' },
    })
    expect(stderr).not.toContain('src/main.ts')
  })

  /** An old Node is played by a value: the one of this machine may be too new. `npx` gives the one that npm installs. */
  test.each([
    ['20.20.2', 9],
    ['22.22.1', 9],
    ['23.5.0', 9],
    ['24.14.9', 9],
    ['25.1.0', 9],
    ['22.22.2', 0],
    ['24.15.0', 0],
    ['24.21.0', 0],
    ['26.0.0', 0],
    ['27.1.0', 0],
  ])('on Node %s: exit %d', (version, exit) => {
    const play = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${version}' })`
    const { stderr, status } = spawnSync(process.execPath, ['--import', play, door, '--help'], { encoding: 'utf8' })
    expect(status).toBe(exit)
    if (exit === 9)
      expect(stderr).toMatch(
        new RegExp(`^rfo-build: RFO_MAIN_NODE: Node ${version} is too old, .*; next: npm ci && npx --no-install rfo-build`),
      )
  })

  test('an interruption ends it with 130, and with 143', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      // `doctor` waits for a `go` that never answers
      const { status, stderr } = spawnSync(
        'bash',
        [
          '-c',
          `dir=$(mktemp -d); printf '#!/bin/sh\\necho started >&2; exec sleep 30\\n' > $dir/go; chmod +x $dir/go
        PATH=$dir:$PATH ${process.execPath} ${door} doctor & pid=$!; sleep 1.5; kill -${signal} $pid; wait $pid; code=$?; rm -r $dir; exit $code`,
        ],
        { encoding: 'utf8' },
      )
      expect({ status, last: stderr.trimEnd().split('\n').at(-1) }).toMatchObject({
        status: code,
        last: expect.stringContaining(`RFO_MAIN_SIGNAL: ended by ${signal}`),
      })
    }
  })
})
