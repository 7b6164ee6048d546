/** Makes a signed repository and the source of a package in the current folder. Argument: a file with the private key. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { repomdPath } from '../../src/rpm/repository.ts'
import { writeSourceRpm } from '../../src/rpm/source-rpm.ts'
import { sourceRpmName } from '../../src/rpm/tags.ts'
import { readPgpKey } from '../../src/sign/pgp.ts'
import { epoch, everything, hostPackages, packagesOf } from './made.ts'
import { repository } from './openeuler.ts'

const [, , keyFile = ''] = process.argv
const key = await readPgpKey(readFileSync(keyFile, 'utf8'))
const store = await openDirectoryStore('store')
const workDir = 'work'
const sign = (header: Uint8Array): Promise<Uint8Array> => key.packet(header, epoch)
const platform = 'linux/amd64'
const packages = [...(await packagesOf(platform, store)), ...(await hostPackages(platform, store)), await everything(store)]
await repository('made', packages, store, { sign, workDir })
writeFileSync(`made/${repomdPath}.asc`, await key.detached(readFileSync(join('made', repomdPath)), epoch))
const pkg = await everything(store)
const sources = new Map<string, Descriptor>([['every.tar.gz', await pushBytes(store, 'application/gzip', 'an archive')]])
const { rpm } = await writeSourceRpm(pkg, sources, store, { epoch, compression: 'zstd', sign, workDir })
writeFileSync(join('made', sourceRpmName(pkg)), await readBytes(store, rpm))
