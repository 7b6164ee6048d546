/** `keys generate`, `keys show`: key files in, fingerprints out. `keys rotate` has a file of its own. */
import { mkdir, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { CliContext } from './context.ts'
import { rotate } from './keys-rotate.ts'
import type { Group, Outcome, Verb } from './verb.ts'
import { word } from './words.ts'

const generate: Verb = {
  name: 'generate',
  summary: 'keysGenerate',
  arguments: [],
  options: [
    { flags: '--dir <dir>', help: 'keysGenerateDir', completes: 'directory' },
    { flags: '--sm2', help: 'keysGenerateSm2' },
    { flags: '--pgp', help: 'keysGeneratePgp' },
    { flags: '--cosign', help: 'keysGenerateCosign' },
  ],
  examples: ['keys generate --dir keys', 'keys generate --cosign', 'keys generate --sm2 --pgp'],
  async run(context, { flags }) {
    const folder = resolve(context.cwd, flags.text('dir') ?? '.')
    const [sm2, pgp] = [flags.on('sm2'), flags.on('pgp')]
    const pairs = [
      ...(sm2 || pgp ? [] : [await releasePair(context, flags.on('cosign'))]),
      ...(sm2 ? [await sm2Pair()] : []),
      ...(pgp ? [await pgpPair(context)] : []),
    ].map(({ stem, ...pair }) => ({ ...pair, private: join(folder, `${stem}.key`), public: join(folder, `${stem}.pub`) }))
    if (!context.dryRun) {
      await mkdir(folder, { recursive: true })
      for (const pair of pairs) {
        await writeNew(pair.private, pair.privateText, 0o600)
        await writeNew(pair.public, pair.publicText, 0o644)
      }
    }
    const told = pairs.map(({ private: privateFile, public: publicFile, fingerprint }) => ({
      private: privateFile,
      public: publicFile,
      fingerprint,
    }))
    return {
      text: told.map((values) => word(context.lang, 'keyMade', values)).join(''),
      json: told.length === 1 ? { ...told[0] } : { keys: told },
    }
  },
}

interface Pair {
  /** of the files' names */
  readonly stem: string
  readonly privateText: string
  readonly publicText: string
  readonly fingerprint: string
}

async function releasePair(context: CliContext, cosign: boolean): Promise<Pair> {
  const { generateKey, readPublicKey, writeCosignKey } = await import('../sign/key.ts')
  const { privatePem, publicPem } = generateKey()
  const privateText = cosign ? writeCosignKey(privatePem, passwordOf(context)) : privatePem
  return { stem: 'rfo', privateText, publicText: publicPem, fingerprint: readPublicKey(publicPem).fingerprint }
}

async function sm2Pair(): Promise<Pair> {
  const { generateSm2Key, readSm2PublicKey } = await import('../sign/sm2.ts')
  const { privatePem, publicPem } = generateSm2Key()
  return { stem: 'rfo.sm2', privateText: privatePem, publicText: publicPem, fingerprint: readSm2PublicKey(publicPem).fingerprint }
}

async function pgpPair(context: CliContext): Promise<Pair> {
  const { generatePgpKey, readPgpPublicKey } = await import('../sign/pgp.ts')
  const { privateText, publicText } = await generatePgpKey('RFO', Math.floor(context.now() / 1000), 4096)
  return { stem: 'rfo.pgp', privateText, publicText, fingerprint: (await readPgpPublicKey(Buffer.from(publicText))).fingerprint }
}

const show: Verb = {
  name: 'show',
  summary: 'keysShow',
  arguments: [{ syntax: '[file...]', help: 'keysShowArgument' }],
  options: [],
  examples: ['keys show rfo.pub'],
  async run(context, { args }): Promise<Outcome> {
    const { readTrustedKey, trustedKeyFiles } = await import('./key-files.ts')
    const files = args.length > 0 ? args.map((file) => resolve(context.cwd, file)) : await trustedKeyFiles(context)
    if (files.length === 0) throw new RfoError('RFO_CLI_USAGE', 'no key named', { exit: 'usage', next: 'rfo-build keys show rfo.pub' })
    const keys = (await Promise.all(files.map(readTrustedKey))).map(({ file, key }) => ({ file, fingerprint: key.fingerprint }))
    return { text: keys.map(({ file, fingerprint }) => `${fingerprint}  ${file}\n`).join(''), json: { keys } }
  },
}

export const keys: Group = { name: 'keys', summary: 'keys', verbs: [generate, show, rotate] }

function passwordOf(context: CliContext): string {
  const { keyPassword } = context
  if (keyPassword !== undefined && keyPassword !== '') return keyPassword
  throw new RfoError('RFO_CLI_PASSWORD', 'a cosign key file is encrypted and needs a password', {
    exit: 'usage',
    next: 'set RFO_KEY_PASSWORD',
  })
}

/** A key is never written over: what it has signed could no longer be re-made. */
async function writeNew(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause
    throw new RfoError('RFO_CLI_EXISTS', 'there is a key already and it is kept', {
      exit: 'usage',
      where: file,
      next: 'choose another --dir',
    })
  })
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
