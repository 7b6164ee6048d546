/**
 * `npm run evidence -- <name>`: what takes longer than CI has. Writes docs/evidence/<name>.md (what was proven, with
 * digests that anybody can make again) and <name>.log (what was said, without paths of the machine that said it).
 */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { conformancePage } from './conformance-page.ts'
import { faults } from './faults.ts'
import { kills } from './kills.ts'
import { sigstoreConformance } from './sigstore-conformance.ts'

const root = join(import.meta.dirname, '..', '..')
const vitestFile = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const names: Readonly<Record<string, () => string | Promise<string>>> = {
  components,
  conformance,
  faults: () => faults(vitestFile, join(root, 'dist', 'faults.json'), said),
  kills: () => kills((line) => log.write(`${line}\n`)),
  mutations,
  parsers,
  'sigstore-conformance': () => sigstoreConformance((line) => log.write(`${line}\n`)),
}

const [name = ''] = process.argv.slice(2)
const prove = names[name]
if (prove === undefined) {
  process.stderr.write(`usage: npm run evidence -- ${Object.keys(names).join(' | ')}\n`)
  process.exit(2)
}
const logFile = join(root, 'docs', 'evidence', `${name}.log`)
const log = createWriteStream(logFile)
const began = performance.now()
const page = await prove()
log.end()
const minutes = ((performance.now() - began) / 60_000).toFixed(1)
const machine = `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, Node ${process.versions.node}, ${minutes} minutes`
await writeFile(join(root, 'docs', 'evidence', `${name}.md`), page.replace('{machine}', machine))

interface Made {
  readonly root: string
  readonly images: readonly {
    readonly component: string
    readonly digest: string
    readonly platforms: Readonly<Record<string, { readonly status: string; readonly digest?: string }>>
  }[]
  readonly platforms: readonly string[]
}

/** Every component whose source can be had, compiled for every platform; the release that they are in, verified; each run. */
async function components(): Promise<string> {
  const version = 'v1.25.4+rfor1'
  const out = join(root, 'dist', 'evidence')
  await rm(out, { recursive: true, force: true })
  const cli = [process.execPath, join(root, 'bin', 'rfo-build.js')] as const
  await said([...cli, 'release', version, '--stand-in', 'bases,mirrors,git,charts,advisories', '--out', out, '--progress', 'lines'])
  const folder = join(out, version)
  await said([...cli, 'verify', folder, '--expect', version, '--key', join(root, '.rfo', 'sandbox', 'cosign.pub')])
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  await said([process.execPath, vitest, 'run', '--no-color', '--reporter=verbose', 'test/real/release.test.ts'], {
    RFO_REAL_RELEASE: folder,
  })
  const { predicate } = JSON.parse(await readFile(join(folder, 'evidence', 'release.json'), 'utf8')) as {
    predicate: Omit<Made, 'root'> & { root: { digest: string } }
  }
  const plan = JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8')) as {
    images: {
      component: string
      version: string
      build?: { kind: string }
      locked?: { pin: { kind: string; module?: string; version?: string } }
    }[]
  }
  const compiled = plan.images.filter((image) => image.locked?.pin.kind === 'go-module')
  const rows = compiled.flatMap(({ component, locked }) => {
    const made = predicate.images.find((image) => image.component === component)
    return predicate.platforms.map((platform) => {
      const { status, digest } = made?.platforms[platform] ?? { status: 'absent' }
      return `| ${component} | ${locked?.pin.module}@${locked?.pin.version} | ${platform} | ${digest ?? status} |`
    })
  })
  return `# Components of ${version}, compiled

\`npm run evidence -- components\` ({machine}). The release was made with stand-ins for bases, mirrors, git sources and charts, was
verified, and of each image below the program that its pipeline's \`smoke\` names printed the version that was planned: in containerd
for the machine's own platform, under qemu-user for the others ([log](components.log)). The digests are those of platform manifests; the same lock gives the same ones on any machine with the same C
compiler, which pause and runc need, and flannel on amd64. The minutes are those of this run: what the store held already is not compiled again.

Root: \`${predicate.root.digest}\`

| component | source | platform | manifest |
|---|---|---|---|
${rows.join('\n')}
`
}

