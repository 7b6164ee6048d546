/** bases: openEuler's images; mirrors: images that are taken over as they are; git: sources in git; charts: Helm charts; advisories: what images are judged by. */
export const standInKinds = ['bases', 'mirrors', 'git', 'charts', 'advisories'] as const
export type StandInKind = (typeof standInKinds)[number]
