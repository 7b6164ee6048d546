/** A module proxy on disk (https://go.dev/ref/mod#goproxy-protocol), and a toolchain module that passes on to the installed Go. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

/** Files by path below the module's root. */
export async function putModule(proxy: string, module: string, version: string, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(proxy, module, '@v')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'list'), `${version}\n`)
  await writeFile(join(folder, `${version}.info`), JSON.stringify({ Version: version, Time: '2022-11-15T00:00:00Z' }))
  await writeFile(join(folder, `${version}.mod`), files['go.mod'] ?? `module ${module}\n`)
  await writeFile(
    join(folder, `${version}.zip`),
    zip(Object.entries(files).map(([path, text]) => [`${module}@${version}/${path}`, Buffer.from(text)])),
  )
}

/** Runs the installed go as if it were this toolchain; `mark` makes its sum another. */
export async function putToolchain(proxy: string, version: string, go: string, mark = ''): Promise<void> {
  for (const host of ['linux-amd64', 'linux-arm64']) {
    await putModule(proxy, 'golang.org/toolchain', `v0.0.1-${version}.${host}`, {
      'bin/go': `#!/bin/sh\n# ${mark}\nunset GOROOT\nexec ${go} "$@"\n`,
      'pkg/tool/linux/nothing': '',
    })
  }
}

/** Stored, not compressed: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.3 */
function zip(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const [name, bytes] of files) {
    const path = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(bytes.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, path, bytes])
    const entry = Buffer.alloc(14)
    entry.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), Buffer.from([20, 0]), common, entry, path]))
    parts.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, directory, end])
}
