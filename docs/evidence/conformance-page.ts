/** What docs/evidence/conformance.md says, read out of the statement that was signed. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

interface TestFacts {
  readonly counts: Readonly<Record<'asked' | 'ran' | 'passed' | 'failed', number>>
  readonly cluster: {
    readonly driver: string
    readonly nodes: readonly Readonly<Record<string, string>>[]
    readonly images: Readonly<Record<string, string>>
    readonly programs: Readonly<Record<string, string>>
    readonly standIns: readonly string[]
  }
}

/** Why a spec fails on this cluster, as its log says: the words that its name holds → the reason. */
const reasons: Readonly<Record<string, string>> = {
  'Sample API Server': 'the image of that server is not among those of the tests',
  'rollback without unnecessary restarts': 'the spec asks for two nodes',
  'at least two untainted nodes': 'there is one node',
  'Kubectl version': 'Kubernetes was made from its module, and printed no commit',
  'read only busybox': 'the stand-in’s shell says it in other words than busybox',
  AllowPrivilegeEscalation: 'the image nonewprivs is not among those of the tests',
}
const whyOf = (name: string): string => Object.entries(reasons).find(([words]) => name.includes(words))?.[1] ?? 'unexplained'

/** `folder` is a release whose amd64 was tested. `{machine}` is left for whoever knows it. */
export async function conformancePage(folder: string, version: string): Promise<string> {
  const bundle = JSON.parse(await readFile(join(folder, 'evidence', 'test-result.linux-amd64.sigstore.json'), 'utf8')) as {
    dsseEnvelope: { payload: string }
  }
  const { predicate } = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8')) as {
    predicate: { result: string; passedTests: string[]; failedTests: string[]; configuration: { annotations: TestFacts }[] }
  }
  const facts = predicate.configuration[0]?.annotations
  if (facts === undefined) throw new Error('the statement says nothing of the run')
  const { counts, cluster } = facts
  const list = (names: readonly string[]): string => (names.length === 0 ? 'None.' : names.map((name) => `- ${name}`).join('\n'))
  const table = (rows: Readonly<Record<string, string>>): string =>
    Object.entries(rows)
      .map(([name, digest]) => `| ${name} | ${digest} |`)
      .join('\n')
  return `# Conformance of ${version}

\`npm run evidence -- conformance\` ({machine}). One node in namespaces of its own, made of the release's programs and images;
${cluster.nodes.map((node) => `${node.kubeletVersion}, ${node.containerRuntimeVersion}, Linux ${node.kernelVersion}`).join('; ')}. Runner: ${cluster.driver}.

linux/amd64: **${counts.passed} passed**, ${counts.failed} failed, ${counts.ran} ran of ${counts.asked} asked for. linux/arm64 and linux/riscv64: not run.

All programs of the node are the release's, runc too. What stood in for something: ${cluster.standIns.join('; ')}.
[Results](conformance.tar.gz), [log](conformance.log).

## Failed

${list(predicate.failedTests.map((name) => `${name}: ${whyOf(name)}`))}

## What ran

| image | digest |
|---|---|
${table(cluster.images)}
${table(cluster.programs)}
`
}
