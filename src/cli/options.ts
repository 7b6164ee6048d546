/** The global flags: how they are written, and what they mean once the environment has had its say. */
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import { isPlatformName, type PlatformName, platformNames } from '../oci/platform.ts'
import { language } from '../report/messages.ts'
import type { ProgressKind } from '../report/renderer.ts'
import { type StandInKind, standInKinds } from '../sandbox/kinds.ts'
import type { Globals, Ports } from './context.ts'
import type { Flags, Option } from './verb.ts'

export const globalOptions: readonly Option[] = [
  { flags: '--json', help: 'json' },
  { flags: '--progress <how>', help: 'progress', choices: ['auto', 'tty', 'lines', 'json', 'none'] },
  { flags: '--lang <language>', help: 'lang', choices: ['en', 'zh'] },
  { flags: '--store <dir>', help: 'store', completes: 'directory' },
  { flags: '--out <dir>', help: 'out', completes: 'directory' },
  { flags: '--platform <names>', help: 'platform' },
  { flags: '--dry-run', help: 'dryRun' },
  { flags: '--sandbox', help: 'sandbox' },
  { flags: '--stand-in <kinds>', help: 'standIn' },
  { flags: '--key <file>', help: 'key', repeatable: true, completes: 'file' },
  { flags: '--trust <path>', help: 'trust', completes: 'file' },
  { flags: '--sign-key <uri>', help: 'signKey', repeatable: true, completes: 'file' },
]

/** Throws RFO_CLI_VALUE (exit usage) for a value that is none of the known ones. */
export function globalsOf(flags: Flags, ports: Ports): Globals {
  const { env, cwd } = ports
  const path = (name: string, variable: string | undefined, otherwise: string): string => {
    const given = flags.text(name) ?? (variable === undefined ? undefined : nonEmpty(env[variable]))
    return resolve(cwd, given ?? otherwise)
  }
  const trust = flags.text('trust') ?? nonEmpty(env.RFO_TRUST)
  const platforms = flags.text('platform')
  return {
    json: flags.on('json'),
    progress: (flags.text('progress') ?? 'auto') as ProgressKind /* the parser lets nothing else through */,
    lang: language(flags.text('lang'), env),
    storeDir: path('store', 'RFO_STORE', '.rfo'),
    outDir: path('out', undefined, 'dist'),
    platforms: platforms === undefined ? undefined : readPlatforms('--platform', platforms),
    dryRun: flags.on('dryRun'),
    standIns: flags.on('sandbox') ? 'all' : standInsOf(flags.text('standIn')),
    keys: (flags.list('key') ?? []).map((file) => resolve(cwd, file)),
    trustDir: trust === undefined ? undefined : resolve(cwd, trust),
    signKeys: flags.list('signKey') ?? split(env.RFO_SIGN_KEY ?? ''),
    caFile: flags.text('ca') ?? nonEmpty(env.RFO_CA),
    keyPassword: env.RFO_KEY_PASSWORD ?? env.COSIGN_PASSWORD,
  }
}

/** For whatever meets a registry. */
export const caOption: Option = { flags: '--ca <file>', help: 'ca', completes: 'file' }

/** `amd64` and `linux/amd64` are the same; order and repetition don't matter. */
export function readPlatforms(flag: string, text: string): readonly PlatformName[] {
  const asked = split(text).map((name) => (name.includes('/') ? name : `linux/${name}`))
  const unknown = asked.find((name) => !isPlatformName(name))
  if (unknown !== undefined || asked.length === 0) throw unknownValue(flag, unknown ?? text, platformNames)
  return platformNames.filter((name) => asked.includes(name))
}

function standInsOf(text: string | undefined): readonly StandInKind[] {
  if (text === undefined) return []
  const asked = split(text)
  const unknown = asked.find((kind) => !(standInKinds as readonly string[]).includes(kind))
  if (unknown !== undefined || asked.length === 0) throw unknownValue('--stand-in', unknown ?? text, standInKinds)
  return standInKinds.filter((kind) => asked.includes(kind))
}

function split(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function unknownValue(flag: string, value: string, known: readonly string[]): RfoError {
  return new RfoError('RFO_CLI_VALUE', `${flag} does not know ${JSON.stringify(value.slice(0, 60))}`, {
    exit: 'usage',
    next: `choose from ${known.join(', ')}`,
  })
}
