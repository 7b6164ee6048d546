/** A module names no commit: its pipeline says one, and the module proxy may. https://pkg.go.dev/cmd/go#hdr-Download_modules_to_local_cache */
import { RfoError } from '../error.ts'
import type { SaidCommit } from '../plan/lock.ts'
import type { DownloadedModule } from './go-command.ts'

/** Throws RFO_SOURCE_COMMIT (untrusted) when the proxy names another commit than the pipeline. */
export function saidCommit({ Path, Version, Origin }: DownloadedModule, hash: string): SaidCommit {
  const named = Origin?.VCS === 'git' ? Origin.Hash : undefined
  if (named === undefined || named === '') return { hash, saidBy: 'pipeline' }
  if (named === hash) return { hash, saidBy: 'proxy' }
  throw new RfoError(
    'RFO_SOURCE_COMMIT',
    `${Path}@${Version} is commit ${hash} as the pipeline says, and ${JSON.stringify(named.slice(0, 64))} as the module proxy says`,
    { exit: 'untrusted', next: 'look in the module’s repository which commit has the tag, and correct source.commits of the pipeline' },
  )
}
