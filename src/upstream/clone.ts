/** Upstream's tags out of a local clone, without a network. */
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import type { UpstreamState, UpstreamTag } from './track.ts'

/**
 * https://git-scm.com/docs/git-for-each-ref: `*` peels an annotated tag, %00 is a NUL, which no ref name can hold. Each record
 * ends with a line feed, which no ref name can hold either (https://git-scm.com/docs/git-check-ref-format), but U+2028 it can.
 */
const format = ['%(refname:strip=2)', '%(objectname)', '%(*objectname)', '%(committerdate:iso-strict)', '%(*committerdate:iso-strict)']
  .map((field) => `${field}%00`)
  .join('')

/** `env` gives PATH. Throws RFO_UPSTREAM_CLONE (usage) for a folder that is no clone, RFO_EXEC_ABSENT without git. */
export function cloneState(folder: string, env: Readonly<Record<string, string>>): UpstreamState {
  return {
    source: folder,
    async tags(_, signal) {
      const { stdout } = await exec(['git', '-C', folder, 'for-each-ref', `--format=${format}`, 'refs/tags'], {
        env: { PATH: env.PATH ?? '', HOME: env.HOME ?? '/', LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0', GIT_NO_LAZY_FETCH: '1' },
        exit: 'usage',
        ...(signal === undefined ? {} : { signal }),
      }).catch((thrown: unknown) => {
        if (!(thrown instanceof RfoError) || thrown.code !== 'RFO_EXEC_FAILED') throw thrown
        throw new RfoError('RFO_UPSTREAM_CLONE', `git can't list its tags: ${thrown.details.at(-1) ?? thrown.message}`.slice(0, 500), {
          exit: 'usage',
          where: folder,
          next: 'give the folder of a clone of RKE2 with its tags',
          details: thrown.details,
        })
      })
      return parseRefs(stdout)
    },
  }
}

export function parseRefs(bytes: Uint8Array): readonly UpstreamTag[] {
  const fields = new TextDecoder().decode(bytes).split('\0')
  const tags: UpstreamTag[] = []
  for (let at = 0; at + 4 < fields.length; at += 5) {
    const [name = '', object = '', peeled = '', date = '', peeledDate = ''] = fields.slice(at, at + 5)
    const when = peeledDate || date
    // a tag of a tree or a blob has no date; it is no commit either
    tags.push({ name: name.replace(/^\n/, ''), ...(when === '' ? {} : { commit: peeled || object, date: when }) })
  }
  return tags
}
