/** Who makes packages: the writer of this room, or rpmbuild of the machine. */
export const rpmBackends = ['embedded', 'rpmbuild'] as const
export type RpmBackend = (typeof rpmBackends)[number]
