/**
 * The foreign tools that judge us. `const crane = tool('crane')`, then `test.skipIf(crane.skip)(...)`: a suite runs when
 * its tool is on the PATH and says once why it did not. With RFO_REQUIRE_TOOLS=1, as in CI, a missing tool throws.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Tool {
  /** Absolute path; empty when the tool is missing. */
  readonly path: string
  readonly skip: boolean
}

const found = new Map<string, Tool>()

export function tool(name: string): Tool {
  const known = found.get(name)
  if (known !== undefined) return known
  const path = search(name)
  if (path === undefined && process.env.RFO_REQUIRE_TOOLS === '1') {
    throw new Error(`${name} is not on the PATH and RFO_REQUIRE_TOOLS=1: .ci/tools.sh installs it`)
  }
  if (path === undefined) process.stderr.write(`tests that need ${name} are skipped: it is not on the PATH (.ci/tools.sh installs it)\n`)
  const result = { path: path ?? '', skip: path === undefined }
  found.set(name, result)
  return result
}

function search(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return path
    } catch {
      // not in this folder
    }
  }
  return undefined
}
