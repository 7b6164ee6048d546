/** `keys rotate`: other release keys, or other keys that decide, in trust metadata. Old ones are closed, never forgotten. */
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { PublicKey } from '../sign/key.ts'
import type { Authority, RoleKeys } from '../sign/trust-edit.ts'
import { readReleasePublicKeys, readTrustedKey } from './key-files.ts'
import { timeOf } from './today.ts'
import { change, count, daysOption, draftOption, isDraft, openFolder, readSigners, timesOf, written } from './trust-state.ts'
import type { Flags, Verb } from './verb.ts'

export const rotate: Verb = {
  name: 'rotate',
  summary: 'keysRotate',
  arguments: [],
  options: [
    { flags: '--release-key <file>', help: 'trustReleaseKey', repeatable: true, completes: 'file' },
    { flags: '--from <time>', help: 'keysRotateFrom' },
    { flags: '--close <fingerprint>', help: 'keysRotateClose', repeatable: true },
    { flags: '--until <time>', help: 'keysRotateUntil' },
    { flags: '--root-key <file>', help: 'keysRotateRootKey', repeatable: true, completes: 'file' },
    { flags: '--targets-key <file>', help: 'keysRotateTargetsKey', repeatable: true, completes: 'file' },
    { flags: '--remove <fingerprint>', help: 'keysRotateRemove', repeatable: true },
    { flags: '--threshold <n>', help: 'trustThreshold' },
    { flags: '--targets-threshold <n>', help: 'trustTargetsThreshold' },
    daysOption,
    draftOption,
  ],
  examples: [
    'keys rotate --release-key rfo-2027.pub --close sha256:<hex> --until 2027-01-01 --sign-key a.key',
    'keys rotate --root-key d.pub --remove sha256:<hex> --sign-key a.key --sign-key b.key --sign-key d.key',
  ],
  async run(context, { flags }) {
    const added = await Promise.all((flags.list('releaseKey') ?? []).map((file) => readTrustedKey(resolve(context.cwd, file))))
    const closed = flags.list('close') ?? []
    const ofRoot = ['rootKey', 'targetsKey', 'remove', 'threshold', 'targetsThreshold'].some((name) => flags.list(name) !== undefined)
    const ofReleases = added.length > 0 || closed.length > 0
    if (ofRoot === ofReleases)
      throw new RfoError('RFO_CLI_USAGE', 'release keys, or the keys that decide: one at a time', {
        exit: 'usage',
        next: 'rfo-build keys rotate --help',
      })
    if (ofReleases) {
      const { addKey, addOtherKey, closeKey } = await import('../sign/trust-targets.ts')
      const { timeText } = await import('../sign/tuf.ts')
      const from = flags.text('from')
      const window = from === undefined ? {} : { from: timeText(timeOf('--from', from, context)) }
      const until = timeText(timeOf('--until', flags.text('until'), context))
      return await change(context, flags, () => (says) => {
        const adding = added.map(({ kind, key }) =>
          kind === 'release' ? addKey(key, window) : addOtherKey({ kind, fingerprint: key.fingerprint }, window),
        )
        const changes = [...adding, ...closed.map((fingerprint) => closeKey(fingerprint, until))]
        return changes.reduce((before, next) => next(before), says)
      })
    }
    const { authorityOf, rotateRoot } = await import('../sign/trust-edit.ts')
    const { keyIn } = await import('../sign/trust-targets.ts')
    const known = await openFolder(context)
    const to = rotated(
      authorityOf(known, keyIn),
      await readReleasePublicKeys(context, flags.list('rootKey') ?? []),
      await readReleasePublicKeys(context, flags.list('targetsKey') ?? []),
      flags,
    )
    const signers = await readSigners(context, isDraft(flags))
    return await written(context, await rotateRoot(known, to, signers, timesOf(context, flags)), known, flags)
  },
}

/** Where the same keys decide everything, they still do afterwards. */
function rotated({ root, targets }: Authority, rootKeys: readonly PublicKey[], targetsKeys: readonly PublicKey[], flags: Flags): Authority {
  const remove = flags.list('remove') ?? []
  const unknown = remove.find((each) => ![...root.keys, ...targets.keys].some(({ fingerprint }) => fingerprint === each))
  if (unknown !== undefined)
    throw new RfoError('RFO_CLI_VALUE', `no key ${unknown.slice(0, 80)} decides anything`, { exit: 'usage', next: 'rfo-build trust show' })
  const spelt = ({ keys, threshold }: RoleKeys): string => [threshold, ...keys.map(({ fingerprint }) => fingerprint).sort()].join()
  const same = spelt(root) === spelt(targets) && targetsKeys.length === 0 && flags.text('targetsThreshold') === undefined
  const next = (before: RoleKeys, added: readonly PublicKey[], threshold: string | undefined): RoleKeys => ({
    keys: [...before.keys, ...added.filter((key) => !before.keys.some(({ fingerprint }) => fingerprint === key.fingerprint))].filter(
      ({ fingerprint }) => !remove.includes(fingerprint),
    ),
    threshold: threshold === undefined ? before.threshold : count('a threshold', threshold, 64),
  })
  const newRoot = next(root, rootKeys, flags.text('threshold'))
  return { root: newRoot, targets: same ? newRoot : next(targets, targetsKeys, flags.text('targetsThreshold')) }
}
