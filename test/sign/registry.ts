/** Debian's docker-registry on loopback. It has no referrers API: the tag stands in. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentStore } from '../../src/content/store.ts'

export interface RunningRegistry {
  /** 127.0.0.1:port */
  readonly host: string
  stop(): void
}

export async function startRegistry(program: string): Promise<RunningRegistry> {
  const dir = mkdtempSync(join(tmpdir(), 'rfo-registry-'))
  const config = join(dir, 'config.yml')
  const storage = `storage: {filesystem: {rootdirectory: ${dir}/data}}`
  writeFileSync(config, `version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n${storage}\nhttp: {addr: "127.0.0.1:0"}\n`)
  const child: ChildProcess = spawn(program, ['serve', config], { stdio: ['ignore', 'pipe', 'pipe'], env: {} })
  const host = await new Promise<string>((resolve, reject) => {
    let said = ''
    const listen = (chunk: Buffer): void => {
      said += chunk.toString()
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.on('exit', () => reject(new Error(`docker-registry ended: ${said}`)))
  })
  return {
    host,
    stop() {
      child.removeAllListeners('exit')
      child.kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export function repositoryStore(host: string, repository: string): ContentStore {
  return openRegistry({ registry: host, repository }, { addresses: {} })
}
