import { expect, test } from 'vitest'
import type { Ports } from '../../src/cli/context.ts'
import { globalsOf } from '../../src/cli/options.ts'
import { flagsOf } from '../../src/cli/verb.ts'

const globals = (values: Readonly<Record<string, unknown>>, env: Readonly<Record<string, string>> = {}) =>
  globalsOf(flagsOf(values), { env, cwd: '/here' } as unknown as Ports)

test('nothing given: folders of the working directory, all platforms, nothing stands in', () => {
  expect(globals({})).toEqual({
    json: false,
    progress: 'auto',
    lang: 'en',
    storeDir: '/here/.rfo',
    outDir: '/here/dist',
    platforms: undefined,
    dryRun: false,
    standIns: [],
    keys: [],
    trustDir: undefined,
    signKeys: [],
    caFile: undefined,
    keyPassword: undefined,
  })
})

test('a flag wins over the environment, and an empty variable is none', () => {
  const env = { RFO_STORE: '/env/store', RFO_TRUST: 'trusted', RFO_SIGN_KEY: 'env.key', COSIGN_PASSWORD: 'c' }
  expect(globals({ store: 'mine' }, env)).toMatchObject({
    storeDir: '/here/mine',
    trustDir: '/here/trusted',
    signKeys: ['env.key'],
    keyPassword: 'c',
  })
  expect(globals({}, { ...env, RFO_STORE: '', RFO_KEY_PASSWORD: 'r' })).toMatchObject({ storeDir: '/here/.rfo', keyPassword: 'r' })
})

test('platforms and stand-ins are sets, in the order of their tables', () => {
  expect(globals({ platform: 'riscv64, linux/amd64,amd64' }).platforms).toEqual(['linux/amd64', 'linux/riscv64'])
  expect(globals({ standIn: 'git,bases,git' }).standIns).toEqual(['bases', 'git'])
  expect(globals({ standIn: 'git', sandbox: true }).standIns).toBe('all')
})
