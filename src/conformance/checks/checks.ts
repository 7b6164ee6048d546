/** All checks, in the order in which they run: the one about pulls looks back on the others. */
import { airGapCheck } from './air-gap.ts'
import type { Argv, Check } from './check.ts'
import { helmChartCheck } from './helm-chart.ts'
import { helmChartConfigCheck } from './helm-chart-config.ts'
import { nodeRestartCheck } from './node-restart.ts'
import { rfoChecks } from './rfo.ts'
import { secretsEncryptionCheck } from './secrets-encryption.ts'

export const checkNames = [
  'helm-chart',
  'helm-chart-config',
  'secrets-encryption',
  'node-restart',
  'air-gap',
  'rfo-install',
  'rfo-etcd-snapshot',
  'rfo-etcd-restore',
  'rfo-certificate-rotate',
  'rfo-secrets-encrypt',
  'rfo-agent-join',
  'rfo-upgrade-restore',
  'rfo-uninstall',
] as const
export type CheckName = (typeof checkNames)[number]

export const checks: Readonly<Record<CheckName, Check>> = {
  'helm-chart': helmChartCheck,
  'helm-chart-config': helmChartConfigCheck,
  'secrets-encryption': secretsEncryptionCheck,
  'node-restart': nodeRestartCheck,
  'air-gap': airGapCheck,
  ...rfoChecks,
}

/** `rfo etcd-snapshot save --name check; rfo etcd-snapshot ls` */
export function commandsText(commands: readonly Argv[]): string {
  return commands.map((argv) => argv.join(' ')).join('; ')
}
