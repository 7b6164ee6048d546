/** A release served out of its archive over TLS, with passwords, to the programs that sites have: each gets what was signed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { createRegistrySession } from '../../src/content/registry.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { archiveIndex, writeArchive } from '../../src/release/archive/write.ts'
import { type LoadRequest, loadIntoRegistry } from '../../src/release/load.ts'
import { offerRelease } from '../../src/release/offer.ts'
import { folderFiles } from '../../src/release/shelf.ts'
import { startRegistry as startSandboxRegistry } from '../../src/sandbox/registry.ts'
import { type Containerd, startContainerd } from '../build/containerd.ts'
import { tinyImage } from '../sign/images.ts'
import { repositoryStore, startRegistry } from '../sign/registry.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, root, run, version } from './project.ts'

const openssl = tool('openssl')
const [curl, skopeo, oras, helm, dnf] = [tool('curl'), tool('skopeo'), tool('oras'), tool('helm'), tool('dnf')]
const [cosign, dockerRegistry] = [tool('cosign3'), tool('docker-registry')]
const node = { containerd: tool('containerd'), ctr: tool('ctr'), runc: tool('runc') }

/** `right horse`, by libxcrypt */
const users = 'user:$2b$05$pDGllR9dXhJzexMDKj16g.C6FYn8POTV1rTZaxE5MvtuSBeJLH1kO\n'
let project: Project
let made: string
let scratch: string
let archive: string
let predicate: ReleasePredicate
let server: ChildProcess
let told: { readonly url: string; readonly root: string }
let host: string
/** repository:tag of an image */
let image: string
let digest: string

beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  predicate = await readPredicate(made)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-serve-'))
  const certificate = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=site']
  await said(openssl.path, [...certificate, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'site.key', '-out', 'site.crt'])
  await writeFile(join(scratch, 'users'), users)
  await writeFile(join(scratch, 'root.json'), '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
  const auths = (registry: string): string =>
    JSON.stringify({ auths: { [registry]: { auth: Buffer.from('user:right horse').toString('base64') } } })
  const files = await folderFiles(made)
  archive = (await writeArchive(await archiveIndex(files, predicate, {}), files, join(scratch, 'rfo.tar'))).file
  server = start(['serve', archive, ...serve.slice(2), '--listen', '127.0.0.1:0', '--json'])
  told = JSON.parse(await firstLine(server))
  host = new URL(told.url).host
  await writeFile(join(scratch, 'config.json'), auths(host))
  const found = predicate.images.find(({ component }) => component === 'hardened-coredns')
  const { repository, tag } = parseReference(found?.reference ?? '')
  image = `${repository}:${tag}`
  digest = found?.digest ?? ''
})
afterAll(async () => {
  server?.kill('SIGKILL')
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

const serve = ['serve', version, '--key', '.rfo/sandbox/cosign.pub'] as const
const site = (): string[] =>
  ['tls-cert=site.crt', 'tls-key=site.key', 'htpasswd=users'].flatMap((each) => {
    const [name, file = ''] = each.split('=')
    return [`--${name}`, join(scratch, file)]
  })

function start(argv: readonly string[], more = site()): ChildProcess {
  return spawn(process.execPath, [join(root, 'bin', 'rfo-build.js'), ...argv, ...more], {
    cwd: project.folder,
    env: { PATH: process.env.PATH },
  })
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let [out, err] = ['', '']
    child.stderr?.on('data', (chunk: Buffer) => (err += chunk))
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk
      if (out.includes('\n')) resolve(out.slice(0, out.indexOf('\n')))
    })
    child.once('exit', () => reject(new Error(err)))
  })
}

/** What a program prints, of both kinds; it trusts the site's certificate and knows its password. */
function said(program: string, argv: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: scratch, SSL_CERT_FILE: join(scratch, 'site.crt'), DOCKER_CONFIG: scratch }
  return new Promise((resolve, reject) => {
    execFile(program, argv, { cwd: scratch, env, maxBuffer: 1 << 26, timeout: 100_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout + stderr) : reject(new Error(`${program}: ${stdout}${stderr}`)),
    )
  })
}

test('it says what it serves once it has been verified', () => {
  expect(told).toMatchObject({ ok: true, version, root: predicate.root.digest, url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+$/) })
})

test.skipIf(curl.skip)('curl: any file, the rest of one that broke off, nothing without the password', async () => {
  const file = predicate.files.find(({ path }) => path === 'rfo.linux-amd64')
  const url = `${told.url}/rfo.linux-amd64`
  const flags = ['-sS', '--fail', '--cacert', 'site.crt', '-u', 'user:right horse', '-o', 'got']
  await said(curl.path, [...flags, '-r', '0-99', url])
  await said(curl.path, [...flags, '-C', '-', url])
  expect(digestOf(await readFile(join(scratch, 'got')))).toBe(file?.digest)
  await expect(said(curl.path, [...flags.filter((each) => !/^-u$|horse/.test(each)), url])).rejects.toThrow('401')
})

