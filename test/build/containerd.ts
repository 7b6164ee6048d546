/** A containerd of our own: its root, state and socket in one folder, ended with the tests. Needs root. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Tool } from '../tools.ts'

const run = promisify(execFile)

export interface Containerd {
  /** Imports an OCI layout under `name`, without a tag of its own. */
  importLayout(layout: string, name: string): Promise<string>
  /** Runs an image with its own entrypoint, or with `argv` in its place; gives stdout and stderr. */
  run(image: string, id: string, argv?: readonly string[]): Promise<string>
  /** Any other call of ctr; gives stdout and stderr. */
  ctr(...argv: readonly string[]): Promise<string>
  stop(): Promise<void>
}

export async function startContainerd(
  dir: string,
  tools: { readonly containerd: Tool; readonly ctr: Tool; readonly runc: Tool },
): Promise<Containerd> {
  await mkdir(dir, { recursive: true })
  const address = join(dir, 'containerd.sock')
  const config = join(dir, 'config.toml')
  await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
  const argv = [
    '--config',
    config,
    '--root',
    join(dir, 'root'),
    '--state',
    join(dir, 'state'),
    '--address',
    address,
    '--log-level',
    'error',
  ]
  const daemon: ChildProcess = spawn(tools.containerd.path, argv, { stdio: ['ignore', 'ignore', 'ignore'] })
  /** stdout, then stderr: flannel and the CNI plugins tell their version there. */
  const call = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(tools.ctr.path, ['--address', address, ...args], { timeout: 120_000 })
    return stdout + stderr
  }
  for (let tries = 0; ; tries += 1) {
    const up = await access(address).then(
      () => true,
      () => false,
    )
    if (up) break
    if (tries === 200 || daemon.exitCode !== null) throw new Error('containerd did not start')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await call('version')
  return {
    ctr: call,
    async importLayout(layout, name) {
      const archive = join(dir, 'import.tar')
      await run('tar', ['-C', layout, '-cf', archive, '.'])
      await call('images', 'import', '--no-unpack', '--base-name', name, archive)
      return await call('images', 'ls')
    },
    run(image, id, command = []) {
      // the native snapshotter copies: it works on any file system, in any container
      return call('run', '--rm', '--snapshotter', 'native', '--runc-binary', tools.runc.path, '--net-host', image, id, ...command)
    },
    async stop() {
      if (daemon.exitCode !== null) return
      const gone = new Promise((resolve) => daemon.once('exit', resolve))
      daemon.kill('SIGTERM')
      await gone
    },
  }
}
