/** `verify <release> <node...>`: what nodes have, held against what was signed. Of the release, the signed statement alone is read. */
import { RfoError } from '../error.ts'
import type { Compared, NodeCompared } from '../release/compare-node.ts'
import type { CliContext } from './context.ts'
import { nodeSelection, single, tellBeside } from './node-images.ts'
import { type NodePlace, placeOf } from './place.ts'
import { isVersion } from './target.ts'
import { timeOf } from './today.ts'
import type { Flags, Outcome } from './verb.ts'

/** Flags that say something of a whole release, which nobody looks at here. */
const ofReleases = ['require', 'policy', 'deep', 'sarif', 'identity', 'issuer', 'trustedRoot'] as const

export async function verifyNodes(context: CliContext, flags: Flags, target: string, nodes: readonly string[]): Promise<Outcome> {
  const given = ofReleases.find((name) => flags.on(name))
  if (given !== undefined) throw usage('a node is compared with the statement alone', `verify the release without a node for --${given}`)
  const places = nodes.map((node) => nodeOf(node, context))
  const { givenTrust, trustedKeys } = await import('./key-files.ts')
  const { trustedStatement } = await import('../release/archive/statement.ts')
  const { keys } = await trustedKeys(context)
  const trust = await givenTrust(context)
  const { openTarget } = await import('./open-target.ts')
  // a folder with nothing but its evidence will do
  const files = await (await openTarget(context, target)).files()
  try {
    const at = timeOf('--at', flags.text('at'), context)
    const predicate = await trustedStatement(files, { keys, at, ...(trust === undefined ? {} : { trust }) })
    const expect = flags.text('expect') ?? (isVersion(target) ? target : undefined)
    if (expect !== undefined && predicate.version !== expect)
      throw new RfoError('RFO_VERIFY_VERSION', `this is ${predicate.version}, expected ${expect}`, { exit: 'untrusted', where: target })
    const { compareContainerd, compareDocker, compareFolder } = await import('../release/compare-node.ts')
    const selection = await nodeSelection(context, flags, files, predicate)
    const told: (NodeCompared & { readonly node: string })[] = []
    for (const [n, place] of places.entries()) {
      const { platform, groups } = single(selection)
      const node = await (place.kind === 'folder'
        ? compareFolder(place.folder, predicate, selection, context.signal)
        : place.kind === 'docker'
          ? compareDocker(files, predicate, platform, groups, context)
          : compareContainerd(place, predicate, platform, groups, context))
      tellBeside(context, node)
      told.push({ node: nodes[n] ?? '', ...node })
    }
    const all = told.flatMap(({ compared }) => compared)
    const failures = failuresOf(
      all,
      told.flatMap(({ unread }) => unread),
      target,
    )
    const root = predicate.root.digest
    const verdict = failures.length === 0 ? `compared ${predicate.version} ${root}\n` : ''
    return {
      text: `${all.map(({ state, name, digest }) => `${state} ${name} ${digest}\n`).join('')}${verdict}`,
      json: { version: predicate.version, root, nodes: told as never },
      ...(failures.length === 0 ? {} : { failures }),
    }
  } finally {
    await files.close()
  }
}

/** Throws RFO_CLI_USAGE: a whole release is verified, no part of it. */
export function refuseSelection(flags: Flags): void {
  if (flags.list('group') !== undefined || flags.text('fromConfig') !== undefined)
    throw usage('--group and --from-config say what a node has', 'name a node after the release')
}

function failuresOf(all: readonly Compared[], unread: readonly string[], release: string): RfoError[] {
  const of = (state: Compared['state']): string[] => all.filter((each) => each.state === state).map(({ name }) => name)
  const [others, missing] = [of('other'), of('missing')]
  return [
    ...(others.length === 0
      ? []
      : [
          new RfoError('RFO_VERIFY_OTHER', `${others.length} names on the node are not what was signed`, {
            exit: 'untrusted',
            where: others[0] ?? '',
            details: others,
            next: `find out who put it there; then rfo-build load ${release} --existing replace`,
          }),
        ]),
    ...(unread.length === 0
      ? []
      : [
          new RfoError('RFO_VERIFY_UNREAD', `nothing here can look into ${unread.length} archives of the folder`, {
            exit: 'undecided',
            where: unread[0] ?? '',
            details: unread,
            next: 'pack them by zstd or gzip, or move them away',
          }),
        ]),
    ...(missing.length === 0
      ? []
      : [
          new RfoError('RFO_VERIFY_UNLOADED', `${missing.length} that the node should have are not there`, {
            exit: 'unfinished',
            where: missing[0] ?? '',
            details: missing,
            next: `rfo-build load ${release}`,
          }),
        ]),
  ]
}

/** Throws RFO_CLI_USAGE for what is asked by `load` alone. */
function nodeOf(text: string, context: CliContext): NodePlace {
  const place = placeOf(text, context)
  if (place.kind !== 'registry') return place
  throw usage(
    `no node that can be compared: ${text.slice(0, 100)}`,
    'give containerd:[<namespace>][@<socket>], docker:, or a folder of images',
  )
}

function usage(what: string, next: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', what, { exit: 'usage', next })
}
