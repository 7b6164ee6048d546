/**
 * A certified run as the folder that the CNCF's conformance programme takes: `v1.25/rfo/` with README.md, PRODUCT.yaml, e2e.log and
 * junit_01.xml. https://github.com/cncf/k8s-conformance/blob/master/instructions.md#contents-of-the-pr
 */
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'yaml'
import type { ReleasePredicate } from '../attest/release.ts'
import { resultsFolder } from '../conformance/sonobuoy.ts'
import { eachFile } from '../conformance/tarball.ts'
import type { Verdict } from '../conformance/verdict.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { ReleaseFile } from '../plan/component.ts'
import { writeFlushed } from './lay-out.ts'

export interface SubmissionRequest {
  /** below it `v1.25/rfo` is made */
  readonly folder: string
  /** tarball of the run */
  readonly results: string
  readonly verdict: Verdict
  /** what was asked of the suite, as the run itself says or as it was asked here; undefined = nobody knows */
  readonly asked: { readonly focus: string; readonly skip: string } | undefined
  readonly release: ReleasePredicate
  readonly platform: PlatformName
  readonly product: ReleaseFile
  readonly signal?: AbortSignal
}

/** "certification runs require E2E_FOCUS=\[Conformance\] and no value for E2E_SKIP": the same page. */
const certifiedFocus = '\\[Conformance\\]'
const wanted = ['e2e.log', 'junit_01.xml'] as const

/** The folder that was made. Throws RFO_TEST_SUBMISSION for a run that is no certified one, and when the folder is there already. */
export async function writeSubmission(request: SubmissionRequest): Promise<string> {
  const { release, product } = request
  refuseUncertified(request)
  const { submission } = product
  if (submission === undefined)
    throw refused('the product is not described', 'write `submission:` into pipelines/release.yaml', 'pipelines/release.yaml')
  const [minor] = /^v\d+\.\d+/.exec(release.version) ?? []
  if (minor === undefined) throw new Error(`${release.version} is a version`)
  const folder = join(request.folder, minor, product.name.toLowerCase())
  if (await exists(folder)) throw refused('it is there already', 'choose another folder', folder)
  const temporary = `${folder}.${randomUUID()}`
  await mkdir(temporary, { recursive: true })
  try {
    const missing = new Set<string>(wanted)
    await eachFile(
      createReadStream(request.results),
      async (path, body) => {
        const name = wanted.find((each) => path === `${resultsFolder}${each}`)
        if (name === undefined || !missing.delete(name)) return
        await pipeline(body, createWriteStream(join(temporary, name), { flags: 'wx', mode: 0o644, flush: true }))
      },
      request.signal,
    )
    const [absent] = missing
    if (absent !== undefined) throw refused(`the results hold no ${absent}`, 'run --suite certified-conformance', request.results)
    await writeFlushed(join(temporary, 'PRODUCT.yaml'), productYaml(product, submission, release.version))
    await writeFlushed(join(temporary, 'README.md'), readme(request))
    await mkdir(dirname(folder), { recursive: true })
    await rename(temporary, folder)
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true })
    throw thrown
  }
  return folder
}

function refuseUncertified({ verdict, asked }: SubmissionRequest): void {
  const again = 'rfo-build test <release> --suite certified-conformance --submission <folder>'
  if (asked?.focus !== certifiedFocus || asked.skip !== '') throw refused('it was no run of all [Conformance] specs', again)
  if (verdict.result !== 'PASSED' || verdict.asked === null || verdict.asked !== verdict.passed)
    throw refused(`${verdict.passed} of ${verdict.asked ?? verdict.ran} specs passed; all have to`, again)
}

function refused(what: string, next: string, where?: string): RfoError {
  const at = where === undefined ? {} : { where }
  return new RfoError('RFO_TEST_SUBMISSION', `no submission: ${what}`, { exit: 'condition', next, ...at })
}

function productYaml({ name, vendor, url }: ReleaseFile, submission: NonNullable<ReleaseFile['submission']>, version: string): string {
  // the order of the page's table
  const { repo_url, documentation_url, product_logo_url, description, contact_email_address } = submission
  return stringify({
    vendor,
    name,
    version,
    website_url: url,
    ...(repo_url === undefined ? {} : { repo_url }),
    documentation_url,
    ...(product_logo_url === undefined ? {} : { product_logo_url }),
    type: 'distribution',
    description,
    ...(contact_email_address === undefined ? {} : { contact_email_address }),
  })
}

function readme({ release, platform, product, verdict }: SubmissionRequest): string {
  const architecture = platform.slice(platform.indexOf('/') + 1)
  return `# ${product.name} ${release.version}, ${platform}

${verdict.passed} of ${verdict.asked} conformance specs passed.

## How to run it again

1. Get the release ${release.version} and check it: \`rfo-build verify ${release.version} --key cosign.pub --expect ${release.version}\`. Its root digest is
   \`${release.root.digest}\`.
2. Install it on a node: \`INSTALL_RFO_ARTIFACT_PATH=<folder of the release> sh install-rfo.sh\`, then \`systemctl start rfo-server\`.
3. Run the suite: \`rfo-build test ${release.version} --platform ${architecture} --kubeconfig /etc/rancher/rfo/rfo.yaml --suite certified-conformance\`
   or \`sonobuoy run --mode=certified-conformance --wait\`.

e2e.log and junit_01.xml are the suite's own. The signed test-result statement of the release,
\`evidence/test-result.${platform.replace('/', '-')}.sigstore.json\`, names the image digests that ran and the digest of the results.
`
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
