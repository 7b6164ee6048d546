/** Debian's docker-registry on loopback, and the least client that puts our manifests into it. It has no referrers API: the tag stands in. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseNode } from '../../src/content/referrer.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { isIndexType, isManifestType, mediaTypes } from '../../src/oci/mediatype.ts'

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

const accept = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerManifest, mediaTypes.dockerManifestList].join(', ')

export function repositoryStore(host: string, repository: string): ContentStore {
  const at = (path: string): string => `http://${host}/v2/${repository}/${path}`
  const isNode = (mediaType: string): boolean => isManifestType(mediaType) || isIndexType(mediaType)
  const urlOf = (target: Descriptor): string => at(`${isNode(target.mediaType) ? 'manifests' : 'blobs'}/${target.digest}`)
  const manifest = async (reference: string): Promise<{ bytes: Buffer; descriptor: Descriptor } | undefined> => {
    const response = await fetch(at(`manifests/${reference}`), { headers: { accept } })
    if (response.status === 404) return undefined
    const bytes = Buffer.from(await answered(response, 200).arrayBuffer())
    return { bytes, descriptor: { mediaType: response.headers.get('content-type') ?? '', digest: digestOf(bytes), size: bytes.length } }
  }
  const put = async (bytes: Buffer, mediaType: string, reference: string): Promise<void> => {
    answered(
      await fetch(at(`manifests/${reference}`), { method: 'PUT', body: new Uint8Array(bytes), headers: { 'content-type': mediaType } }),
      201,
    )
  }
  const listed = async (subject: Descriptor): Promise<Descriptor[]> => {
    const index = await manifest(subject.digest.replace(':', '-'))
    return index === undefined ? [] : (JSON.parse(index.bytes.toString()).manifests as Descriptor[])
  }
  return {
    async *fetch(target) {
      yield Buffer.from(await answered(await fetch(urlOf(target), { headers: { accept } }), 200).arrayBuffer())
    },
    async exists(target) {
      return (await fetch(urlOf(target), { method: 'HEAD', headers: { accept } })).ok
    },
    async resolve(reference) {
      return (await manifest(reference))?.descriptor
    },
    async referrers(subject, artifactType) {
      return (await listed(subject)).filter((one) => artifactType === undefined || one.artifactType === artifactType)
    },
    async push(expected, body) {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (!isNode(expected.mediaType)) {
        if (await this.exists(expected)) return
        const started = answered(await fetch(at('blobs/uploads/'), { method: 'POST' }), 202)
        const url = new URL(started.headers.get('location') ?? '', `http://${host}`)
        url.searchParams.set('digest', expected.digest)
        const headers = { 'content-type': 'application/octet-stream' }
        answered(await fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers }), 201)
        return
      }
      await put(bytes, expected.mediaType, expected.digest)
      const node = parseNode(expected, bytes)
      if (node.subject === undefined) return
      const others = (await listed(node.subject)).filter((one) => one.digest !== expected.digest)
      const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...others, node.listed] }
      await put(Buffer.from(JSON.stringify(index)), mediaTypes.index, node.subject.digest.replace(':', '-'))
    },
    async tag(target, reference) {
      const found = await manifest(target.digest)
      if (found === undefined) throw new Error(`no ${target.digest} to tag`)
      await put(found.bytes, found.descriptor.mediaType, reference)
    },
  }
}

function answered(response: Response, status: number): Response {
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} instead of ${status}`)
  return response
}
