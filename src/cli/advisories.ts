/** `advisories sync|export|import|show`: from the sources to one snapshot, and from one machine to another. */
import { mkdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Place } from '../advisory/fetch.ts'
import type { HeldSnapshot } from '../advisory/snapshot.ts'
import { predicateTypes, statement, statementBytes, subjectOf } from '../attest/statement.ts'
import { writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'
import { RfoError } from '../error.ts'
import { isDigest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import { printable } from '../report/printable.ts'
import { snapshotText } from '../report/scan.ts'
import type { CliContext } from './context.ts'
import { mirrorsOf } from './mirrors.ts'
import { currentSnapshot, givenSnapshot, readSnapshotFile, signaturePath, snapshotTag, snapshotTold } from './snapshot.ts'
import type { Group, Outcome, Verb } from './verb.ts'

const sync: Verb = {
  name: 'sync',
  summary: 'advisoriesSync',
  arguments: [],
  options: [{ flags: '--from <uri>', help: 'advisoriesFrom', repeatable: true, completes: 'file' }],
  examples: ['advisories sync', 'advisories sync --from https://mirror.example/security/data/ --from /media/vulndb'],
  async run(context, { flags }) {
    const { syncAdvisories } = await import('../advisory/sync.ts')
    const { publicSources } = await import('../advisory/source.ts')
    const places = await Promise.all((flags.list('from') ?? publicSources).map((from) => placeOf(context, from)))
    let told = 0
    const { snapshot, read, known } = await syncAdvisories({
      places,
      folder: join(context.storeDir, 'advisories'),
      now: Math.floor(context.now() / 1000),
      progress(done, of) {
        if (context.progress === 'none' || context.progress === 'json' || (done - told < 500 && done !== of)) return
        told = done === of ? 0 : done
        context.stderr.write(`${done}/${of}\n`)
      },
    })
    const { encodeSnapshot, decodeSnapshot } = await import('../advisory/snapshot.ts')
    const { bytes, digest } = encodeSnapshot(snapshot)
    // what we write we read, before anybody relies on it
    const held = decodeSnapshot(bytes, digest)
    if (!context.dryRun) await keep(context, bytes)
    return await shown(context, held, { read, known })
  },
}

const exporting: Verb = {
  name: 'export',
  summary: 'advisoriesExport',
  arguments: [],
  options: [{ flags: '-o, --output <file>', help: 'advisoriesOutput', completes: 'file' }],
  examples: ['advisories export -o advisories.json.zst --sign-key rfo.key'],
  async run(context, { flags }) {
    const output = flags.text('output')
    if (output === undefined)
      throw new RfoError('RFO_CLI_USAGE', 'no file is named', { exit: 'usage', next: 'rfo-build advisories export -o advisories.json.zst' })
    const file = resolve(context.cwd, output)
    const snapshot = await givenSnapshot(context, undefined)
    const { openDirectoryStore } = await import('../content/directory.ts')
    const { readBytes } = await import('../content/read.ts')
    const { maxSnapshotBytes, snapshotMediaType } = await import('../advisory/snapshot.ts')
    const store = await openDirectoryStore(context.storeDir)
    const { digest, size } = snapshot
    const bytes = await readBytes(store, { mediaType: snapshotMediaType, digest, size }, maxSnapshotBytes)
    const signed = context.signKeys.length === 0 ? undefined : await signatureOf(context, snapshot, basename(file))
    if (!context.dryRun) {
      await mkdir(dirname(file), { recursive: true })
      // the signature first: whoever finds the snapshot finds both
      if (signed !== undefined) await writeFileOnce(dirname(file), bytesBody(Buffer.from(signed.bundle)), () => signaturePath(file))
      await writeFileOnce(dirname(file), bytesBody(bytes), () => file)
    }
    const outcome = await shown(context, snapshot, { file, ...(signed === undefined ? {} : { signedBy: signed.fingerprint }) })
    return { ...outcome, text: `${file}\n${signed === undefined ? '' : `${signed.fingerprint}\n`}${outcome.text}` }
  },
}

const importing: Verb = {
  name: 'import',
  summary: 'advisoriesImport',
  arguments: [{ syntax: '<file>', help: 'advisoriesFile' }],
  options: [
    { flags: '--expect <digest>', help: 'advisoriesExpect' },
    { flags: '--older', help: 'advisoriesOlder' },
  ],
  examples: ['advisories import advisories.json.zst --key rfo.pub', 'advisories import advisories.json.zst --expect sha256:…'],
  async run(context, { args: [file = ''], flags }) {
    const expected = flags.text('expect')
    if (expected !== undefined && !isDigest(expected))
      throw new RfoError('RFO_CLI_VALUE', '--expect is no digest', { exit: 'usage', next: 'give it as sha256:<64 hex characters>' })
    const { bytes, snapshot, signedBy } = await readSnapshotFile(context, file, expected)
    if (signedBy === undefined && expected === undefined)
      throw new RfoError('RFO_ADVISORY_NOKEY', `nothing says that ${snapshot.digest} is what was exported`, {
        exit: 'undecided',
        where: file,
        next: 'give --key of whoever exported it, or --expect with the digest that he tells you',
      })
    const { openDirectoryStore } = await import('../content/directory.ts')
    const before = await currentSnapshot(await openDirectoryStore(context.storeDir))
    if (before !== undefined && before.taken > snapshot.taken && !flags.on('older'))
      throw new RfoError('RFO_ADVISORY_OLDER', `it is of ${snapshot.taken}, and one of ${before.taken} is here`, {
        exit: 'condition',
        where: file,
        next: 'keep the newer one, or say --older',
      })
    if (!context.dryRun) await keep(context, bytes)
    return await shown(context, snapshot, signedBy === undefined ? {} : { signedBy })
  },
}

const show: Verb = {
  name: 'show',
  summary: 'advisoriesShow',
  arguments: [{ syntax: '[file]', help: 'advisoriesFile' }],
  options: [],
  examples: ['advisories show', 'advisories show advisories.json.zst --key rfo.pub'],
  async run(context, { args: [file] }) {
    if (file === undefined) return await shown(context, await givenSnapshot(context, undefined), {})
    const { snapshot, signedBy } = await readSnapshotFile(context, file, undefined)
    return await shown(context, snapshot, signedBy === undefined ? {} : { signedBy })
  },
}

export const advisories: Group = { name: 'advisories', summary: 'advisories', verbs: [sync, exporting, importing, show] }

/** A bare path never reaches a network. */
async function placeOf(context: CliContext, from: string): Promise<Place> {
  const { folderPlace, webPlace } = await import('../advisory/fetch.ts')
  if (/^https?:\/\//.test(from)) {
    const root = from.endsWith('/') ? from : `${from}/`
    return webPlace(root, { addresses: mirrorsOf(context.env), env: context.env, signal: context.signal })
  }
  const folder = from.startsWith('file:') ? fileURLToPath(from) : resolve(context.cwd, from)
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw new RfoError('RFO_CLI_VALUE', `--from is no URL and no folder: ${JSON.stringify(from.slice(0, 100))}`, { exit: 'usage' })
  return folderPlace(folder)
}

async function keep(context: CliContext, bytes: Uint8Array): Promise<void> {
  const { openDirectoryStore } = await import('../content/directory.ts')
  const { pushBytes } = await import('../content/read.ts')
  const { snapshotMediaType } = await import('../advisory/snapshot.ts')
  const store = await openDirectoryStore(context.storeDir)
  await store.tag(await pushBytes(store, snapshotMediaType, bytes), snapshotTag)
}

async function signatureOf(context: CliContext, snapshot: HeldSnapshot, name: string): Promise<{ bundle: string; fingerprint: string }> {
  const { readReleaseKeys, signKeyFiles } = await import('./key-files.ts')
  const { signStatement } = await import('../sign/bundle.ts')
  const { key } = await readReleaseKeys(await signKeyFiles(context), context.keyPassword)
  const { digest, taken, sources, standIn } = snapshot
  const said = { taken, sources: sources as unknown as Json, ...(standIn === undefined ? {} : { standIn }) }
  const bytes = statementBytes(statement([subjectOf(digest, name)], predicateTypes.advisories, said))
  return { bundle: await signStatement(bytes, key), fingerprint: key.publicKey.fingerprint }
}

async function shown(context: CliContext, snapshot: HeldSnapshot, more: { readonly [key: string]: Json }): Promise<Outcome> {
  const told = await snapshotTold(snapshot, context.now())
  const sources = snapshot.sources.map(({ kind, from, documents, defects }) => {
    const wrong = Object.entries(defects).map(([why, count]) => `${count} ${why}`)
    return `  ${kind} ${printable(from)}: ${documents}${wrong.length === 0 ? '' : ` (${wrong.join(', ')})`}\n`
  })
  return {
    text: `${snapshotText(told, context.lang)}\n${sources.join('')}`,
    json: {
      ...(told as unknown as { [key: string]: Json }),
      sources: snapshot.sources as unknown as Json,
      vex: snapshot.vex.length,
      ...more,
    },
  }
}
