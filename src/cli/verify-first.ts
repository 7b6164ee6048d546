/** Nobody said whom to trust: what the release says of its keys, in digits to read aloud, and where to compare them. */
import { RfoError } from '../error.ts'
import { foundKeys } from '../release/verify/found-keys.ts'
import type { ReleasePlace } from '../release/verify/place.ts'
import { spokenDigits } from '../sign/spoken.ts'
import type { CliContext } from './context.ts'
import { word } from './words.ts'

export async function withFoundKeys(context: CliContext, release: ReleasePlace, cause: RfoError): Promise<RfoError> {
  const found = await foundKeys(release)
  const details = [
    ...cause.details,
    ...found.flatMap(({ path, fingerprint }) => {
      const digits = spokenDigits(fingerprint)
      return [`${path}: ${fingerprint}`, ...(digits === undefined ? [] : [`  ${digits}`])]
    }),
    word(context.lang, 'verifySpoken'),
    ...(await placesOf(context)).map((place) => word(context.lang, 'verifyPublished', { place })),
  ]
  const { code, message, exit, where, next } = cause
  return new RfoError(code, message, {
    exit,
    ...(where === undefined ? {} : { where }),
    ...(next === undefined ? {} : { next }),
    details,
    cause,
  })
}

/** Of the project in which verify runs: the release could name any place. */
async function placesOf(context: CliContext): Promise<readonly string[]> {
  const { readReleaseFile } = await import('../release/inputs.ts')
  const file = await readReleaseFile(context.cwd).catch(() => undefined)
  return file === undefined ? [] : (file.fingerprints ?? [`${file.vendor}, ${file.url}`])
}
