/** Whether a program holds BoringSSL's cryptography: read from its bytes, since its build info says what was asked for. */
import { createReadStream } from 'node:fs'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'

/** Begins the names of Go's calls into it, which stay in a stripped program. https://go.dev/src/crypto/internal/boring */
const mark = Buffer.from('_Cfunc__goboringcrypto_')

/**
 * RFO_BUILD_BORING unless it is as wanted. Go without cgo, or for an architecture that has no BoringSSL, builds without it and
 * still writes GOEXPERIMENT=boringcrypto into the program.
 */
export async function checkBoring(file: string, name: string, platform: PlatformName, wanted: boolean): Promise<void> {
  if ((await holds(file)) === wanted) return
  throw new RfoError(
    'RFO_BUILD_BORING',
    wanted ? `${name} has no BoringSSL in it` : `${name} has BoringSSL in it, which build.boring does not say`,
    {
      exit: 'build',
      where: platform,
      next: wanted ? 'leave it out of build.boring if it does no cryptography' : 'name the architecture under build.boring',
    },
  )
}

async function holds(file: string): Promise<boolean> {
  let before = Buffer.alloc(0)
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.concat([before, chunk as Buffer])
    if (bytes.includes(mark)) return true
    before = bytes.subarray(Math.max(0, bytes.length - mark.length + 1))
  }
  return false
}
