/** A cluster that somebody else made: whatever runs is told of it by KUBECONFIG alone. */
import { type ExecOptions, type ExecResult, exec } from '../exec.ts'
import type { Argv } from './config.ts'

export function execAgainst(kubeconfig: string, env: Readonly<Record<string, string>>) {
  return (argv: Argv, options: Omit<ExecOptions, 'env'>): Promise<ExecResult> =>
    exec(argv, { ...options, env: { ...env, KUBECONFIG: kubeconfig } })
}
