/** The kinds of tests whose results lie beside a release, one statement a kind and platform. */
export const testKinds = ['conformance', 'checks', 'cis'] as const
export type TestKind = (typeof testKinds)[number]
