/**
 * A signing config: which services certify, log and stamp.
 * https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto (SigningConfig)
 */
import { type Service, type ServiceConfiguration, ServiceSelector, SigningConfig } from '@sigstore/protobuf-specs'
import { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json, parseJson } from '../oci/json.ts'

export interface LogService {
  readonly url: string
  /** of its interface: Rekor 1 gives a promise with a time, Rekor 2 needs a time stamp beside it */
  readonly version: 1 | 2
}

export interface SigningServices {
  /** Fulcio */
  readonly authority: string
  readonly log?: LogService
  /** the whole URL that takes requests */
  readonly stamps?: string
  /** of the config */
  readonly digest: Digest
}

const mediaType = 'application/vnd.dev.sigstore.signingconfig.v0.2+json'

/** `now` in milliseconds: a config names services of the past and of the future too. Throws RFO_SIGN_SERVICES (exit usage). */
export function readSigningConfig(text: string, now: number): SigningServices {
  try {
    const value = parseJson(text) as Json
    const config = SigningConfig.fromJSON(value)
    if (config.mediaType !== mediaType)
      throw unreadable(`its media type is ${JSON.stringify(config.mediaType.slice(0, 100))}, not ${mediaType}`)
    const authority = newest(config.caUrls, 1, now)
    if (authority === undefined) throw unreadable('it names no certificate authority that is valid now')
    const log = chosen(config.rekorTlogUrls, config.rekorTlogConfig, 2, now)
    const stamps = chosen(config.tsaUrls, config.tsaConfig, 1, now)
    if (stamps === undefined && log?.majorApiVersion !== 1)
      throw unreadable('none of its services signs the time: a Rekor 1 or a time stamp authority')
    return {
      authority: authority.url,
      ...(log === undefined ? {} : { log: { url: log.url, version: log.majorApiVersion === 2 ? 2 : 1 } }),
      ...(stamps === undefined ? {} : { stamps: stamps.url }),
      digest: digestOf(canonicalJson(value)),
    }
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.code !== 'RFO_OCI_JSON') throw thrown
    throw unreadable((thrown as Error).message.slice(0, 200))
  }
}

/** One service is what we ask: more than one signature of a kind is no form that cosign verifies everywhere. */
function chosen(services: readonly Service[], wanted: ServiceConfiguration | undefined, version: number, now: number): Service | undefined {
  if (services.length === 0) return undefined
  const { selector, count = 0 } = wanted ?? {}
  if (selector !== ServiceSelector.ANY && !(selector === ServiceSelector.EXACT && count === 1))
    throw unreadable('it asks for several services of one kind, or does not say how many')
  const found = newest(services, version, now)
  if (found === undefined) throw unreadable('it names services that none is valid of now')
  return found
}

function newest(services: readonly Service[], version: number, now: number): Service | undefined {
  const begins = ({ validFor }: Service): number => validFor?.start?.getTime() ?? 0
  return services
    .filter((each) => each.majorApiVersion >= 1 && each.majorApiVersion <= version && URL.canParse(each.url))
    .filter((each) => begins(each) <= now && (each.validFor?.end?.getTime() ?? now) >= now)
    .sort((a, b) => begins(b) - begins(a))[0]
}

function unreadable(why: string): RfoError {
  return new RfoError('RFO_SIGN_SERVICES', `can't read the signing config: ${why}`, {
    exit: 'usage',
    next: 'give a signing config v0.2 in JSON, as cosign signing-config create writes it',
  })
}
