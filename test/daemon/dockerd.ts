/** A Docker of our own: data, state and socket in one folder, ended with the tests. Needs root. */
import { execFile, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Tool } from '../tools.ts'

export interface Dockerd {
  /** what a client needs to find it */
  readonly env: Readonly<Record<string, string>>
  docker(...argv: readonly string[]): Promise<string>
  stop(): Promise<void>
}

export async function startDockerd(dir: string, tools: { readonly dockerd: Tool; readonly docker: Tool }): Promise<Dockerd> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'daemon.json'), '{}')
  const host = `unix://${join(dir, 's')}`
  const env = { PATH: process.env.PATH ?? '', HOME: dir, DOCKER_HOST: host }
  const folders = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '-p', join(dir, 'pid')]
  const alone = [
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--storage-driver',
    'vfs',
    '--config-file',
    join(dir, 'daemon.json'),
  ]
  const daemon = spawn(tools.dockerd.path, ['-H', host, ...folders, ...alone, '--log-level', 'error'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  daemon.stderr.on('data', (chunk: Buffer) => (said += chunk))
  const docker = async (...argv: string[]): Promise<string> =>
    (await promisify(execFile)(tools.docker.path, argv, { env, timeout: 120_000 })).stdout
  for (let tries = 0; ; tries += 1) {
    const up = await docker('version').then(
      () => true,
      () => false,
    )
    if (up) break
    if (tries === 100 || daemon.exitCode !== null) throw new Error(`dockerd did not start: ${said.slice(-2000)}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return {
    env,
    docker,
    async stop() {
      if (daemon.exitCode !== null) return
      const gone = new Promise((resolve) => daemon.once('exit', resolve))
      daemon.kill('SIGTERM')
      await gone
    },
  }
}
