/** Names of users and groups → numbers, as the base has them. */
import type { BaseView } from './base.ts'
import type { FileFact } from './facts.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** What fits into a tar header's seven octal digits. */
const largestId = 0o7777777
const [setuid, setgid] = [0o4000, 0o2000]

/**
 * Users that a scriptlet would make are not there, since none is run: their files become root's, and lose setuid and setgid,
 * as with rpm itself (https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/fsm.c, rpmfsmVerify's callers).
 */
export function idsOf(base: Pick<BaseView, 'passwd' | 'group'>): (fact: FileFact) => {
  readonly owner: Owner
  readonly mode: number
  readonly unknown: readonly string[]
} {
  const [users, groups] = [readIds(base.passwd), readIds(base.group)]
  return ({ user, group, mode }) => {
    const [uid, gid] = [users.get(user), groups.get(group)]
    return {
      owner: { uid: uid ?? 0, gid: gid ?? 0 },
      mode: mode & ~((uid === undefined ? setuid : 0) | (gid === undefined ? setgid : 0)),
      unknown: [...(uid === undefined ? [`user ${user}`] : []), ...(gid === undefined ? [`group ${group}`] : [])],
    }
  }
}

/** https://man7.org/linux/man-pages/man5/passwd.5.html and group.5: the number is the third field of both. */
function readIds(text: string): ReadonlyMap<string, number> {
  const found = new Map([['root', 0]])
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':')
    if (name !== '' && /^\d{1,7}$/.test(id) && Number(id) <= largestId) found.set(name, Number(id))
  }
  return found
}
