/** Registry credentials as Docker keeps them: https://docs.docker.com/reference/cli/docker/login/#configure-the-credential-store */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token: https://distribution.github.io/distribution/spec/auth/oauth/ */
  | { readonly kind: 'refresh'; readonly token: string }

/** host[:port] of the registry that is really spoken to → what to log in with; undefined = anonymously. */
export type CredentialSource = (registry: string) => Promise<Credential | undefined>

export const anonymous: CredentialSource = async () => undefined

interface Config {
  readonly auths?: Readonly<Record<string, { readonly auth?: unknown; readonly identitytoken?: unknown } | undefined>>
  readonly credHelpers?: Readonly<Record<string, unknown>>
  readonly credsStore?: unknown
}

/** Reads `$DOCKER_CONFIG/config.json`, else `$HOME/.docker/config.json`, when first asked; no file means no credentials. */
export function dockerCredentials(env: Readonly<Record<string, string | undefined>>): CredentialSource {
  const folder = env.DOCKER_CONFIG || (env.HOME === undefined ? undefined : join(env.HOME, '.docker'))
  const found = new Map<string, Promise<Credential | undefined>>()
  let config: Promise<Config> | undefined
  return (registry) => {
    if (folder === undefined) return Promise.resolve(undefined)
    config ??= readConfig(join(folder, 'config.json'))
    const known = found.get(registry) ?? config.then((read) => lookUp(read, registry, env))
    found.set(registry, known)
    return known
  }
}

async function readConfig(path: string): Promise<Config> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new RfoError('RFO_CONTENT_CREDENTIALS', `can't read it: ${(cause as NodeJS.ErrnoException).code}`, { exit: 'usage', where: path })
  }
  try {
    const config: unknown = JSON.parse(text)
    if (typeof config === 'object' && config !== null) return config as Config
  } catch {
    // said below; the parser's own message would quote the file
  }
  throw new RfoError('RFO_CONTENT_CREDENTIALS', 'not a JSON object', { exit: 'usage', where: path, next: 'docker login' })
}

/** Docker Hub's key is older than registries with names: https://github.com/docker/cli/blob/v27.3.1/cli/config/configfile/file.go */
const hub = 'https://index.docker.io/v1/'

async function lookUp(
  config: Config,
  registry: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Credential | undefined> {
  const names = registry === 'docker.io' ? [hub, 'docker.io', 'index.docker.io', 'registry-1.docker.io'] : [registry]
  for (const name of names) {
    const helper = config.credHelpers?.[name]
    if (helper !== undefined) return await askHelper(helper, name, env)
  }
  if (config.credsStore !== undefined && config.credsStore !== '') {
    for (const name of names.slice(0, 1)) {
      const credential = await askHelper(config.credsStore, name, env)
      if (credential !== undefined) return credential
    }
  }
  for (const [key, value] of Object.entries(config.auths ?? {})) {
    if (names.includes(key) || names.includes(hostOf(key))) {
      const credential = decode(value)
      if (credential !== undefined) return credential
    }
  }
  return undefined
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}

function decode(entry: { readonly auth?: unknown; readonly identitytoken?: unknown } | undefined): Credential | undefined {
  if (typeof entry?.identitytoken === 'string' && entry.identitytoken !== '') return { kind: 'refresh', token: entry.identitytoken }
  if (typeof entry?.auth !== 'string') return undefined
  const pair = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : { kind: 'password', username: pair.slice(0, colon), password: pair.slice(colon + 1) }
}

/** https://github.com/docker/docker-credential-helpers#development: the registry on stdin, JSON on stdout; a failure means that it has none. */
async function askHelper(
  helper: unknown,
  registry: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Credential | undefined> {
  if (typeof helper !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) {
    throw new RfoError('RFO_CONTENT_CREDENTIALS', 'the name of a credential helper is malformed', { exit: 'usage', where: registry })
  }
  const program = `docker-credential-${helper}`
  const given = Object.fromEntries(Object.entries(env).filter((each): each is [string, string] => each[1] !== undefined))
  let answer: { readonly Username?: unknown; readonly Secret?: unknown }
  try {
    const { stdout } = await exec([program, 'get'], { env: given, stdin: Buffer.from(`${registry}\n`), maxBytes: 64 * 1024 })
    answer = JSON.parse(stdout.toString('utf8'))
  } catch (thrown) {
    // its output may hold a secret: neither details nor cause are passed on
    if (thrown instanceof RfoError && thrown.code === 'RFO_EXEC_ABSENT') {
      throw new RfoError('RFO_CONTENT_CREDENTIALS', `no program ${program} on the PATH`, {
        exit: 'machine',
        where: registry,
        next: `install ${program}`,
      })
    }
    return undefined
  }
  const { Username: username, Secret: secret } = answer
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined
  return username === '<token>' ? { kind: 'refresh', token: secret } : { kind: 'password', username, password: secret }
}
