/** `keys generate`, `keys show`: key files in, fingerprints out. */
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { CliContext } from './context.ts'
import type { Group, Invocation, Outcome, Verb } from './verb.ts'
import { word } from './words.ts'

const generate: Verb = {
  name: 'generate',
  summary: 'keysGenerate',
  arguments: [],
  options: [
    { flags: '--dir <dir>', help: 'keysGenerateDir', completes: 'directory' },
    { flags: '--cosign', help: 'keysGenerateCosign' },
  ],
  examples: ['keys generate --dir keys', 'keys generate --cosign'],
  async run(context, { flags }) {
    const { generateKey, readPublicKey, writeCosignKey } = await import('../sign/key.ts')
    const { privatePem, publicPem } = generateKey()
    const privateText = flags.on('cosign') ? writeCosignKey(privatePem, passwordOf(context)) : privatePem
    const folder = resolve(context.cwd, flags.text('dir') ?? '.')
    const [privateFile, publicFile] = [join(folder, 'rfo.key'), join(folder, 'rfo.pub')]
    if (!context.dryRun) {
      await mkdir(folder, { recursive: true })
      await writeNew(privateFile, privateText, 0o600)
      await writeNew(publicFile, publicPem, 0o644)
    }
    const { fingerprint } = readPublicKey(publicPem)
    const values = { private: privateFile, public: publicFile, fingerprint }
    return { text: word(context.lang, 'keyMade', values), json: values }
  },
}

const show: Verb = {
  name: 'show',
  summary: 'keysShow',
  arguments: [{ syntax: '[file...]', help: 'keysShowArgument' }],
  options: [],
  examples: ['keys show rfo.pub'],
  async run(context, { args }): Promise<Outcome> {
    const { readPublicKey } = await import('../sign/key.ts')
    const keys = []
    for (const file of await keyFiles(context, args)) {
      const text = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new RfoError('RFO_CLI_FILE', 'can’t read the key', { exit: 'usage', where: file, cause })
      })
      try {
        keys.push({ file, fingerprint: readPublicKey(text).fingerprint })
      } catch (thrown) {
        throw thrown instanceof RfoError ? thrown.at(file) : thrown
      }
    }
    return { text: keys.map(({ file, fingerprint }) => `${fingerprint}  ${file}\n`).join(''), json: { keys } }
  },
}

export const keys: Group = { name: 'keys', summary: 'keys', verbs: [generate, show] }

/** Named files, else --key, else all of --trust. */
async function keyFiles(context: CliContext, args: Invocation['args']): Promise<readonly string[]> {
  if (args.length > 0) return args.map((file) => resolve(context.cwd, file))
  const { trustDir } = context
  const trusted = trustDir === undefined ? [] : (await readdir(trustDir)).filter((name) => /\.(pub|pem)$/.test(name)).sort()
  const files = [...context.keys, ...trusted.map((name) => join(trustDir ?? '', name))]
  if (files.length === 0) throw new RfoError('RFO_CLI_USAGE', 'no key named', { exit: 'usage', next: 'rfo-build keys show rfo.pub' })
  return files
}

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
