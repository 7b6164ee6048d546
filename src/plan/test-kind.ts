import type { PlatformName } from '../oci/platform.ts'

/** The kinds of tests whose results lie beside a release, one statement a kind and platform. */
export const testKinds = ['conformance', 'checks', 'cis'] as const
export type TestKind = (typeof testKinds)[number]

/** What gives a result of that kind: the command to type. */
export function testCommand(target: string, kind: TestKind, platform: PlatformName): string {
  // kube-bench looks at the node itself
  if (kind === 'cis') return `rfo-build test ${target} --suite cis --cluster local, on a machine of that platform`
  return `rfo-build test ${target} --platform ${platform.slice(platform.indexOf('/') + 1)} --suite ${kind} --kubeconfig <file>`
}
