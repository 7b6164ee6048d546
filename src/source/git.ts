/** The `git` command in a clean environment: no user or system configuration, no prompt, no hook, no helper. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { type Addresses, reach } from '../plan/addresses.ts'
import { passedOn } from './environment.ts'
import { refuseEscapingLinks } from './tree.ts'

export interface GitContext {
  readonly env: Readonly<Record<string, string>>
  readonly addresses: Addresses
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

function gitEnv(at: GitContext, url: string): Record<string, string> {
  return {
    ...passedOn(at.env, ['GIT_SSL_CAINFO']),
    HOME: at.workDir,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_LFS_SKIP_SMUDGE: '1',
    // a local repository only when the user's own addresses name one
    GIT_ALLOW_PROTOCOL: url.startsWith('file://') ? 'file' : 'https:http',
  }
}

const settings = [
  'core.hooksPath=/dev/null',
  'core.autocrlf=false',
  'core.fsmonitor=false',
  'transfer.fsckObjects=true',
  'submodule.recurse=false',
  'init.defaultBranch=main',
]

async function git(at: GitContext, url: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await exec(['git', ...settings.flatMap((setting) => ['-c', setting]), ...args], {
      env: gitEnv(at, url),
      cwd,
      exit: 'outside',
      ...(at.signal === undefined ? {} : { signal: at.signal }),
      ...(at.line === undefined ? {} : { line: at.line }),
    })
    return stdout.toString('utf8')
  } catch (thrown) {
    if (!(thrown instanceof RfoError)) throw thrown
    if (thrown.code === 'RFO_EXEC_ABSENT') {
      throw new RfoError('RFO_SOURCE_GIT', 'a git source needs the `git` command, and there is none on the PATH', {
        exit: 'machine',
        next: 'install git',
      })
    }
    if (thrown.code !== 'RFO_EXEC_FAILED') throw thrown
    throw new RfoError('RFO_SOURCE_GIT', `git ${args[0]} ${url}: ${thrown.details.at(-1) ?? thrown.message}`.slice(0, 500), {
      exit: 'outside',
      details: thrown.details,
      cause: thrown,
      next: 'run the same command again, or give a mirror by an address',
    })
  }
}

const commitForm = /^[0-9a-f]{40}$/

/** The commit that a tag means (an annotated tag is peeled). RFO_SOURCE_TAG when there is none. */
export async function resolveTag(at: GitContext, url: string, tag: string): Promise<string> {
  await mkdir(at.workDir, { recursive: true })
  const ref = `refs/tags/${tag}`
  const from = reach(at.addresses, url)
  const listed = await git(at, from, ['ls-remote', '--', from, ref, `${ref}^{}`], at.workDir)
  const refs = new Map(listed.split('\n').flatMap((line) => (line.includes('\t') ? [line.split('\t').reverse() as [string, string]] : [])))
  const commit = refs.get(`${ref}^{}`) ?? refs.get(ref)
  if (commit === undefined || !commitForm.test(commit)) {
    throw new RfoError('RFO_SOURCE_TAG', `${url} has no tag ${tag}`, {
      exit: 'outside',
      next: 'look up the tag upstream and correct the pipeline',
    })
  }
  return commit
}

/** A checkout of just that commit in a fresh folder, without .git. */
export async function checkout(
  at: GitContext,
  pin: { readonly url: string; readonly tag: string; readonly commit: string },
): Promise<string> {
  const dir = join(at.workDir, 'sources', randomUUID())
  await mkdir(dir, { recursive: true })
  const from = reach(at.addresses, pin.url)
  const run = (...args: string[]): Promise<string> => git(at, from, args, dir)
  try {
    await run('init', '--quiet')
    try {
      await run('fetch', '--quiet', '--depth=1', '--no-tags', '--', from, pin.commit)
    } catch (thrown) {
      if (at.signal?.aborted) throw thrown
      // a host that gives no single commits (uploadpack.allowReachableSHA1InWant) gives its tags
      await run('fetch', '--quiet', '--depth=1', '--no-tags', '--', from, `refs/tags/${pin.tag}`)
    }
    const got = (await run('rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim()
    if (got !== pin.commit) {
      throw new RfoError('RFO_SOURCE_SUM', `${pin.url} ${pin.tag} is not what the lock pins: expected ${pin.commit}, got ${got}`, {
        exit: 'untrusted',
        next: 'find out who moved the tag; `rfo-build lock <version> --update <name>` accepts it',
      })
    }
    await run('checkout', '--quiet', '--detach', got)
    await rm(join(dir, '.git'), { recursive: true, force: true })
    await refuseEscapingLinks(dir)
    return dir
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
}
