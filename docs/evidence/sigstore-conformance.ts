/**
 * The bundle cases of sigstore-conformance, put to test/sign/conformance-client.ts as the suite's test_bundle.py does: each
 * folder twice, with the artifact and with its digest alone. The suite is nothing of ours and stays outside.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyAsSuite } from '../../test/sign/conformance-client.ts'

/** The suite's own: whose bundles they are, unless a case says another. test/client.py */
const identity =
  'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main'
const issuer = 'https://token.actions.githubusercontent.com'

interface Verdict {
  readonly name: string
  readonly good: boolean
  readonly said: string
}

/** Gives the page. Without the suite nothing is written, and why is said. */
export function sigstoreConformance(log: (line: string) => void): string {
  const [suite, root, commit] = ['RFO_SIGSTORE_CONFORMANCE', 'RFO_SIGSTORE_ROOT', 'RFO_SIGSTORE_COMMIT'].map(
    (name) => process.env[name] ?? '',
  )
  if (!suite || !root || !commit) {
    process.stderr.write(
      'skipped: RFO_SIGSTORE_CONFORMANCE names no folder of https://github.com/sigstore/sigstore-conformance, RFO_SIGSTORE_COMMIT not its commit, ' +
        'or RFO_SIGSTORE_ROOT not the trusted root of Sigstore’s public instance (targets/trusted_root.json of https://tuf-repo-cdn.sigstore.dev)\n',
    )
    process.exit(9)
  }
  const cases = join(suite, 'test', 'assets', 'bundle-verify')
  const names = readdirSync(cases, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
  const verdicts: Verdict[] = []
  for (const name of names) verdicts.push(...[false, true].map((byDigest) => judge(join(cases, name), name, byDigest)))
  for (const { name, good, said } of verdicts) log(`${good ? 'passed' : 'MISSED'} ${name}: ${said}`)
  const missed = verdicts.filter(({ good }) => !good)
  return `# Sigstore’s bundle cases

\`npm run evidence -- sigstore-conformance\` ({machine}). sigstore-conformance at commit \`${commit}\` has ${names.length} bundles, good and forged,
each verified twice, as the suite’s \`test_bundle.py\` does: against the artifact, and against its digest alone. The client is \`test/sign/conformance-client.ts\`, whose checks are
those of \`src/sign\`; the root of the public instance is the file with the SHA-256 \`${sha256(readFileSync(root))}\`.

**${verdicts.length - missed.length} of ${verdicts.length} passed** ([log](sigstore-conformance.log), SHA-256 \`{log}\`).

${missed.length === 0 ? 'None was missed.' : missed.map(({ name, said }) => `- ${name}: ${said}`).join('\n')}

The suite’s cases of signing need Sigstore’s public instance, and are not run: that signing works with the services of a signing config, and
that cosign 3 verifies what it makes, is what \`test/sign/keyless-cosign.test.ts\` shows.
`.replace('{log}', sha256(Buffer.from(verdicts.map(({ name, good, said }) => `${good ? 'passed' : 'MISSED'} ${name}: ${said}\n`).join(''))))
}

function judge(folder: string, name: string, byDigest: boolean): Verdict {
  const at = (file: string): string | undefined => (existsSync(join(folder, file)) ? join(folder, file) : undefined)
  const text = (file: string, otherwise: string): string =>
    at(file) === undefined ? otherwise : readFileSync(join(folder, file), 'utf8').trim()
  const artifact = at('artifact') ?? join(folder, '..', 'a.txt')
  const key = at('key.pub')
  const root = at('trusted_root.json')
  const who =
    key === undefined
      ? ['--certificate-identity', text('identity', identity), '--certificate-oidc-issuer', text('issuer', issuer)]
      : ['--key', key]
  const about = byDigest ? `sha256:${sha256(readFileSync(artifact))}` : artifact
  const argv = [
    'verify-bundle',
    '--bundle',
    join(folder, 'bundle.sigstore.json'),
    ...who,
    ...(root === undefined ? [] : ['--trusted-root', root]),
    about,
  ]
  let said = 'verified'
  try {
    verifyAsSuite(argv)
  } catch (thrown) {
    said = `refused: ${(thrown as { code?: string }).code ?? ''} ${(thrown as Error).message.replaceAll(folder, name)}`
  }
  return { name: `${name} (${byDigest ? 'digest' : 'artifact'})`, good: name.endsWith('_fail') === (said !== 'verified'), said }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
