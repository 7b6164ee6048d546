import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compilePolicy, type PolicySource, policyTools } from '../../src/rpm/selinux-policy.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'

const [checkmodule, unpackage] = [tool('checkmodule'), tool('semodule_unpackage')]
const env = { PATH: process.env.PATH ?? '' }

const te = (more = ''): Buffer =>
  Buffer.from(`module rfo 1.0;
require {
	type unconfined_t;
	class process transition;
}
type rfo_t;
allow unconfined_t rfo_t:process transition;
${more}`)
const fc = Buffer.from('/usr/bin/rfo -- system_u:object_r:bin_t:s0\n')
const macros: PolicySource = {
  module: 'rfo',
  te: Buffer.from('policy_module(rfo, 1.0.0)\ntype rfo_t;\ndomain_type(rfo_t)\n'),
  fc: Buffer.from('/usr/bin/rfo -- gen_context(system_u:object_r:bin_t,s0)\n'),
}

test.skipIf(checkmodule.skip || unpackage.skip)(
  'a module is compiled of its source, the same twice, and SELinux’s own tool takes it apart',
  async () => {
    await inFolder(async (folder) => {
      const [one, two] = [join(folder, 'one'), join(folder, 'other place')]
      const made = await compilePolicy({ module: 'rfo', te: te(), fc }, { workDir: one, env })
      expect(
        (await compilePolicy({ module: 'rfo', te: te(), fc }, { workDir: two, env: { ...env, LC_ALL: 'zh_CN.UTF-8' } })).equals(made),
      ).toBe(true)
      expect([...readdirSync(one), ...readdirSync(two)]).toEqual([])
      writeFileSync(join(folder, 'rfo.pp'), made)
      const [mod, contexts] = [join(folder, 'rfo.mod'), join(folder, 'rfo.fc')]
      expect(run(unpackage.path, [join(folder, 'rfo.pp'), mod, contexts]).code).toBe(0)
      expect(readFileSync(contexts)).toEqual(fc)
      // what checkmodule wrote by itself
      writeFileSync(join(folder, 'rfo.te'), te())
      mkdirSync(join(folder, 'own'))
      execFileSync(checkmodule.path, ['-M', '-m', '-c', '19', '-o', join(folder, 'own/rfo.mod'), join(folder, 'rfo.te')])
      expect(readFileSync(mod)).toEqual(readFileSync(join(folder, 'own/rfo.mod')))
      const bad = compilePolicy({ module: 'rfo', te: te('allow nothing_t rfo_t:process transition;\n') }, { workDir: one, env })
      await expect(bad).rejects.toMatchObject({
        code: 'RFO_EXEC_FAILED',
        exit: 'build',
        details: expect.arrayContaining([expect.stringContaining('nothing_t')]),
      })
      await expect(compilePolicy({ module: '../x', te: te() }, { workDir: one, env })).rejects.toMatchObject({ code: 'RFO_RPM_SELINUX' })
      await expect(compilePolicy({ module: 'rfo', te: te() }, { workDir: one, env: { PATH: folder } })).rejects.toMatchObject({
        code: 'RFO_EXEC_ABSENT',
      })
    })
  },
)

test('a source in macros needs the headers of a policy', async () => {
  await inFolder(async (folder) => {
    expect(policyTools(macros)).toContain('m4')
    const made = compilePolicy(macros, { workDir: folder, env })
    if (existsSync('/usr/share/selinux/devel/Makefile') && !tool('m4').skip) {
      expect((await made).readUInt32LE(0)).toBe(0xf97cff8f)
      expect((await compilePolicy(macros, { workDir: join(folder, 'b'), env })).equals(await made)).toBe(true)
    } else await expect(made).rejects.toMatchObject({ code: 'RFO_RPM_SELINUX', exit: 'machine' })
  })
})