/** All [Conformance] specs in a cluster of the release, split as RKE2's CI does; results in docs/evidence. */
async function conformance(): Promise<string> {
  const version = 'v1.25.4+rfor1'
  const folder = join(root, 'dist', version)
  const cli = [process.execPath, join(root, 'bin', 'rfo-build.js')] as const
  await said([...cli, 'release', version, '--stand-in', 'bases,mirrors,git,charts,advisories', '--platform', 'amd64', '--progress', 'none'])
  const argv = [
    'test',
    version,
    '--cluster',
    'local',
    '--stand-in',
    'bases',
    '--suite',
    'conformance',
    '--procs',
    '4',
    '--progress',
    'lines',
  ]
  // a spec that fails is evidence, too: verify says that the release is genuine, and not good
  await said([...cli, ...argv], {}, [0, 7])
  const key = join(root, '.rfo', 'sandbox', 'cosign.pub')
  await said([...cli, 'verify', folder, '--expect', version, '--key', key, '--progress', 'none'], {}, [0, 4])
  await copyFile(join(folder, 'evidence', 'test-result.linux-amd64.tar.gz'), join(root, 'docs', 'evidence', 'conformance.tar.gz'))
  return await conformancePage(folder, version)
}

/** 10,000 changes of a release, each verified whole by the code of `verify`: the test that CI runs with 500. */
async function mutations(): Promise<string> {
  const tallyFile = join(root, 'dist', 'mutations.json')
  await mkdir(join(root, 'dist'), { recursive: true })
  const count = 10_000
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  await said([process.execPath, vitest, 'run', '--no-color', '--reporter=verbose', 'test/release/random-changes.test.ts'], {
    RFO_CHANGES: String(count),
    RFO_TALLY: tallyFile,
  })
  const {
    seed,
    root: made,
    files,
    tally,
  } = JSON.parse(await readFile(tallyFile, 'utf8')) as {
    seed: number
    root: string
    files: number
    tally: Record<string, number>
  }
  await rm(tallyFile)
  return `# ${count} changes of a release, all found

\`npm run evidence -- mutations\` ({machine}): a release of few images for riscv64, made in the sandbox, of ${files} files, blobs and signatures
among them. Each change was made alone, in a copy; \`verify\` then read the whole folder, and refused it with exit 3; then the change was
undone. Seed ${seed} ([log](mutations.log)).

Root: \`${made}\`

| change | times |
|---|---|
${Object.entries(tally)
  .map(([kind, times]) => `| ${kind} | ${times} |`)
  .join('\n')}
`
}

/** A minute of changed inputs for each parser of what comes from outside: the test that CI runs for a second each. */
async function parsers(): Promise<string> {
  const tallyFile = join(root, 'dist', 'parsers.json')
  await mkdir(join(root, 'dist'), { recursive: true })
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  await said([process.execPath, vitest, 'run', '--no-color', '--reporter=verbose', 'test/inspect/hostile.test.ts'], {
    RFO_FUZZ_SECONDS: '60',
    RFO_TALLY: tallyFile,
  })
  const lines = (await readFile(tallyFile, 'utf8')).trim().split('\n')
  await rm(tallyFile)
  const rows = lines.map((line) => {
    const { name, seed, runs, refused, read, slowest, rss } = JSON.parse(line) as Record<string, string | number>
    return `| ${name} | ${seed} | ${runs} | ${refused} | ${read} | ${slowest} ms | ${rss} MB |`
  })
  return `# A minute of changed inputs for each parser

\`npm run evidence -- parsers\` ({machine}): a good input, changed at random from a seed (bytes, bits, lengths, cuts, pieces doubled or left out), read again
and again for 60 seconds in a process of its own. Whatever was thrown was an error of ours with exit 3; nothing hung ([log](parsers.log)). An answer may be right: a
change can fall where nothing is read. Of a log of sqlite, what stands behind a wrong checksum was never committed.

| parser | seed | inputs | refused | answered | slowest, CPU | most memory of the process |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`
}

/** Runs to the end, into the log and to stderr. A failure ends everything: evidence is not written for it. */
function said(
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
  good: readonly (number | null)[] = [0],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv
    const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        process.stderr.write(text)
        log.write(text.replaceAll(root, '.'))
      })
    }
    child.on('error', reject)
    child.on('close', (code) => (good.includes(code) ? resolve() : reject(new Error(`${args[1] ?? program} ended with ${code}`))))
  })
}
