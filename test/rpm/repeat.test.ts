/** The same inputs and the same RSA key: the same signed bytes, elsewhere, at another time, by somebody else. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { generatePgpKey } from '../../src/sign/pgp.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'

const child = join(import.meta.dirname, 'repeat-child.ts')

/** By somebody else where that can be: root may, and the files of the project must be everybody's to read. */
function asNobody(): readonly string[] {
  const setpriv = tool('setpriv')
  const words = [setpriv.path, '--reuid=65534', '--regid=65534', '--clear-groups']
  const able = !setpriv.skip && spawnSync(words[0] ?? '', [...words.slice(1), process.execPath, '--check', child]).status === 0
  if (!able)
    process.stderr.write(
      'packages are made a second time by the same user: this one may not become another, or that one can read no project\n',
    )
  return able ? words : []
}

test('packages, lists, signatures and sources are the same bytes in another folder, with another umask, zone, language and user', async () => {
  await inFolder(async (folder) => {
    chmodSync(folder, 0o755)
    const key = join(folder, 'key.asc')
    writeFileSync(key, (await generatePgpKey('Nobody', 1640995200, 3072)).privateText)
    const make = (
      name: string,
      as: readonly string[],
      umask: string,
      env: Readonly<Record<string, string>>,
    ): ReadonlyMap<string, string> => {
      const at = join(folder, name)
      mkdirSync(at)
      chmodSync(at, 0o777)
      const shell = `umask ${umask}; cd ${at.replaceAll(' ', '\\ ')}; exec "$@"`
      const argv = ['-c', shell, 'sh', ...as, process.execPath, child, key]
      const ran = run('/bin/sh', argv, { TMPDIR: at, HOME: at, NODE_OPTIONS: '--no-warnings', ...env })
      expect(ran).toEqual({ code: 0, out: '' })
      const files = readdirSync(join(at, 'made'), { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
      const paths = files.map((each) => join(each.parentPath, each.name)).sort()
      return new Map(paths.map((path) => [path.slice(at.length), digestOf(readFileSync(path))]))
    }
    const one = make('one', [], '022', { TZ: 'UTC', LC_ALL: 'C' })
    const two = make('two of them', asNobody(), '077', {
      TZ: 'Asia/Shanghai',
      LC_ALL: 'zh_CN.UTF-8',
      LANG: 'tr_TR.UTF-8',
      SOURCE_DATE_EPOCH: '1',
    })
    expect(two).toEqual(one)
    expect([...one.keys()].filter((path) => path.endsWith('.rpm'))).toHaveLength(8)
    const [signed] = [...one.keys()].filter((path) => path.endsWith('x86_64.rpm'))
    expect(run('rpm', ['-qp', '--nosignature', '--qf', '%{RSAHEADER:pgpsig}', join(folder, 'one', signed ?? '')]).out).toMatch(
      /^RSA\/SHA256, /,
    )
  })
})
