/** Go's own packages, compiled once for all tests that compile: each place has a copy, and compiles what is under test itself. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const kept = join(import.meta.dirname, '../../node_modules/.cache/go')

/** For programs of the machine's own platform without cgo; `workDir` as `compileGo` gets it. */
export async function warmGoCache(go: string, workDir: string): Promise<void> {
  await cp(await runtimeCache(go), join(workDir, 'go/build'), { recursive: true })
}

/** A build cache that holds the runtime and nothing else. Two processes may make it at once; one of them is kept. */
async function runtimeCache(go: string): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', GOENV: 'off', GOTOOLCHAIN: 'local', XDG_CONFIG_HOME: '/dev/null' }
  const { stdout } = await promisify(execFile)(go, ['version'], { env })
  const cache = join(kept, stdout.trim().replace(/[^\w.]+/g, '-'))
  if (existsSync(cache)) return cache
  const scratch = await mkdtemp(join(tmpdir(), 'rfo-go-cache-'))
  try {
    await mkdir(kept, { recursive: true })
    const made = await mkdtemp(`${cache}.`)
    await writeFile(join(scratch, 'go.mod'), 'module example.org/nothing\n\ngo 1.20\n')
    await writeFile(join(scratch, 'main.go'), 'package main\n\nfunc main() {}\n')
    await promisify(execFile)(go, ['build', '-trimpath', '-buildvcs=false', '-o', 'nothing', '.'], {
      cwd: scratch,
      env: { ...env, CGO_ENABLED: '0', GOCACHE: made, GOFLAGS: '-mod=mod', GOPROXY: 'off' },
    })
    await rename(made, cache).catch(() => rm(made, { recursive: true, force: true }))
    return cache
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
