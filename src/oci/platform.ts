/** The one platform table. A new architecture is one row. */

/**
 * OCI and Go name → the names that others use. rpm: RPM and uname; elfMachine: e_machine of the ELF header;
 * qemu: suffix of qemu-user's programs.
 */
export const architectures = {
  amd64: { rpm: 'x86_64', elfMachine: 62, qemu: 'x86_64' },
  arm64: { rpm: 'aarch64', elfMachine: 183, qemu: 'aarch64' },
  riscv64: { rpm: 'riscv64', elfMachine: 243, qemu: 'riscv64' },
} as const satisfies Record<string, { readonly rpm: string; readonly elfMachine: number; readonly qemu: string }>

export type Architecture = keyof typeof architectures

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions */
export interface Platform {
  readonly os: 'linux'
  readonly architecture: Architecture
}

/** `linux/<architecture>`: how a platform is spelt in plans, locks, task names and flags. */
export type PlatformName = `linux/${Architecture}`

export const platformNames: readonly PlatformName[] = Object.keys(architectures).map((name) => `linux/${name as Architecture}` as const)

export function isPlatformName(text: string): text is PlatformName {
  return (platformNames as readonly string[]).includes(text)
}

export function platformOf(name: PlatformName): Platform {
  return { os: 'linux', architecture: name.slice('linux/'.length) as Architecture }
}
