/** `npm run evidence -- faults`: the test that CI runs with a few seeds. */
import { readFile, rm } from 'node:fs/promises'

type Run = (argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>) => Promise<void>

export const faultRuns = 100

export async function faults(vitest: string, tallyFile: string, said: Run): Promise<string> {
  const argv = [process.execPath, vitest, 'run', '--no-color', '--reporter=verbose', '--testTimeout=3600000'] as const
  await said([...argv, 'test/content/unreliable.test.ts'], { RFO_FAULTS: String(faultRuns), RFO_TALLY: tallyFile })
  const { first, root, tally, faults } = JSON.parse(await readFile(tallyFile, 'utf8')) as {
    first: number
    root: string
    tally: Record<'pull' | 'push', Record<string, number>>
    faults: Record<string, number>
  }
  await rm(tallyFile)
  const codes = [...new Set([...Object.keys(tally.pull), ...Object.keys(tally.push)])].sort()
  const rows = codes.map((code) => `| ${code} | ${tally.pull[code] ?? 0} | ${tally.push[code] ?? 0} |`)
  return `# Copies over a network that fails

\`npm run evidence -- faults\` ({machine}): an image of two platforms with a signature, copied ${faultRuns} times out of a registry and as often
into one, through a proxy that drops, lies, throttles and resets. Each copy was tried twice over that network, in up to two fifths of all requests
a fault, each request at most three times by the client, and then once without faults. After every try what lay at the target was looked at: each
blob had the bytes of its name, and where the image had a name all of it was there. The last try of each ended in the same root. Seeds from
${first} on ([log](faults.log)).

Root: \`${root}\`

| a try ended in | pulls | pushes |
|---|---|---|
${rows.join('\n')}

| fault | times |
|---|---|
${Object.entries(faults)
  .map(([kind, times]) => `| ${kind} | ${times} |`)
  .join('\n')}

A list of referrers is told no lies: it has no digest, so that whoever lies there leaves one out, and \`verify\` of the release finds it.
`
}
