/** The `git` command in a clean environment: no user or system configuration, no prompt, no hook, no helper. */
import { randomUUID } from 'node:crypto'
import { lstat, mkdir, realpath, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { type Addresses, reachAll } from '../plan/addresses.ts'
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

/** At one mirror after the other until one has it. What is not what was asked for ends it: it is not passed over. */
async function anywhere<T>(at: GitContext, url: string, ask: (from: string) => Promise<T>): Promise<T> {
  let failed: unknown
  for (const from of reachAll(at.addresses, url)) {
    try {
      return await ask(from)
    } catch (thrown) {
      if (at.signal?.aborted || !(thrown instanceof RfoError) || thrown.exit !== 'outside') throw thrown
      failed ??= thrown
      at.line?.(`${url}: ${thrown.message}`)
    }
  }
  throw failed
}

/** The commit that a tag means (an annotated tag is peeled). RFO_SOURCE_TAG when there is none. */
export async function resolveTag(at: GitContext, url: string, tag: string): Promise<string> {
  await mkdir(at.workDir, { recursive: true })
  return await anywhere(at, url, (from) => tagAt(at, from, url, tag))
}

async function tagAt(at: GitContext, from: string, url: string, tag: string): Promise<string> {
  const ref = `refs/tags/${tag}`
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

/** A repository inside another: which commit of it, the other's own commit says. */
export interface Submodule {
  readonly url: string
  /** below the checkout */
  readonly path: string
  readonly commit: string
}

export interface Checkout {
  readonly dir: string
  /** in the order of their paths, those within others too; empty unless the pin asks for them */
  readonly submodules: readonly Submodule[]
}

interface Wanted {
  readonly url: string
  /** absent = a submodule: it is its commit */
  readonly tag?: string
  readonly commit: string
}

/** What of a repository is opened. */
export interface CheckoutPin {
  readonly url: string
  readonly tag: string
  readonly commit: string
  readonly submodules?: true | undefined
  /** the checkout is this folder of it */
  readonly folder?: string | undefined
}

/** A checkout of just that commit in a fresh folder, without .git, and of its submodules if the pin asks for them. */
export async function checkout(at: GitContext, pin: CheckoutPin): Promise<Checkout> {
  const dir = join(at.workDir, 'sources', randomUUID())
  await mkdir(dir, { recursive: true })
  try {
    await checkoutInto(at, dir, pin)
    const submodules = pin.submodules === true ? await submodulesOf(at, dir, pin.url, '', 1) : []
    await removeGit(dir, submodules)
    await refuseEscapingLinks(dir)
    if (pin.folder === undefined) return { dir, submodules }
    return { dir: await onlyFolder(dir, pin.folder, pin.url), submodules }
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
}

async function checkoutInto(at: GitContext, dir: string, { url, tag, commit }: Wanted): Promise<void> {
  await git(at, url, ['init', '--quiet'], dir)
  await anywhere(at, url, (from) => fetchFrom(at, dir, from, { url, commit, ...(tag === undefined ? {} : { tag }) }))
  await git(at, url, ['checkout', '--quiet', '--detach', commit], dir)
}

async function fetchFrom(at: GitContext, dir: string, from: string, { url, tag, commit }: Wanted): Promise<void> {
  const run = (...args: string[]): Promise<string> => git(at, from, args, dir)
  const fetch = (...what: string[]): Promise<string> => run('fetch', '--quiet', '--no-tags', ...what)
  try {
    await fetch('--depth=1', '--', from, commit)
  } catch (thrown) {
    if (at.signal?.aborted) throw thrown
    // a host that gives no single commits (uploadpack.allowReachableSHA1InWant) gives its tags and branches
    if (tag !== undefined) await fetch('--depth=1', '--', from, `refs/tags/${tag}`)
    else await fetch('--', from, '+refs/*:refs/remotes/all/*')
  }
  const name = tag === undefined ? commit : 'FETCH_HEAD'
  const got = (await run('rev-parse', '--verify', '--quiet', `${name}^{commit}`).catch(() => '')).trim()
  if (got === commit) return
  const what = tag === undefined ? 'has not the commit that its parent names' : `${tag} is not what the lock pins`
  throw new RfoError('RFO_SOURCE_SUM', `${url} ${what}: expected ${commit}, got ${got === '' ? 'nothing' : got}`, {
    exit: 'untrusted',
    next: 'find out who moved the tag; `rfo-build lock <version> --update <name>` accepts it',
  })
}

/** Submodules of submodules of submodules are somebody's mistake, or meant to exhaust us. */
const maxDepth = 4
const maxSubmodules = 100

/**
 * What `git submodule update --init --recursive` would do, without what it does besides: no configuration of the
 * repository's own decides a URL's protocol or a command. https://git-scm.com/docs/gitmodules
 */
async function submodulesOf(at: GitContext, root: string, url: string, below: string, depth: number): Promise<Submodule[]> {
  const dir = join(root, below)
  const run = (...args: string[]): Promise<string> => git(at, url, args, dir)
  // mode 160000: a commit of another repository
  const links = (await run('ls-tree', '-r', '-z', 'HEAD')).split('\0').flatMap((line) => {
    const [, commit, path] = /^160000 commit ([0-9a-f]{40})\t(.+)$/.exec(line) ?? []
    return commit === undefined || path === undefined ? [] : [{ commit, path }]
  })
  if (links.length === 0) return []
  if (depth > maxDepth || links.length > maxSubmodules) throw noSubmodule(url, `more than ${maxSubmodules}, or ${maxDepth} deep`)
  const settings = (await run('config', '--null', '--file', '.gitmodules', '--list')).split('\0').map((each) => each.split('\n'))
  const found: Submodule[] = []
  for (const { commit, path } of links) {
    const name = settings.find(([key, value]) => /^submodule\..*\.path$/.test(key ?? '') && value === path)?.[0]?.slice(0, -'.path'.length)
    const written = settings.find(([key]) => name !== undefined && key === `${name}.url`)?.[1]
    if (written === undefined) throw noSubmodule(url, `.gitmodules says no url of ${path}`)
    const from = submoduleUrl(url, written)
    if (path.split('/').some((part) => part === '..' || part.toLowerCase() === '.git'))
      throw noSubmodule(url, `a submodule at ${path.slice(0, 200)}`)
    const inside = join(below, path)
    await checkoutInto(at, join(root, inside), { url: from, commit })
    found.push({ url: from, path: inside, commit }, ...(await submodulesOf(at, root, from, inside, depth + 1)))
  }
  return found
}

/** `../other` is a neighbour of the repository; anything else must be an https URL, as a pipeline's own. */
function submoduleUrl(parent: string, written: string): string {
  const url = /^\.\.?\//.test(written) ? new URL(written, `${parent.replace(/\/+$/, '')}/`).href : written
  if (!/^https:\/\/[^\s]+$/.test(url))
    throw noSubmodule(parent, `a submodule at ${JSON.stringify(written.slice(0, 200))}, which is no https URL`)
  return url
}

function noSubmodule(url: string, why: string): RfoError {
  return new RfoError('RFO_SOURCE_SUBMODULE', `${url}: ${why}`, {
    exit: 'untrusted',
    next: 'leave submodules out of the pipeline, or patch them',
  })
}

/** A folder of a checkout in its place, without the rest. */
async function onlyFolder(dir: string, folder: string, url: string): Promise<string> {
  const inside = join(await realpath(dir), folder)
  const found = await lstat(inside).catch(() => undefined)
  if (found?.isDirectory() !== true || (await realpath(inside)) !== inside.replace(/\/+$/, '')) {
    throw new RfoError('RFO_SOURCE_FOLDER', `${url} has no folder ${folder}`, {
      exit: 'usage',
      next: 'correct source.folder in the pipeline',
    })
  }
  // a link that leads to another folder of the repository leads out of this one
  await refuseEscapingLinks(inside)
  const alone = join(dir, '..', randomUUID())
  await rename(inside, alone)
  await rm(dir, { recursive: true, force: true })
  return alone
}

async function removeGit(dir: string, submodules: readonly Submodule[]): Promise<void> {
  for (const path of ['', ...submodules.map((each) => each.path)]) await rm(join(dir, path, '.git'), { recursive: true, force: true })
}
