/**
 * The packages of a release tarball, ours against `rpmbuild` of the same specs and files with the same compression (gzip -9), in one
 * run. The program is Go's own tools in one file, since a compressor takes as long for them as for RFO. Needs go, tar and rpmbuild.
 *
 *     node bench/rpm.ts [PAIRS]
 *
 * Prints wall, ours to theirs, and our memory. Goals: 0.5; 150 MB.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openDirectoryStore } from '../src/content/directory.ts'
import { mediaTypes } from '../src/oci/mediatype.ts'
import { parseVersion } from '../src/plan/version.ts'
import { writeRepository } from '../src/rpm/make.ts'
import type { RpmPackage } from '../src/rpm/package.ts'
import { rfoPackages } from '../src/rpm/rfo.ts'
import { renderSpec } from '../src/rpm/spec.ts'

const tarball = 'rfo.linux-amd64.tar.gz'
const epoch = 1_668_470_400
const unit = '[Service]\nExecStart=/usr/local/bin/rfo\n'
const small: Readonly<Record<string, string>> = {
  ...Object.fromEntries(['killall', 'uninstall'].map((name) => [`bin/rfo-${name}.sh`, '#!/bin/sh\n'])),
  ...Object.fromEntries(
    ['server', 'agent'].flatMap((kind) => [`${kind}.service`, `${kind}.env`]).map((name) => [`lib/systemd/system/rfo-${name}`, unit]),
  ),
  'share/rfo/LICENSE.txt': 'Apache License 2.0\n',
  'share/rfo/rfo-cis-sysctl.conf': 'vm.panic_on_oom=0\n',
}
const paths = ['bin/rfo', ...Object.keys(small)]

async function packagesOf(work: string) {
  const store = await openDirectoryStore(join(work, 'store'))
  const files = await Promise.all(
    paths.map(async (path) => [path, { content: await store.pushFile(mediaTypes.octets, join(work, 'copy', path)) }] as const),
  )
  const by = {
    version: parseVersion('v1.24.8+rfor1'),
    release: '1',
    vendor: 'RFO',
    url: 'https://example.org',
    packager: 'RFO <a@b.c>',
    epoch,
  }
  return {
    store,
    packages: await rfoPackages({ ...by, platform: 'linux/amd64', bundle: new Map(files), tarballs: { 'linux/amd64': tarball } }, store),
  }
}

function prepare(work: string): void {
  const tree = join(work, 'tree')
  for (const path of paths) mkdirSync(dirname(join(tree, path)), { recursive: true })
  const tools = execFileSync('go', ['env', 'GOTOOLDIR'], { encoding: 'utf8' }).trim()
  for (const name of readdirSync(tools)) appendFileSync(join(tree, 'bin/rfo'), readFileSync(join(tools, name)))
  mkdirSync(join(work, 'sources'))
  for (const [path, text] of Object.entries(small)) writeFileSync(join(tree, path), text)
  for (const path of paths.slice(1)) copyFileSync(join(tree, path), join(work, 'sources', path.split('/').at(-1) ?? ''))
  execFileSync('tar', ['-C', tree, '-czf', join(work, 'sources', tarball), 'bin', 'lib', 'share'])
}

function theirs(work: string, specs: readonly string[]): number {
  const defines = { _topdir: `${work}/top`, _sourcedir: `${work}/sources`, _binary_payload: 'w9.gzdio', _buildhost: 'reproducible' }
  const args = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`])
  const began = performance.now()
  const { status } = spawnSync('rpmbuild', ['-bb', '--quiet', '--target', 'x86_64-linux', ...args, ...specs], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error(`rpmbuild ended with ${status}`)
  return (performance.now() - began) / 1000
}

/** As bin/rfo-build.js has it: otherwise the memory is that of the compiler which takes the types out of our sources. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'rfo-bench-compiled') }

const [what = '3', folder = ''] = process.argv.slice(2)
if (what === 'load') process.exitCode = 0
else if (what === 'ours') {
  // a process of its own, as rpmbuild is one: what a release has in its store already is there
  const { store, packages } = await packagesOf(folder)
  const began = performance.now()
  const place = { channel: 'stable', minor: '1.24', os: '22.03-LTS' }
  await writeRepository(packages as [RpmPackage, ...RpmPackage[]], place, store, {
    epoch,
    compression: 'gzip',
    workDir: join(folder, 'work'),
  })
  process.stdout.write(JSON.stringify({ seconds: (performance.now() - began) / 1000, megabytes: process.resourceUsage().maxRSS / 1024 }))
} else {
  const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
  try {
    prepare(work)
    execFileSync(process.execPath, [import.meta.filename, 'load'], { env })
    for (let pair = 1; pair <= Number(what); pair += 1) {
      for (const name of ['store', 'copy', 'top', 'work']) rmSync(join(work, name), { recursive: true, force: true })
      // pushFile takes the file itself
      execFileSync('cp', ['-R', join(work, 'tree'), join(work, 'copy')])
      const said = execFileSync(process.execPath, [import.meta.filename, 'ours', work], { encoding: 'utf8', env })
      const ours = JSON.parse(said) as { seconds: number; megabytes: number }
      rmSync(join(work, 'store'), { recursive: true })
      execFileSync('cp', ['-R', join(work, 'tree'), join(work, 'copy')])
      const { packages } = await packagesOf(work)
      const specs = packages.map((pkg) => {
        const spec = join(work, `${pkg.name}.spec`)
        writeFileSync(spec, renderSpec(pkg))
        return spec
      })
      const seconds = theirs(work, specs)
      process.stdout.write(
        `${ours.seconds.toFixed(1)} s, rpmbuild ${seconds.toFixed(1)} s: ${(ours.seconds / seconds).toFixed(2)}; ${ours.megabytes.toFixed(0)} MB\n`,
      )
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
