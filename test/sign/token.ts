/** A token in software: SoftHSM in a folder of its own, with one key on P-256 that openssl made. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { generateKey } from '../../src/sign/key.ts'
import { tool } from '../tools.ts'

export const pin = 'pin-of-a-test-8461'

const softhsm = tool('softhsm2-util')
const folders = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'pkcs11'))
/** The folder in whose node_modules .ci/tools.sh compiled pkcs11js; undefined = nowhere. */
export const driverFolder = folders.find((folder) => existsSync(join(folder, 'node_modules/pkcs11js/build/Release/pkcs11.node')))
const module = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/softhsm/libsofthsm.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(existsSync)

export const skipTokens = softhsm.skip || driverFolder === undefined || module === undefined
if (skipTokens && process.env.RFO_REQUIRE_TOOLS === '1') throw new Error('SoftHSM or pkcs11js is missing: .ci/tools.sh installs both')
if (skipTokens) process.stderr.write('tests that need a token are skipped: SoftHSM or pkcs11js is missing (.ci/tools.sh installs both)\n')

export interface Token {
  readonly uri: string
  /** for whatever process opens it */
  readonly env: Readonly<Record<string, string>>
  readonly publicPem: string
}

export function makeToken(folder: string): Token {
  mkdirSync(join(folder, 'tokens'), { recursive: true })
  const SOFTHSM2_CONF = join(folder, 'softhsm2.conf')
  writeFileSync(SOFTHSM2_CONF, `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  const { privatePem, publicPem } = generateKey()
  writeFileSync(join(folder, 'imported.pem'), privatePem)
  const util = (args: readonly string[]) => execFileSync(softhsm.path, args, { env: { SOFTHSM2_CONF }, stdio: 'ignore' })
  util(['--init-token', '--free', '--label', 'rfo test', '--pin', pin, '--so-pin', '0000'])
  util(['--import', join(folder, 'imported.pem'), '--token', 'rfo test', '--label', 'signer', '--id', 'a1', '--pin', pin])
  return {
    uri: `pkcs11:token=rfo%20test;object=signer?module-path=${module}`,
    env: { SOFTHSM2_CONF, NODE_PATH: join(driverFolder ?? '', 'node_modules') },
    publicPem,
  }
}
