/** What `trust show` prints: who decides, who signs, and what is not to be used. */
import type { Json } from '../oci/json.ts'
import type { Trust } from '../sign/trust.ts'
import type { CliContext } from './context.ts'
import { told } from './trust-state.ts'
import type { Outcome } from './verb.ts'

const words = {
  en: {
    root: (threshold: number, of: number) => `root: ${threshold} of ${of} keys`,
    targets: (threshold: number, of: number) => `targets, snapshot, timestamp: ${threshold} of ${of} keys`,
    keys: 'release keys',
    otherKeys: 'keys beside them',
    revoked: 'revoked',
    withdrawn: 'withdrawn',
    lowest: 'lowest',
    window: (from = 'ever', until = 'on') => `releases from ${from} ${until === 'on' ? 'on' : `until ${until}`}`,
    instead: (version: string) => `use ${version}`,
  },
  zh: {
    root: (threshold: number, of: number) => `root：${of} 把密钥中的 ${threshold} 把`,
    targets: (threshold: number, of: number) => `targets、snapshot、timestamp：${of} 把密钥中的 ${threshold} 把`,
    keys: '发布密钥',
    otherKeys: '附加密钥',
    revoked: '已吊销',
    withdrawn: '已撤回',
    lowest: '最低版本',
    window: (from = '任何时间', until = 'on') => `自 ${from} ${until === 'on' ? '起的发布' : `至 ${until} 的发布`}`,
    instead: (version: string) => `请使用 ${version}`,
  },
} as const

export async function trustTold(context: CliContext, trust: Trust): Promise<Outcome> {
  const { authorityOf } = await import('../sign/trust-edit.ts')
  const { keyIn } = await import('../sign/trust-targets.ts')
  const { spokenDigits } = await import('../sign/spoken.ts')
  const say = words[context.lang]
  const { root, targets } = authorityOf(trust, keyIn)
  const { keys, otherKeys = [], revoked } = trust.says.keys
  const { withdrawn, lowest } = trust.says.releases
  const spoken = (fingerprint: string): string[] => [
    fingerprint,
    ...[spokenDigits(fingerprint) ?? []].flat().map((digits) => `  ${digits}`),
  ]
  const { text, json } = await told(context, trust)
  const lines = [
    ...branch(
      say.root(root.threshold, root.keys.length),
      root.keys.flatMap((key) => spoken(key.fingerprint)),
    ),
    ...branch(
      say.targets(targets.threshold, targets.keys.length),
      targets.keys.map((key) => key.fingerprint),
    ),
    ...branch(
      say.keys,
      keys.flatMap(({ fingerprint, from, until }) => [...spoken(fingerprint), `  ${say.window(from, until)}`]),
    ),
    ...branch(
      say.otherKeys,
      otherKeys.flatMap(({ kind, fingerprint, from, until }) => [`${kind.toUpperCase()} ${fingerprint}`, `  ${say.window(from, until)}`]),
    ),
    ...branch(
      say.revoked,
      revoked.map(({ fingerprint, at, reason }) => `${fingerprint} ${at}: ${reason}`),
    ),
    ...branch(
      say.withdrawn,
      withdrawn.map(({ version, reason, replacedBy }) =>
        [`${version}: ${reason}`, replacedBy].filter(Boolean).join(`; ${say.instead('')}`),
      ),
    ),
    ...branch(
      say.lowest,
      Object.entries(lowest)
        .sort()
        .map(([line, version]) => `${line}: ${version}`),
    ),
  ]
  const roleOf = ({ keys: of, threshold }: typeof root): Json => ({ threshold, keys: of.map((key) => key.fingerprint) })
  const entries = keys.map(({ pem: _, ...entry }) => ({ ...entry, digits: spokenDigits(entry.fingerprint) ?? '' }))
  const said = JSON.parse(JSON.stringify({ keys: entries, otherKeys, revoked, withdrawn, lowest })) as Record<string, Json>
  return { text: `${text}${lines.join('\n')}\n`, json: { ...json, rootKeys: roleOf(root), targetsKeys: roleOf(targets), ...said } }
}

function branch(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line.replace(/\p{C}/gu, '?')}`)]
}
