/**
 * A host to install on: this machine's own system, read-only below a layer in memory that goes away, in a mount namespace of
 * its own. The installer runs as root and writes to /usr/local, /var and /etc for real; nothing of it reaches this machine.
 */
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Tool, tool } from '../tools.ts'

const installer = join(import.meta.dirname, '../../install/install-rfo.sh')

/** Every program that the installer may need; the host has no others. */
export const programs = [
  ...[
    'awk',
    'cat',
    'chmod',
    'cp',
    'curl',
    'cut',
    'grep',
    'gzip',
    'id',
    'ln',
    'mkdir',
    'mktemp',
    'mountpoint',
    'mv',
    'openssl',
    'rm',
    'rmdir',
    'sed',
  ],
  ...['sha256sum', 'sort', 'tar', 'tr', 'uname', 'uniq', 'wget'],
]

export interface Run {
  readonly env?: Readonly<Record<string, string>>
  readonly shell?: 'dash' | 'bash'
  /** programs that this host lacks */
  readonly without?: readonly string[]
  /** program → shell script in its place; `systemctl` does nothing and says no unless given here */
  readonly shims?: Readonly<Record<string, string>>
  /** shell commands before and after; what `after` prints comes back */
  readonly before?: string
  readonly after?: string
  /** folder that is /mnt/release there, read-only */
  readonly release?: string
  /** text of the installer instead of ours; `$SHELL $INSTALLER` by default */
  readonly script?: string
  readonly command?: string
}

export interface Result {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly after: string
  /** what was asked of systemctl, a line each; questions are left out */
  readonly systemctl: readonly string[]
}

/** Missing unless this is root on a kernel that lets it mount. */
export async function hostTool(): Promise<Tool> {
  const unshare = tool('unshare')
  if (unshare.skip) return unshare
  const able = await new Promise<boolean>((resolve) =>
    execFile(unshare.path, ['-m', 'sh', '-c', `mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && ${overlay('/mnt')}`], (error) =>
      resolve(error === null),
    ),
  )
  if (able) return unshare
  if (process.env.RFO_REQUIRE_TOOLS === '1') throw new Error('RFO_REQUIRE_TOOLS=1, and nothing can be mounted here: run as root')
  process.stderr.write('the installer is not run: that needs root and a kernel that mounts overlays in a namespace\n')
  return { path: '', skip: true }
}

/** For `after`: mode, owner and path of everything that was written, made or removed on the host, but for /srv, which is the test's own. */
export const written = `find /mnt/written -path /mnt/written/srv -prune -o ! -type d -printf '%m %U:%G /%P\\n' | sort -k3`

function overlay(at: string): string {
  return `mount -t overlay overlay -o lowerdir=/,upperdir=${at}/u,workdir=${at}/w ${at}/r`
}

const quietSystemctl = `case "$1" in is-*) exit 1;; esac; echo "$*" >>/out/systemctl`

export async function onHost(run: Run): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'rfo-host-'))
  const path = (...parts: string[]): string => join(folder, ...parts)
  try {
    await Promise.all(['memory', 'tools', 'out', 'release'].map((name) => mkdir(path(name))))
    const shims: Record<string, string> = { systemctl: quietSystemctl, rpm: 'exit 1', ...run.shims }
    for (const name of programs) {
      if (run.without?.includes(name) !== true && shims[name] === undefined) await symlink(tool(name).path, path('tools', name))
    }
    for (const [name, script] of Object.entries(shims)) {
      if (run.without?.includes(name) === true) continue
      await writeFile(path('tools', name), `#!/bin/sh\n${script}\n`)
      await chmod(path('tools', name), 0o755)
    }
    if (run.script === undefined) await cp(installer, path('tools', 'install-rfo.sh'))
    else await writeFile(path('tools', 'install-rfo.sh'), run.script)
    const env = Object.entries({ PATH: '/mnt/tools', ...run.env }).map(([name, value]) => `${name}=${quoted(value)}`)
    const command = run.command ?? `"$SHELL" "$INSTALLER"`
    await writeFile(
      path('out', 'inner'),
      `SHELL=/bin/${run.shell ?? 'dash'} INSTALLER=/mnt/tools/install-rfo.sh\nexport SHELL INSTALLER\n${run.before ?? ''}
env -i SHELL="$SHELL" INSTALLER="$INSTALLER" ${env.join(' ')} /bin/sh -c ${quoted(command)} </dev/null >/out/stdout 2>/out/stderr
echo $? >/out/status
{ ${run.after ?? ':'}
} >/out/after 2>&1
exit 0\n`,
    )
    await unshared(folder, run.release ?? path('release'))
    const read = (name: string): Promise<string> => readFile(path('out', name), 'utf8').catch(() => '')
    return {
      status: Number(await read('status')),
      stdout: await read('stdout'),
      stderr: await read('stderr'),
      after: (await read('after')).trimEnd(),
      systemctl: (await read('systemctl')).split('\n').filter((line) => line !== ''),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function unshared(folder: string, release: string): Promise<void> {
  const script = `set -e
mount -t tmpfs tmpfs "$1/memory"
cd "$1/memory"
mkdir u w r
${overlay('.')}
mkdir -p r/mnt/tools r/mnt/release r/mnt/written r/out
mount --bind u r/mnt/written
mount --bind "$1/tools" r/mnt/tools
mount --bind "$2" r/mnt/release
mount -o remount,bind,ro r/mnt/release
mount --bind "$1/out" r/out
mount --rbind /dev r/dev
mount -t proc proc r/proc
exec chroot r /bin/sh /out/inner`
  return new Promise((resolve, reject) => {
    execFile('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', folder, release], (error, _stdout, stderr) =>
      error === null ? resolve() : reject(new Error(`the host did not start: ${stderr}`)),
    )
  })
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
