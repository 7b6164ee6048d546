/** The kinds of tests whose results lie beside a release, one statement a kind and platform. */
export const testKinds = ['conformance', 'checks', 'cis'] as const
export type TestKind = (typeof testKinds)[number]

/** What a statement calls the tarball that it was counted from; a statement of one kind can't stand for another. */
export function resultsName(kind: TestKind): string {
  return `${kind} results`
}
