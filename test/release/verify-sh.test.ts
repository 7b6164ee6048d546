/** verify.sh as an auditor runs it: on a real release, with the programs that it says it needs and no others. */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import { signBlob } from '../../src/sign/bundle.ts'
import { generateKey, readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, type Ran, root, run, version } from './project.ts'
import { resigned, signedAnew } from './resigned.ts'

const script = join(root, 'install/verify.sh')
const programs = ['awk', 'cat', 'find', 'grep', 'mktemp', 'openssl', 'rm', 'sed', 'sha256sum', 'sort', 'tr', 'wc'] as const
const found = programs.map((name) => [name, tool(name)] as const)
const shells = [
  { name: 'dash', tool: tool('dash'), argv: [] as string[] },
  { name: 'busybox', tool: tool('busybox'), argv: ['sh'] },
]
const shellcheck = tool('shellcheck')
const skip = found.some(([, { skip: missing }]) => missing)

let project: Project
let made: string
let sandboxKey: string
let key: SigningKey
let scratch: string

beforeAll(async () => {
  if (skip) return
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  sandboxKey = join(project.folder, '.rfo/sandbox/cosign.pub')
  key = readSigningKey(await readFile(join(project.folder, '.rfo/sandbox/cosign.key'), 'utf8'))
  scratch = await mkdtemp(join(tmpdir(), 'rfo-verify-sh-'))
  for (const shell of shells.filter((each) => !each.tool.skip)) {
    await mkdir(join(scratch, shell.name))
    for (const [name, { path }] of found) {
      const applet = shell.name === 'busybox' && name !== 'openssl'
      await symlink(applet ? shell.tool.path : path, join(scratch, shell.name, name))
    }
  }
})
afterAll(async () => {
  if (skip) return
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

let copies = 0
/** A copy of the release, changed. Its files are links: whoever changes one puts another in its place. */
async function changed(change: (folder: string) => Promise<unknown>): Promise<string> {
  copies += 1
  const folder = join(scratch, `copy ${copies}`)
  for (const entry of await readdir(made, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const target = join(folder, relative(made, path))
    await mkdir(entry.isDirectory() ? target : dirname(target), { recursive: true })
    if (entry.isFile()) await link(path, target)
  }
  await change(folder)
  return folder
}

async function put(path: string, bytes: string | Uint8Array): Promise<void> {
  await rm(path, { force: true })
  await writeFile(path, bytes)
}

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  const place = Math.floor(bytes.length / 2)
  bytes[place] = (bytes[place] ?? 0) ^ 1
  await put(file, bytes)
}

/** Whoever signs anew leaves no bundle of a file that is listed no longer. */
async function anotherStatement(folder: string, change: (predicate: ReleasePredicate) => void): Promise<void> {
  const predicate = await resigned(folder, key, change)
  const listed = new Set(predicate.files.map((file) => `${hex(file.digest)}.sigstore.json`))
  for (const name of await readdir(join(folder, 'evidence')))
    if (/^[0-9a-f]{64}\./.test(name) && !listed.has(name)) await unlink(join(folder, 'evidence', name))
}

/** Another text of a list, signed, and the statement agrees with it. */
async function relisted(folder: string, list: string, edit: (text: string) => string, also: (predicate: ReleasePredicate) => void) {
  const text = edit(await readFile(join(folder, list), 'utf8'))
  await put(join(folder, list), text)
  await put(join(folder, `${list}.sig`), (await signBlob(Buffer.from(text), key)).signature)
  await anotherStatement(folder, (predicate) => {
    const entry = predicate.files.find(({ path }) => path === list)
    Object.assign(entry ?? {}, { digest: digestOf(text), size: text.length, sm3: createHash('sm3').update(text).digest('hex') })
    also(predicate)
  })
}

async function dropStandIns(folder: string, also: (predicate: ReleasePredicate) => void): Promise<void> {
  await unlink(join(folder, 'SANDBOX'))
  for (const list of ['sha256sum-amd64.txt', 'sm3sum-amd64.txt'])
    await relisted(
      folder,
      list,
      (text) => text.replace(/^.*SANDBOX\n/m, ''),
      (predicate) => {
        Object.assign(predicate, { files: predicate.files.filter(({ path }) => path !== 'SANDBOX'), standInKey: undefined })
        also(predicate)
      },
    )
}

async function firstLayer(folder: string): Promise<string> {
  const [image] = (await readPredicate(folder)).images
  const platform = image?.platforms['linux/amd64']
  const manifest = platform?.status === 'made' ? hex(platform.digest) : ''
  const { layers } = JSON.parse(await readFile(join(folder, 'oci/blobs/sha256', manifest), 'utf8')) as { layers: { digest: string }[] }
  return `oci/blobs/sha256/${layers[0]?.digest.slice('sha256:'.length)}`
}

test.skipIf(shellcheck.skip)('shellcheck has nothing to say', () => {
  execFileSync(shellcheck.path, ['-s', 'sh', script])
})

test.skipIf(skip)('it ships in the release as it is, executable, and both notes name its digest', async () => {
  const shipped = join(made, 'verify.sh')
  const bytes = await readFile(shipped)
  expect(bytes.equals(await readFile(script))).toBe(true)
  expect(((await stat(shipped)).mode & 0o777).toString(8)).toBe('755')
  for (const notes of ['RELEASE.md', 'RELEASE.zh.md'])
    expect(await readFile(join(made, notes), 'utf8')).toContain(`\`${hex(digestOf(bytes))}\``)
})

describe.each(shells)('with $name', (shell) => {
  const call = (argv: readonly string[], { cwd = scratch, from = script, path = join(scratch, shell.name) } = {}): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { PATH: path, TMPDIR: scratch }
      const child = execFile(shell.tool.path, [...shell.argv, from, ...argv], { cwd, env }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      )
    })
  const verify = (folder: string, ...argv: string[]): Promise<Ran> => call(['--key', sandboxKey, ...argv, folder])
  const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? ''

  /** Refused with one line that names the file, without a claim that it was verified, and nothing is left behind. */
  const refused = async (ran: Ran, code: number, what: string, file: string): Promise<void> => {
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(what)])
    expect(lastLine(ran.stderr)).toMatch(/^verify\.sh: [ -~]+$/)
    expect(lastLine(ran.stderr).endsWith(` (${file})`), ran.stderr).toBe(true)
    expect(ran.stdout).not.toMatch(/^verified /m)
    expect((await readdir(scratch)).filter((name) => name.startsWith('rfo-verify.'))).toEqual([])
  }

  describe.skipIf(skip || shell.tool.skip)('a release', () => {
    test('that nobody touched is verified, and what was not looked at is said', async () => {
      const ran = await verify(made, '--expect', version)
      expect([ran.code, ran.stderr]).toEqual([0, ''])
      expect(lastLine(ran.stdout)).toBe(`verified ${version} ${key.publicKey.fingerprint} [SANDBOX]`)
      expect(ran.stdout).toContain(`proven: evidence/release.json is signed by ${key.publicKey.fingerprint}\n`)
      expect(ran.stdout).toContain(`proven: ${(await readPredicate(made)).files.length} files have the SHA-256 that was signed`)
      expect(ran.stdout).toMatch(/^not checked: SM3 of the files/m)
      expect(ran.stdout).toMatch(/^not checked: oci\/index\.json.* signatures and attestations of images.*cosign verify/m)
      expect(ran.stdout).toMatch(/^not checked: PGP signatures.*helm verify, rpm -K/m)
    })

    test('is the folder that the script lies in, with a key by a relative path', async () => {
      const ran = await call(['--key', '../../.rfo/sandbox/cosign.pub', '--sm3'], { cwd: made, from: 'verify.sh' })
      expect([ran.code, ran.stderr]).toEqual([0, ''])
      expect(ran.stdout).toMatch(/^proven: \d+ files have the SM3 that was signed$/m)
    })

    test('without stand-ins has no mark', async () => {
      const folder = await changed((copy) => dropStandIns(copy, (predicate) => predicate.standIns.splice(0)))
      const ran = await verify(folder)
      expect([ran.code, ran.stderr]).toEqual([0, ''])
      expect(lastLine(ran.stdout)).toBe(`verified ${version} ${key.publicKey.fingerprint}`)
    })

    test('with evidence that came later is verified, and that evidence is named as not looked at', async () => {
      const ran = await verify(await changed((copy) => writeFile(join(copy, 'evidence/test-result.linux-amd64.tar.gz'), 'x')))
      expect(ran.code).toBe(0)
      expect(ran.stdout).toContain('not checked: evidence/test-result.linux-amd64.tar.gz: ')
    })
  })

  describe.skipIf(skip || shell.tool.skip)('is refused', () => {
    test('without a key: exit 5 and the fingerprint that was found', async () => {
      const ran = await call([made])
      await refused(ran, 5, 'proves nothing', 'trust/cosign.pub')
      expect(ran.stderr).toContain(key.publicKey.fingerprint)
    })

    test('with another key', async () => {
      const other = join(scratch, 'other.pub')
      await writeFile(other, generateKey().publicPem)
      await refused(await call(['--key', other, made]), 3, 'not signed by the key given', 'evidence/release.sigstore.json')
    })

    test('as another version', async () => {
      await refused(await verify(made, '--expect', 'v1.24.9+rfor1'), 3, `is about ${version}, not v1.24.9+rfor1`, 'evidence/release.json')
    })

    test('with what is no option, key or folder', async () => {
      await refused(await verify(made, '--force'), 2, 'no such option', '--force')
      await refused(await verify('', '--sm3'), 2, 'no such option or folder', '')
      await refused(await verify(join(made, 'none')), 2, 'no such folder', join(made, 'none'))
      await refused(await call([made, '--key']), 2, 'a value is missing', '--key')
      await refused(await call(['--key', script, made]), 2, 'not a public key', script)
      expect(await call(['--help'])).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^usage: sh verify\.sh/) })
    })

    test('by a machine that lacks a program', async () => {
      const path = join(scratch, `${shell.name} without awk`)
      await cp(join(scratch, shell.name), path, { recursive: true, verbatimSymlinks: true })
      await unlink(join(path, 'awk'))
      // busybox finds its own applets whatever PATH says
      if (shell.name !== 'busybox') await refused(await call(['--key', sandboxKey, made], { path }), 9, 'a program is missing', 'awk')
      await unlink(join(path, 'openssl'))
      expect(await call(['--key', sandboxKey, made], { path })).toMatchObject({ code: 9, stdout: '' })
    })

    const extra = 'an extra file'
    test.each<[string, string, string, (folder: string) => Promise<unknown>]>([
      ['a changed byte in a file', 'its SHA-256', 'plan.json', (folder) => flip(join(folder, 'plan.json'))],
      ['a changed byte in a list', 'its signature', 'sha256sum-amd64.txt', (folder) => flip(join(folder, 'sha256sum-amd64.txt'))],
      ['a changed byte in an SM3 list', 'its signature', 'sm3sum-amd64.txt', (folder) => flip(join(folder, 'sm3sum-amd64.txt'))],
      ['a changed byte in the statement', 'signs', 'evidence/release.json', (folder) => flip(join(folder, 'evidence/release.json'))],
      ['a changed byte in a key', 'its SHA-256', 'trust/cosign.pub', (folder) => flip(join(folder, 'trust/cosign.pub'))],
      ['another script', 'its SHA-256', 'verify.sh', (folder) => put(join(folder, 'verify.sh'), 'exit 0')],
      ['a missing file', 'is missing', 'RELEASE.md', (folder) => unlink(join(folder, 'RELEASE.md'))],
      ['a missing list', 'is missing', 'sm3sum-amd64.txt', (folder) => unlink(join(folder, 'sm3sum-amd64.txt'))],
      ['a missing key', 'is missing', 'trust/cosign.pub', (folder) => unlink(join(folder, 'trust/cosign.pub'))],
      ['no signature of a list', 'is missing', 'sha256sum-amd64.txt.sig', (folder) => unlink(join(folder, 'sha256sum-amd64.txt.sig'))],
      ['an extra file', extra, 'install.sh', (folder) => writeFile(join(folder, 'install.sh'), 'x')],
      ['an extra key', extra, 'trust/other.pub', (folder) => writeFile(join(folder, 'trust/other.pub'), 'x')],
      ['an extra list', extra, 'sha256sum-s390x.txt', (folder) => writeFile(join(folder, 'sha256sum-s390x.txt'), '')],
      ['an extra key of packages', extra, 'rpm/RPM-GPG-KEY-x', (folder) => writeFile(join(folder, 'rpm/RPM-GPG-KEY-x'), 'x')],
      ['a blob with another name', extra, 'oci/blobs/sha256/x', (folder) => writeFile(join(folder, 'oci/blobs/sha256/x'), 'x')],
      [
        'a folder in evidence',
        extra,
        'evidence/a/b',
        (folder) => mkdir(join(folder, 'evidence/a')).then(() => writeFile(join(folder, 'evidence/a/b'), '')),
      ],
      ['an empty folder', 'nothing in it', 'rpm/empty', (folder) => mkdir(join(folder, 'rpm/empty'))],
      ['a line break in a name', 'a name', 'RELEASE.md?x', (folder) => writeFile(join(folder, 'RELEASE.md\nx'), '')],
      ['a line break that would hide a file', 'a name', 'RELEASE.md?.', (folder) => mkdir(join(folder, 'RELEASE.md\n.'))],
      ['control characters in a name', 'a name', 'a?[2Jb', (folder) => writeFile(join(folder, 'a\u001b[2Jb'), '')],
      ['a name with a space', 'a name', 'evidence/a b', (folder) => writeFile(join(folder, 'evidence/a b'), '')],
      ['a name that is no ASCII', 'a name', 'evidence/??', (folder) => writeFile(join(folder, 'evidence/é'), '')],
      ['a name like an option', 'a name', '-rf', (folder) => writeFile(join(folder, '-rf'), '')],
      ['no layout', 'is missing', 'oci/index.json', (folder) => unlink(join(folder, 'oci/index.json'))],
    ])('%s', async (_what, what, file, change) => {
      await refused(await verify(await changed(change)), 3, what, file)
    })

    test('a link instead of a file, even to the same bytes', async () => {
      const folder = await changed(async (copy) => {
        await unlink(join(copy, 'plan.json'))
        await symlink(join(made, 'plan.json'), join(copy, 'plan.json'))
      })
      await refused(await verify(folder), 3, 'neither a regular file nor a folder', 'plan.json')
      const above = await changed(async (copy) => {
        await rename(join(copy, 'trust'), join(scratch, `trust ${copies}`))
        await symlink(join(scratch, `trust ${copies}`), join(copy, 'trust'))
      })
      await refused(await verify(above), 3, 'neither a regular file nor a folder', 'trust')
    })

    test('a changed or missing blob of an image', async () => {
      const layer = await firstLayer(made)
      await refused(await verify(await changed((copy) => flip(join(copy, layer)))), 3, 'its SHA-256', layer)
      await refused(await verify(await changed((copy) => unlink(join(copy, layer)))), 3, 'a config or layer', layer)
      const index = `oci/blobs/sha256/${hex((await readPredicate(made)).images[0]?.digest ?? digestOf(''))}`
      await refused(await verify(await changed((copy) => unlink(join(copy, index)))), 3, 'a manifest that the statement names', index)
    })

    test('a candidate, which nobody signed', async () => {
      const folder = await changed(async (copy) => {
        for (const name of await readdir(copy)) if (/\.sig$|\.sigstore\.json$|\.sm2$/.test(name)) await unlink(join(copy, name))
        await unlink(join(copy, 'evidence/release.sigstore.json'))
      })
      await refused(await verify(folder), 3, 'the release is not signed', 'evidence/release.sigstore.json')
    })

    test('a bundle in another spelling, or of another statement', async () => {
      const bundle = 'evidence/release.sigstore.json'
      const spaced = await changed(async (copy) => put(join(copy, bundle), `${await readFile(join(copy, bundle), 'utf8')}\n`))
      await refused(await verify(spaced), 3, 'not in the form', bundle)
      const pretty = await changed(async (copy) =>
        put(join(copy, bundle), JSON.stringify(JSON.parse(await readFile(join(copy, bundle), 'utf8')), null, 1)),
      )
      await refused(await verify(pretty), 3, `not what ${bundle} signs`, 'evidence/release.json')
      const other = { _type: 'https://in-toto.io/Statement/v1', predicateType: 'https://slsa.dev/provenance/v1', predicate: {} }
      const subject = [{ digest: { sha256: 'a'.repeat(64) } }]
      const foreign = await changed((copy) => signedAnew(copy, key, Buffer.from(canonicalJson({ ...other, subject }))))
      await refused(await verify(foreign), 3, 'not a statement about one release', 'evidence/release.json')
    })

    test('lists and statements that the key’s own holder made badly', async () => {
      const list = 'sha256sum-amd64.txt'
      const line = `${'0'.repeat(64)}  ../passwd\n`
      const odd = await changed((copy) =>
        relisted(
          copy,
          list,
          (text) => text + line,
          () => {},
        ),
      )
      await refused(await verify(odd), 3, 'holds a line that the statement does not', list)
      for (const path of ['/etc/passwd', 'rpm/../../passwd', 'rpm/./x', 'rpm//x', 'a b']) {
        const folder = await changed((copy) => anotherStatement(copy, ({ files }) => Object.assign(files[0] ?? {}, { path })))
        await refused(await verify(folder), 3, 'names a path that no release has', path)
      }
      const twice = await changed((copy) => anotherStatement(copy, ({ files }) => Object.assign(files[1] ?? {}, { path: files[0]?.path })))
      await refused(await verify(twice), 3, 'names it twice', (await readPredicate(made)).files[0]?.path ?? '')
    })
  })

  describe.skipIf(skip || shell.tool.skip)('a sandbox’s release', () => {
    test('is none to another key that signed it, and stand-ins without a mark are none to anybody', async () => {
      const folder = join(scratch, 'foreign')
      const pair = generateKey()
      await writeFile(join(scratch, 'rfo.key'), pair.privatePem)
      await writeFile(join(scratch, 'rfo.pub'), pair.publicPem)
      const argv = ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'none', '--sign-key', join(scratch, 'rfo.key')]
      expect((await run(project.folder, [...argv, '--out', folder])).code).toBe(0)
      const foreign = await call(['--key', join(scratch, 'rfo.pub'), join(folder, version)])
      await refused(foreign, 4, 'a sandbox made it', 'evidence/release.json')
      const unmarked = await changed((copy) => dropStandIns(copy, () => {}))
      await refused(await verify(unmarked), 4, 'a sandbox made it', 'evidence/release.json')
    })
  })

  describe.skipIf(skip || shell.tool.skip)('SM2 signatures', () => {
    test('are verified with their key, and missed where there is none', async () => {
      const [secret, pub] = [join(scratch, `${shell.name}.sm2.key`), join(scratch, `${shell.name}.sm2.pub`)]
      const openssl = (...argv: string[]): Buffer => execFileSync(tool('openssl').path, argv, { stdio: 'pipe' })
      openssl('genpkey', '-algorithm', 'SM2', '-out', secret)
      openssl('pkey', '-in', secret, '-pubout', '-out', pub)
      const folder = await changed(async (copy) => {
        for (const file of ['sha256sum-amd64.txt', 'sm3sum-amd64.txt', 'evidence/release.json']) {
          const target = join(copy, file === 'evidence/release.json' ? 'evidence/release.sm2' : `${file}.sm2`)
          await rm(target, { force: true })
          openssl('dgst', '-sm3', '-sign', secret, '-sigopt', 'distid:1234567812345678', '-out', target, join(copy, file))
        }
      })
      const ran = await verify(folder, '--sm2-key', pub)
      expect([ran.code, ran.stderr]).toEqual([0, ''])
      expect(ran.stdout).toMatch(/^proven: 3 SM2 signatures/m)
      expect((await verify(folder)).stdout).toMatch(/^not checked: SM2 signatures/m)
      await refused(await verify(folder, '--sm2-key', sandboxKey), 2, 'not a key for SM2', sandboxKey)
      await flip(join(folder, 'evidence/release.sm2'))
      await refused(await verify(folder, '--sm2-key', pub), 3, 'not an SM2 signature by the key given', 'evidence/release.sm2')
      await unlink(join(folder, 'sm3sum-amd64.txt.sm2'))
      await refused(await verify(folder, '--sm2-key', pub), 3, 'an SM2 signature', 'evidence/release.sm2')
      await unlink(join(folder, 'evidence/release.sm2'))
      await refused(await verify(folder, '--sm2-key', pub), 3, 'is missing', 'evidence/release.sm2')
    })
  })
})