test.skipIf(skopeo.skip || oras.skip || cosign.skip)('skopeo, oras and cosign: the image, what refers to it, its signature', async () => {
  await said(skopeo.path, ['copy', '--all', '--authfile', 'config.json', `docker://${host}/${image}`, 'oci:copied:x'])
  expect(JSON.parse(await readFile(join(scratch, 'copied/index.json'), 'utf8')).manifests[0].digest).toBe(digest)
  const { referrers } = JSON.parse(await said(oras.path, ['discover', '--format', 'json', `${host}/${image}`]))
  expect(referrers.length).toBeGreaterThan(0)
  const key = join(made, 'trust/cosign.pub')
  const output = await said(cosign.path, [
    'verify',
    '--key',
    key,
    '--insecure-ignore-tlog=true',
    '--trusted-root',
    'root.json',
    `${host}/${image}`,
  ])
  expect(output).toContain(digest)
  const tags = JSON.parse(
    await said(skopeo.path, ['list-tags', '--authfile', 'config.json', `docker://${host}/${image.replace(/:.*/, '')}`]),
  ).Tags
  expect(tags).toEqual(expect.arrayContaining([image.replace(/.*:/, ''), `${digest.replace(':', '-')}.sig`]))
})

test.skipIf(helm.skip || oras.skip)('helm: the chart and its signature', async () => {
  const chart = predicate.files.find(({ path }) => /^charts\/rke2-coredns-.*\.tgz$/.test(path))
  const folders = ['--repository-config', 'helm.yaml', '--repository-cache', 'helm']
  await said(helm.path, [
    'repo',
    'add',
    'site',
    `${told.url}/charts`,
    '--ca-file',
    'site.crt',
    '--username',
    'user',
    '--password',
    'right horse',
    ...folders,
  ])
  // the chart as an artifact, too
  const [, name, tag] = /^charts\/(.+)-(\d+\..+)\.tgz$/.exec(chart?.path ?? '') ?? []
  const { referrers } = JSON.parse(await said(oras.path, ['discover', '--format', 'json', `${host}/charts/${name}:${tag}`]))
  expect(referrers.length).toBe(1)
  const output = await said(helm.path, ['pull', 'site/rke2-coredns', '--verify', '--keyring', join(made, 'trust/helm-keyring'), ...folders])
  expect(output).toContain('Chart Hash Verified')
  expect(digestOf(await readFile(join(scratch, chart?.path.replace('charts/', '') ?? '')))).toBe(chart?.digest)
})

test.skipIf(dnf.skip)('--print-config: files that dnf and containerd are content with; a file of somebody’s stays', async () => {
  const config = join(scratch, 'config')
  const port = host.replace(/.*:/, '')
  const print = async () => await run(project.folder, [...serve, ...site(), '--listen', `0.0.0.0:${port}`, '--print-config', config])
  expect(await print()).toMatchObject({
    code: 0,
    stdout: ['registries.yaml', 'rfo.repo', 'rfo-serve-ca.crt'].map((name) => `${config}/${name}\n`).join(''),
  })
  expect(await readFile(join(config, 'registries.yaml'), 'utf8')).toBe(
    `mirrors:\n  docker.io:\n    endpoint:\n      - ${told.url}\nconfigs:\n  ${host}:\n    tls:\n      ca_file: /etc/rancher/rfo/rfo-serve-ca.crt\n`,
  )
  const repo = (await readFile(join(config, 'rfo.repo'), 'utf8')).replaceAll('/etc/rancher/rfo/', `${config}/`)
  await mkdir(join(scratch, 'repos'))
  // packages, and their sources
  await writeFile(join(scratch, 'repos/rfo.repo'), repo.replaceAll(/^\[.*\]$/gm, '$&\nusername=user\npassword=right horse'))
  const flags = [
    `--setopt=reposdir=${scratch}/repos`,
    `--setopt=cachedir=${scratch}/dnf`,
    `--installroot=${scratch}/installed`,
    '--releasever=1',
  ]
  expect(await said(dnf.path, [...flags, '-y', '--forcearch=x86_64', 'repoquery', 'rfo-server'])).toContain(
    'rfo-server-0:1.24.8~rfor1-1.x86_64',
  )
  await writeFile(join(config, 'registries.yaml'), 'mirrors: {}\n')
  expect(await print()).toMatchObject({ code: 2, stderr: expect.stringContaining('another file is there') })
})

test.skipIf(node.containerd.skip || node.ctr.skip || node.runc.skip)(
  'containerd pulls the image; its digest is the signed one',
  async () => {
    const containerd: Containerd = await startContainerd(join(scratch, 'containerd'), node)
    try {
      // by the name that a node knows, from the mirror that registries.yaml names
      await mkdir(join(scratch, 'hosts/docker.io'), { recursive: true })
      const password = Buffer.from('user:right horse').toString('base64')
      const mirror = `[host."${told.url}"]\nca = "${scratch}/site.crt"\n[host."${told.url}".header]\nAuthorization = "Basic ${password}"\n`
      await writeFile(join(scratch, 'hosts/docker.io/hosts.toml'), `server = "${told.url}"\n${mirror}`)
      await containerd.ctr('images', 'pull', '--snapshotter', 'native', '--hosts-dir', join(scratch, 'hosts'), `docker.io/${image}`)
      expect(await containerd.ctr('images', 'ls')).toContain(digest)
    } finally {
      await containerd.stop()
    }
  },
)

