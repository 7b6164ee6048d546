/** `serve`: a release as registry, chart repository, package repository and files, straight from where it lies. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'
import { RfoError, toRfoError } from '../error.ts'
import { printable } from '../report/printable.ts'
import type { ClientFile } from '../serve/client-files.ts'
import type { CliContext } from './context.ts'
import { readGivenFile } from './given-file.ts'
import type { Flags, Outcome, Verb } from './verb.ts'
import { verifiedRelease } from './verified-release.ts'
import { word } from './words.ts'

export const serve: Verb = {
  name: 'serve',
  summary: 'serve',
  arguments: [{ syntax: '<release>', help: 'carriedArgument' }],
  options: [
    { flags: '--listen <address>', help: 'serveListen' },
    { flags: '--tls-cert <file>', help: 'serveTlsCert', completes: 'file' },
    { flags: '--tls-key <file>', help: 'serveTlsKey', completes: 'file' },
    { flags: '--htpasswd <file>', help: 'serveHtpasswd', completes: 'file' },
    { flags: '--print-config <dir>', help: 'servePrintConfig', completes: 'directory' },
    { flags: '--name <host>', help: 'serveName' },
  ],
  examples: [
    'serve v1.24.8+rfor1 --key rfo.pub',
    'serve /media/rfo-v1.24.8+rfor1.tar --key rfo.pub --listen 0.0.0.0:5000 --tls-cert site.crt --tls-key site.key --htpasswd users',
    'serve /media/rfo --key rfo.pub --listen 0.0.0.0:5000 --tls-cert site.crt --tls-key site.key --print-config node-files',
  ],
  async run(context, { args: [target = ''], flags }) {
    const { host, port } = addressOf(flags.text('listen') ?? '127.0.0.1:5000')
    const tls = await tlsOf(context, flags)
    const gate = await gateOf(context, flags)
    const { isLoopback } = await import('../content/exchange.ts')
    if (gate !== undefined && tls === undefined && !isLoopback(host))
      throw usage('passwords would cross the network unencrypted', 'give --tls-cert and --tls-key, or listen on 127.0.0.1')
    const config = flags.text('printConfig')
    const base = config === undefined ? '' : `${tls === undefined ? 'http' : 'https'}://${await clientName(host, flags, tls?.cert)}:${port}`
    const { files, predicate, root, fingerprint } = await verifiedRelease(context, target)
    if (config !== undefined) {
      await files.close()
      const { clientFiles } = await import('../release/client-files.ts')
      return await writeConfig(resolve(context.cwd, config), clientFiles(predicate, base, tls?.cert))
    }
    const { offerRelease } = await import('../release/offer.ts')
    const { serveOffer } = await import('../serve/server.ts')
    const serving = await serveOffer({
      offer: await offerRelease(files, predicate),
      host,
      port,
      ...(tls === undefined ? {} : { tls }),
      ...(gate === undefined ? {} : { gate }),
      onRefused: (path, thrown) => context.stderr.write(`${printable(toRfoError(thrown).at(path).line())}\n`),
    })
    const { url } = serving
    context.stderr.write(`${word(context.lang, 'serveTold', { version: predicate.version, root, fingerprint })}\n`)
    const document = { schema: 'rfo-build.serve/1', ok: true, exit: 0, url, version: predicate.version, root, fingerprint }
    context.stdout(context.json ? `${JSON.stringify(document)}\n` : `${url}\n`)
    if (!context.signal.aborted) await new Promise((end) => context.signal.addEventListener('abort', end, { once: true }))
    await serving.close()
    await files.close()
    return { text: '', json: {}, told: true }
  },
}

/** `host:port`, `:port` (every address), `[::1]:port`. */
function addressOf(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text) ?? []
  const number = Number(port ?? Number.NaN)
  if (!(number <= 65_535)) throw usage(`not an address: ${text.slice(0, 100)}`, '--listen <host>:<port>, as in 0.0.0.0:5000')
  return { host: bracketed ?? (plain === undefined || plain === '' ? '0.0.0.0' : plain), port: number }
}

async function tlsOf(context: CliContext, flags: Flags): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  const [cert, key] = [flags.text('tlsCert'), flags.text('tlsKey')]
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw usage('--tls-cert and --tls-key go together', 'rfo-build serve --help')
  const read = { cert: await readGivenFile(context, cert), key: await readGivenFile(context, key) }
  const { createSecureContext } = await import('node:tls')
  try {
    createSecureContext(read)
  } catch {
    // OpenSSL's own words may quote the key's file
    throw usage('not a certificate and its key, as PEM without a password', 'rfo-build serve --help', cert)
  }
  return read
}

async function gateOf(context: CliContext, flags: Flags) {
  const file = flags.text('htpasswd')
  if (file === undefined) return undefined
  const { htpasswdGate } = await import('../serve/passwords.ts')
  return htpasswdGate(await readGivenFile(context, file), file)
}

/** Clients know the server by a name; that of no particular address is none. */
async function clientName(host: string, flags: Flags, cert: string | undefined): Promise<string> {
  const { nameIn } = await import('../serve/client-files.ts')
  const given = flags.text('name') ?? (host === '0.0.0.0' || host === '::' ? (cert === undefined ? undefined : nameIn(cert)) : host)
  if (given === undefined) throw usage('by which name do clients reach this server?', '--name <host>')
  return given.includes(':') ? `[${given}]` : given
}

/** What stands there with other content is a person's. */
async function writeConfig(folder: string, files: readonly ClientFile[]): Promise<Outcome> {
  const { makeFolder } = await import('../content/atomic.ts')
  await makeFolder(folder)
  for (const { name, text } of files) {
    const there = await readFile(join(folder, name), 'utf8').catch(() => undefined)
    if (there !== undefined && there !== text)
      throw usage('another file is there', 'name a folder of its own, or move the file away', join(folder, name))
  }
  for (const { name, text } of files) await writeFileOnce(folder, bytesBody(Buffer.from(text)), () => join(folder, name))
  const paths = files.map(({ name }) => join(folder, name))
  return { text: paths.map((path) => `${path}\n`).join(''), json: { files: paths } }
}

function usage(message: string, next: string, where?: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', message, { exit: 'usage', next, ...(where === undefined ? {} : { where }) })
}
