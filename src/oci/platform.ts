/** The one platform table. A new architecture is one row. */

/** What others call an architecture, and what tools need to be told of it. */
interface ArchitectureRow {
  /** RPM's name, uname's, and the first part of GNU's triplet */
  readonly rpm: string
  /** `%{_isa}` without its parentheses: https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/rpmrc.in */
  readonly isa: string
  /** the number in an RPM's lead, which nobody reads any more: rpmrc.in, `arch_canon` */
  readonly rpmLead: number
  /** e_machine and e_flags of an ELF header: https://gabi.xinuos.com/elf/a-emachine.html */
  readonly elfMachine: number
  readonly elfFlags: number
  /** suffix of qemu-user's programs */
  readonly qemu: string
  /** Node's name of the processor */
  readonly node: string
  /** the least that every machine of the architecture can run: https://go.dev/wiki/MinimumRequirements */
  readonly goLevel: Readonly<Record<string, string>>
}

/** OCI's and Go's name → the rest. elfFlags of riscv64: EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE, of the psABI. */
export const architectures = {
  amd64: { rpm: 'x86_64', isa: 'x86-64', rpmLead: 1, elfMachine: 62, elfFlags: 0, qemu: 'x86_64', node: 'x64', goLevel: { GOAMD64: 'v1' } },
  arm64: {
    rpm: 'aarch64',
    isa: 'aarch-64',
    rpmLead: 19,
    elfMachine: 183,
    elfFlags: 0,
    qemu: 'aarch64',
    node: 'arm64',
    goLevel: { GOARM64: 'v8.0' },
  },
  riscv64: {
    rpm: 'riscv64',
    isa: 'riscv-64',
    rpmLead: 22,
    elfMachine: 243,
    elfFlags: 5,
    qemu: 'riscv64',
    node: 'riscv64',
    goLevel: { GORISCV64: 'rva20u64' },
  },
} as const satisfies Record<string, ArchitectureRow>

export type Architecture = keyof typeof architectures

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions */
export interface Platform {
  readonly os: 'linux'
  readonly architecture: Architecture
}

/** `linux/<architecture>`: how a platform is spelt in plans, locks, task names and flags. */
export type PlatformName = `linux/${Architecture}`

export const architectureNames = Object.keys(architectures) as [Architecture, ...Architecture[]]
export const platformNames = architectureNames.map((name) => `linux/${name}` as const) as [PlatformName, ...PlatformName[]]

export function isPlatformName(text: string): text is PlatformName {
  return (platformNames as readonly string[]).includes(text)
}

export function platformOf(name: PlatformName): Platform {
  return { os: 'linux', architecture: name.slice('linux/'.length) as Architecture }
}