test.skipIf(dockerRegistry.skip || cosign.skip)(
  'load: into a registry without the referrers API, twice; a tag of another is not taken; signatures hold there',
  async () => {
    const registry = await startRegistry(dockerRegistry.path)
    try {
      const offer = await offerRelease(await folderFiles(made), predicate)
      const to = { registry: registry.host, prefix: 'site' }
      const load = (existing: LoadRequest['existing']) =>
        loadIntoRegistry({ offer, to, existing, session: createRegistrySession(), signal: new AbortController().signal })
      const other = repositoryStore(registry.host, `site/${image.replace(/:.*/, '')}`)
      const { index } = await tinyImage(other, 'other')
      await other.tag(index, image.replace(/.*:/, ''))
      await expect(load('refuse')).rejects.toMatchObject({ code: 'RFO_LOAD_EXISTING', exit: 'condition' })
      const skipped = await load('skip')
      const kept = { reference: `${registry.host}/site/${image}`, digest, state: 'other' }
      expect(skipped.filter(({ state }) => state !== 'present')).toEqual([kept])
      expect(skipped.length).toBe(predicate.images.length + 1) // and the chart
      const again = ['load', archive, '--key', '.rfo/sandbox/cosign.pub', '--to', `oci://${registry.host}/site`, '--existing', 'replace']
      const { code, stdout } = await run(project.folder, again)
      expect({ code, states: [...new Set(stdout.match(/^\w+/gm))] }).toEqual({ code: 0, states: ['present'] })
      expect(stdout).toContain(`present ${registry.host}/site/${image} ${digest}\n`)
      const key = join(made, 'trust/cosign.pub')
      const argv = ['verify', '--key', key, '--insecure-ignore-tlog=true', '--trusted-root', 'root.json', `${registry.host}/site/${image}`]
      expect(await said(cosign.path, argv)).toContain(digest)
    } finally {
      registry.stop()
    }
  },
)

test('load: killed at any request, no name leads to half an image, and the next run ends', async () => {
  let left = Number.POSITIVE_INFINITY
  let loading: ChildProcess | undefined
  const registry = await startSandboxRegistry({
    faults: () => {
      left -= 1
      if (left === 0) loading?.kill('SIGKILL')
      return undefined
    },
  })
  try {
    const offer = await offerRelease(await folderFiles(made), predicate)
    const argv = ['load', version, '--key', '.rfo/sandbox/cosign.pub', '--to', `oci://${registry.host}`]
    /** How many names there are, each whole. */
    const named = async (): Promise<number> => {
      let count = 0
      for (const [repository, tags] of offer.tags) {
        const there = repositoryStore(registry.host, repository)
        for (const [tag, wanted] of tags) {
          const index = await there.resolve(tag)
          if (index === undefined) continue
          expect(index.digest).toBe(wanted)
          await copyGraph([index], there, memoryStore(), { concurrency: 4 })
          count += 1
        }
      }
      return count
    }
    const seen: number[] = []
    for (const requests of [40, 150, 400]) {
      left = requests
      loading = start(argv, [])
      const [code, signal] = (await once(loading, 'exit')) as [number | null, string | null]
      expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
      left = Number.POSITIVE_INFINITY
      seen.push(await named())
    }
    expect((await run(project.folder, argv)).code).toBe(0)
    const all = [...offer.tags.values()].reduce((sum, tags) => sum + tags.size, 0)
    expect([await named(), seen.every((count) => count < all)]).toEqual([all, true])
  } finally {
    await registry.close()
  }
})

test('what was changed is not served; passwords in the clear leave loopback no more than half a key does', async () => {
  expect(await run(project.folder, [...serve, '--listen', '0.0.0.0:0', '--htpasswd', join(scratch, 'users')])).toMatchObject({ code: 2 })
  expect(await run(project.folder, [...serve, '--tls-cert', join(scratch, 'site.crt')])).toMatchObject({ code: 2 })
  expect(await run(project.folder, [...serve, '--listen', 'nowhere'])).toMatchObject({ code: 2 })
  const notes = join(made, 'RELEASE.md')
  const before = await readFile(notes)
  await writeFile(notes, 'changed')
  const { code, stdout, stderr } = await run(project.folder, [...serve, '--listen', '127.0.0.1:0'])
  expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: '', stderr: expect.stringContaining('RELEASE.md') })
  await writeFile(notes, before)
})

test('SIGTERM ends it, with 0', async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGTERM')
  expect(await ended).toBe(0)
})
