/** python-tuf judges our trust metadata by the client's workflow, and we read what it writes. */
import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newerTrust, openTrust, rootOf } from '../../src/sign/trust.ts'
import { mergeDrafts, signDraft } from '../../src/sign/trust-draft.ts'
import { rotateRoot } from '../../src/sign/trust-edit.ts'
import { readTrustFiles, writeTrust } from '../../src/sign/trust-files.ts'
import { addKey, nothingSaid, setLowest, targetTexts, withdraw } from '../../src/sign/trust-targets.ts'
import { tool } from '../tools.ts'
import { a, at, b, c, changed, firstTrust, newKey, releaseKey } from './trust-state.ts'

const python = tool('python-tuf')
let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-tuf-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

/** Trusts the first root alone, and asks the folder for the rest: https://python-tuf.readthedocs.io/en/latest/api/tuf.ngclient.html */
const client = `
import sys, os, tempfile
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface
class Folder(FetcherInterface):
    def _fetch(self, url):
        try:
            with open(url, 'rb') as file: yield file.read()
        except FileNotFoundError: raise DownloadHTTPError('not there', 404)
folder, root = sys.argv[1], sys.argv[2]
with tempfile.TemporaryDirectory() as own:
    updater = Updater(own, folder + '/', own, folder + '/targets/', Folder(), bootstrap=open(root, 'rb').read())
    updater.refresh()
    for name in ('keys.json', 'releases.json'):
        print(open(updater.download_target(updater.get_targetinfo(name))).read())
`

test.skipIf(python.skip)('python-tuf follows our roots and reads what the targets say', async () => {
  const folder = join(scratch, 'ours')
  const first = await firstTrust()
  await writeTrust(folder, first.files)
  const second = await changed(first, withdraw('v1.24.8+rfor1', 'kaputt: «ü» "\\ 不可用'))
  await writeTrust(folder, second.files, first)
  const to = {
    root: { keys: [b, c, newKey()].map((key) => key.publicKey), threshold: 2 },
    targets: { keys: [b, c].map((key) => key.publicKey), threshold: 2 },
  }
  // by people who never meet: each signs a copy
  const draft = await rotateRoot(second, to, [], { ...at, draft: true })
  const copies = await Promise.all([a, b, c].map((key) => signDraft(draft, [key], second)))
  const rotated = newerTrust(second, await mergeDrafts(draft, copies)).trust
  await writeTrust(folder, rotated.files, second)
  const read = spawnSync(python.path, ['-c', client, folder, join(folder, '1.root.json')], { encoding: 'utf8' })
  expect(read.stderr).toBe('')
  expect(read.stdout.trim().split('\n')).toEqual(targetTexts(second.says).map(([, text]) => text))

  const odd = join(scratch, 'odd')
  await cp(folder, odd, { recursive: true })
  await writeFile(join(odd, '2.root.json'), (await readFile(join(odd, '2.root.json'), 'utf8')).replace('"version":2', '"version":3'))
  expect(spawnSync(python.path, ['-c', client, odd, join(odd, '1.root.json')], { encoding: 'utf8' }).status).not.toBe(0)
})

const repository = `
import sys, os, hashlib
from datetime import datetime, timedelta, timezone
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import *
folder, keys, releases = sys.argv[1:4]
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)
one, two, three = (CryptoSigner.generate_ecdsa() for _ in range(3))
os.makedirs(folder + '/targets')
def write(name, metadata):
    metadata.to_file(folder + '/' + name)
root = Metadata(Root(expires=expires))
root.signed.roles['root'].threshold = 2
for signer in (one, two): root.signed.add_key(signer.public_key, 'root')
for role in ('targets', 'snapshot', 'timestamp'): root.signed.add_key(one.public_key, role)
for signer in (one, two): root.sign(signer, append=True)
write('1.root.json', root)
root.signed.version = 2
root.signed.revoke_key(two.public_key.keyid, 'root')
root.signed.add_key(three.public_key, 'root')
root.signatures.clear()
for signer in (one, two, three): root.sign(signer, append=True)
write('2.root.json', root)
targets = Metadata(Targets(expires=expires))
for name, text in (('keys.json', keys), ('releases.json', releases)):
    data = text.encode()
    targets.signed.targets[name] = TargetFile.from_data(name, data)
    open(f'{folder}/targets/{hashlib.sha256(data).hexdigest()}.{name}', 'wb').write(data)
targets.sign(one)
write('1.targets.json', targets)
snapshot = Metadata(Snapshot(expires=expires))
snapshot.sign(one)
write('1.snapshot.json', snapshot)
timestamp = Metadata(Timestamp(expires=expires))
timestamp.sign(one)
write('timestamp.json', timestamp)
`

test.skipIf(python.skip)('we follow the roots of python-tuf and read what its targets say', async () => {
  const says = setLowest('v1.24.8+rfor2')(addKey(releaseKey.publicKey)(nothingSaid))
  const folder = join(scratch, 'theirs')
  const texts = targetTexts(says).map(([, text]) => text)
  const made = spawnSync(python.path, ['-c', repository, folder, ...texts], { encoding: 'utf8' })
  expect(made.stderr).toBe('')
  const files = (await readTrustFiles(folder)) ?? new Map()
  const trust = openTrust(files)
  expect(rootOf(trust).metadata.signed.version).toBe(2)
  expect(trust.says).toEqual(says)
  const only = new Map([...files].filter(([name]) => name !== '2.root.json'))
  expect(newerTrust(openTrust(only), files).state).toBe('newer')
})
