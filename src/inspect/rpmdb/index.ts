/** An rpm database of any of rpm's three kinds as packages. Pure: bytes in, packages out. */
import { RfoError } from '../../error.ts'
import { isBdb, readBdb } from './bdb.ts'
import { parseRpmHeader, type RpmPackage } from './header.ts'
import { isNdb, readNdb } from './ndb.ts'
import { isSqlite, readSqlite } from './sqlite.ts'

export type RpmDatabaseKind = 'ndb' | 'sqlite' | 'bdb'

/** Where rpm keeps its database, newest habit last, and what the file is called there. */
export const rpmFolders = ['/var/lib/rpm', '/usr/lib/sysimage/rpm', '/usr/share/rpm'] as const
export const rpmFileNames = ['Packages.db', 'rpmdb.sqlite', 'Packages'] as const

/** Files in all packages of one database; a full desktop has about half a million. */
const mostFiles = 4_000_000

export function rpmDatabaseKind(bytes: Buffer): RpmDatabaseKind | undefined {
  return isNdb(bytes) ? 'ndb' : isSqlite(bytes) ? 'sqlite' : isBdb(bytes) ? 'bdb' : undefined
}

/**
 * `name` is for messages, the kind is told from the bytes. `wal` is rpmdb.sqlite-wal. Keys that rpm keeps as packages
 * (gpg-pubkey) are left out. Throws RFO_INSPECT_RPMDB and the readers' errors: what can't be read is never "no packages".
 */
export function readRpmDatabase(name: string, bytes: Buffer, wal?: Buffer): RpmPackage[] {
  try {
    let files = 0
    return blobsOf(bytes, wal)
      .map((blob) => {
        const found = parseRpmHeader(blob)
        files += found.files.length
        if (files > mostFiles) throw new RfoError('RFO_INSPECT_RPMDB', `more than ${mostFiles} files in it`, { exit: 'untrusted' })
        return found
      })
      .filter((found) => found.name !== 'gpg-pubkey')
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(name) : thrown
  }
}

/** All headers as the database has them, unread. Throws as readRpmDatabase does. */
export function rpmHeaders(name: string, bytes: Buffer, wal?: Buffer): Buffer[] {
  try {
    return blobsOf(bytes, wal)
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(name) : thrown
  }
}

function blobsOf(bytes: Buffer, wal: Buffer | undefined): Buffer[] {
  const kind = rpmDatabaseKind(bytes)
  switch (kind) {
    case 'ndb':
      return readNdb(bytes)
    case 'sqlite':
      return readSqlite(bytes, wal)
    case 'bdb':
      return readBdb(bytes)
    case undefined:
      throw new RfoError('RFO_INSPECT_RPMDB', 'no rpm database of a kind that is known', { exit: 'untrusted' })
  }
}
