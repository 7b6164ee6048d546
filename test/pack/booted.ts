/**
 * A host whose systemd runs: this machine's own system below a layer in memory, as in host.ts, booted in a container that has no network.
 * A unit runs one script at each boot.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Tool, tool } from '../tools.ts'

export interface Boot {
  /** folder that is /mnt/release there, read-only */
  readonly release: string
  /** shell commands of each boot; after the last of them it is powered off, after the others booted again */
  readonly boots: readonly string[]
}

/** Cgroups of its own in each hierarchy that systemd manages, so that what it makes there goes with it. */
const script = `set -e
at="$1" name="$2" release="$3"
shift 3
for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  [ -e "$root/cgroup.procs" ] || continue
  mkdir -p "$root/$name"
  echo $$ >"$root/$name/cgroup.procs"
done
mount -t tmpfs tmpfs "$at/memory"
mkdir "$at/memory/u" "$at/memory/w" "$at/memory/r"
mount -t overlay overlay -o "lowerdir=/,upperdir=$at/memory/u,workdir=$at/memory/w" "$at/memory/r"
r="$at/memory/r"
# of what this machine starts, nothing: targets, the journal and what is tested
rm -rf "$r"/etc/systemd/system/*.wants "$r"/etc/systemd/system/*.requires
ln -sf /dev/null "$r/etc/systemd/system/systemd-networkd-wait-online.service"
mkdir -p "$r/etc/systemd/system/multi-user.target.wants" "$r/mnt/release" "$r/mnt/test" "$r/out"
cp "$at/test.service" "$r/etc/systemd/system/test.service"
ln -s ../test.service "$r/etc/systemd/system/multi-user.target.wants/test.service"
# what it leaves in /run is not this machine's
mount -t tmpfs tmpfs /run
# 133: it wants to boot again
until
  code=0
  systemd-nspawn --quiet --directory="$r" --machine="$name" --register=no --keep-unit --private-network --console=read-only \\
    --resolv-conf=off --timezone=off --link-journal=no --bind-ro="$release:/mnt/release" --bind-ro="$at/test:/mnt/test" --bind="$at/out:/out" \\
    "$@" || code=$?
  [ "$code" -ne 133 ]
do :; done
exit "$code"`

const unit = `[Unit]
Description=What is tested
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=file:/out/said
StandardError=inherit
ExecStart=/bin/sh /mnt/test/boot
`

/** Missing unless this is root on a kernel that lets a container boot. */
export async function bootTool(): Promise<Tool> {
  const nspawn = tool('systemd-nspawn')
  if (nspawn.skip) return nspawn
  const { code, said } = await contained(tmpdir(), ['/bin/true'], (_, run) => run())
  if (code === 0) return nspawn
  // no program that could be installed is missing: the kernel, or whoever runs this in a container, says no
  process.stdout.write(`units are not started by a systemd that was booted: systemd-nspawn does not work here: ${said}\n`)
  return { path: '', skip: true }
}

/** What each boot's commands said. Throws what the container said when it ended otherwise. */
export async function boot({ release, boots }: Boot): Promise<string[]> {
  return await contained(release, ['--boot', '--', '--unit=multi-user.target'], async (at, run) => {
    for (const [n, commands] of boots.entries()) await writeFile(join(at, 'test', String(n)), commands)
    await writeFile(
      join(at, 'test/boot'),
      `n=$(cat /out/n 2>/dev/null || echo 0)
echo $((n + 1)) >/out/n
/bin/sh /mnt/test/$n >/out/said.$n 2>&1
if [ $((n + 1)) -lt ${boots.length} ]; then systemctl --no-block reboot; else systemctl --no-block poweroff; fi\n`,
    )
    const { code, said } = await run()
    if (code !== 0) throw new Error(`ended with ${code}: ${said}`)
    return await Promise.all(boots.map((_, n) => readFile(join(at, 'out', `said.${n}`), 'utf8')))
  })
}

/** A container with this command, and its folder for as long as `use` takes. */
async function contained<T>(
  release: string,
  command: readonly string[],
  use: (at: string, run: () => Promise<Ended>) => Promise<T>,
): Promise<T> {
  const at = await mkdtemp(join(tmpdir(), 'rfo-boot-'))
  const name = `rfo-boot-${process.pid}`
  try {
    for (const folder of ['memory', 'test', 'out']) await mkdir(join(at, folder))
    await writeFile(join(at, 'test.service'), unit)
    return await use(at, () => unshared([at, name, release, ...command]))
  } finally {
    await rm(at, { recursive: true, force: true })
    const cgroups = ['', 'unified/', 'systemd/'].map((root) => `/sys/fs/cgroup/${root}${name}`)
    // what is left of a container that did not end by itself
    for (const cgroup of cgroups) await writeFile(join(cgroup, 'cgroup.kill'), '1').catch(() => undefined)
    await new Promise((resolve) => execFile('find', [...cgroups, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], resolve))
  }
}

interface Ended {
  /** null = killed */
  readonly code: number | null
  /** what the console said last */
  readonly said: string
}

/** milliseconds; a boot takes two seconds on a machine that does nothing else */
const longest = 120_000

/** Whatever runs of it after that time is killed, the container with it. */
function unshared(args: readonly string[]): Promise<Ended> {
  const argv = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', ...args]
  return new Promise((resolve) => {
    const child = spawn('unshare', argv, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } })
    const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), longest)
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said = `${said}${bytes}`.slice(-2000)))
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, said })
    })
  })
}
