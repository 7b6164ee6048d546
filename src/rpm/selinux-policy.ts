/**
 * A policy module out of its source, by SELinux's own tools: checkmodule and semodule_package, or the Makefile of the policy's headers where
 * the source is written in its macros. https://github.com/SELinuxProject/selinux-notebook/blob/main/src/modular_policy_statements.md
 */
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'

export interface PolicySource {
  /** `rfo` of `rfo.te` */
  readonly module: string
  readonly te: Buffer
  /** file contexts */
  readonly fc?: Buffer
  /** interfaces: read by the Makefile alone */
  readonly if?: Buffer
}

/** Of selinux-policy-devel (openEuler), selinux-policy-dev (Debian). */
const makefile = '/usr/share/selinux/devel/Makefile'

/** The newest form of a module that libsepol of openEuler 20.03 reads. */
const moduleVersion = '19'

/** Written in the macros of the policy's headers, `policy_module(rfo, 1.0)`; otherwise `module rfo 1.0;`. */
export function usesMacros({ te }: Pick<PolicySource, 'te'>): boolean {
  return /^\s*policy_module\s*\(/m.test(te.toString('latin1'))
}

/** Programs that compile it. */
export function policyTools(source: Pick<PolicySource, 'te'>): readonly string[] {
  return usesMacros(source) ? ['make', 'm4', 'checkmodule', 'semodule_package'] : ['checkmodule', 'semodule_package']
}

export interface PolicyOptions {
  readonly workDir: string
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** The module. Throws RFO_EXEC_ABSENT, RFO_EXEC_FAILED with what the compiler says, RFO_RPM_SELINUX. */
export async function compilePolicy(source: PolicySource, { workDir, env, signal }: PolicyOptions): Promise<Buffer> {
  const { module } = source
  if (!/^[a-z][a-z0-9_-]{0,40}$/.test(module))
    throw new RfoError('RFO_RPM_SELINUX', `${JSON.stringify(module).slice(0, 60)} is no name of a policy module`, { exit: 'usage' })
  await mkdir(workDir, { recursive: true })
  const cwd = await mkdtemp(join(workDir, 'policy-'))
  const run = async (...argv: readonly [string, ...string[]]): Promise<void> => {
    const own = { PATH: env.PATH ?? '', HOME: cwd, LC_ALL: 'C' }
    await exec(argv, { cwd, env: own, exit: 'build', ...(signal && { signal }) })
  }
  const file = (ending: string): string => `${module}.${ending}`
  try {
    for (const ending of ['te', 'fc', 'if'] as const) {
      const text = source[ending]
      if (text !== undefined) await writeFile(join(cwd, file(ending)), text)
    }
    if (usesMacros(source)) {
      await access(makefile).catch((cause) => {
        throw new RfoError('RFO_RPM_SELINUX', `${file('te')} is written in macros, and no headers of a policy are here`, {
          exit: 'machine',
          where: makefile,
          cause,
          next: 'install selinux-policy-devel (Debian: selinux-policy-dev), or give the compiled module',
        })
      })
      await run('make', '-f', makefile, file('pp'))
    } else {
      await run('checkmodule', '-M', '-m', '-c', moduleVersion, '-o', file('mod'), file('te'))
      const contexts = source.fc === undefined ? [] : ['-f', file('fc')]
      await run('semodule_package', '-o', file('pp'), '-m', file('mod'), ...contexts)
    }
    return await readFile(join(cwd, file('pp')))
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}
