/** A text that a person names on the command line. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { CliContext } from './context.ts'

/** Throws RFO_CLI_VALUE (exit usage) when it can't be read. */
export async function readGivenFile({ cwd }: Pick<CliContext, 'cwd'>, name: string): Promise<string> {
  const file = resolve(cwd, name)
  return await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_VALUE', `can't read it: ${cause.code}`, { exit: 'usage', where: file, cause })
  })
}

/** Of --ca or RFO_CA. */
export async function givenCa(context: Pick<CliContext, 'cwd' | 'caFile'>): Promise<{ readonly ca?: string }> {
  return context.caFile === undefined ? {} : { ca: await readGivenFile(context, context.caFile) }
}
