/** htpasswd with bcrypt, the one kind that docker's registry takes too: https://distribution.github.io/distribution/about/configuration/#htpasswd */
import { createHash, timingSafeEqual } from 'node:crypto'
import bcrypt from 'bcryptjs'
import { RfoError } from '../error.ts'

export type Verdict = 'yes' | 'no' | 'busy'
/** Whether the header of a request names one of the users. */
export type Gate = (authorization: string | undefined) => Promise<Verdict>

const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
/** 2^14 rounds take a second here: whoever wants more is not served faster by a password */
const highestCost = 14
/** requests that wait for a check, which takes a good part of a second of one core */
const mostWaiting = 16

/** Throws RFO_SERVE_HTPASSWD (exit usage) for a line that is no user with bcrypt; says which, never what it holds. */
export function htpasswdGate(content: string, where: string): Gate {
  const users = new Map<string, string>()
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = line.slice(colon + 1).trim()
    const cost = Number(bcryptForm.exec(hash)?.[1] ?? Number.NaN)
    if (colon < 1 || !(cost >= 4 && cost <= highestCost)) {
      throw new RfoError('RFO_SERVE_HTPASSWD', `not a user with a bcrypt password of cost 4 to ${highestCost}`, {
        exit: 'usage',
        where: `${where}:${index + 1}`,
        next: 'htpasswd -nB <user>',
      })
    }
    users.set(line.slice(0, colon), hash)
  }
  const [stranger] = users.values()
  if (stranger === undefined)
    throw new RfoError('RFO_SERVE_HTPASSWD', 'no user in it', { exit: 'usage', where, next: 'htpasswd -nB <user>' })

  /** user → SHA-256 of the header that was right: bcrypt is slow by intent, and a pull asks a hundred times */
  const right = new Map<string, Buffer>()
  let waiting = 0
  let turn: Promise<unknown> = Promise.resolve()
  return async (authorization) => {
    const [, encoded] = /^Basic ([A-Za-z0-9+/=]{1,1024})$/i.exec(authorization ?? '') ?? []
    if (encoded === undefined) return 'no'
    const pair = Buffer.from(encoded, 'base64').toString('utf8')
    const colon = pair.indexOf(':')
    if (colon < 0) return 'no'
    const [user, password] = [pair.slice(0, colon), pair.slice(colon + 1)]
    const mark = createHash('sha256').update(pair).digest()
    const before = right.get(user)
    if (before !== undefined && timingSafeEqual(before, mark)) return 'yes'
    if (waiting >= mostWaiting) return 'busy'
    waiting += 1
    // one after another: guesses take one core at most. A user whom nobody knows costs as much as one with a wrong password
    const checked = turn.then(() => bcrypt.compare(password, users.get(user) ?? stranger)).finally(() => (waiting -= 1))
    turn = checked.catch(() => {})
    if (!(await checked) || !users.has(user)) return 'no'
    right.set(user, mark)
    return 'yes'
  }
}
