/** bases: openEuler's images; mirrors: images that are taken over as they are; git: sources in git; charts: Helm charts. */
export const standInKinds = ['bases', 'mirrors', 'git', 'charts'] as const
export type StandInKind = (typeof standInKinds)[number]
