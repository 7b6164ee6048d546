/** `track`: what RKE2 has released and RFO has not, by the policy of pipelines/track/. The one command, besides `lock`, that may meet a moving tag. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { Due } from '../plan/policy.ts'
import type { HitRelease } from '../release/track-advisories.ts'
import { hitText, issueText, trackText } from '../report/track.ts'
import type { GitHub } from '../upstream/github.ts'
import type { UpstreamState } from '../upstream/track.ts'
import type { CliContext } from './context.ts'
import { timeOf } from './today.ts'
import type { Verb } from './verb.ts'

export const track: Verb = {
  name: 'track',
  summary: 'track',
  arguments: [],
  options: [
    { flags: '--from <uri>', help: 'trackFrom', completes: 'file' },
    { flags: '--at <time>', help: 'trackAt' },
    { flags: '--issue', help: 'trackIssue' },
    { flags: '--published <release>', help: 'trackPublished', repeatable: true, completes: 'file' },
    { flags: '--advisories <file>', help: 'scanAdvisories', completes: 'file' },
    { flags: '--exit-code', help: 'trackExitCode' },
  ],
  examples: [
    'track',
    'track --from ../rke2 --exit-code',
    'track --issue --dry-run',
    'track --published v1.24.8+rfor1 --published /media/rfo-v1.25.4+rfor1.tar --key rfo.pub',
  ],
  async run(context, { flags }) {
    const { trackUpstream } = await import('../release/track.ts')
    const from = flags.text('from')
    const tracked = await trackUpstream({
      project: context.cwd,
      at: timeOf('--at', flags.text('at'), context),
      signal: context.signal,
      open: async ({ repository }) => (from === undefined ? await askGitHub(context, repository) : await localState(context, from)),
    })
    const due = tracked.lines.filter((line) => line.state === 'due')
    const issues = flags.on('issue') ? await raise(context, due) : []
    const hits = await hitReleases(context, flags.list('published') ?? [], flags.text('advisories'))
    const differs = due.length > 0 || hits.some(({ advisories }) => advisories.length > 0)
    return {
      exit: flags.on('exitCode') && differs ? 'differs' : 'ok',
      text: [trackText(tracked, context.lang), ...hits.map((each) => hitText(each, context.lang)), ...issues.map(({ text }) => text)].join(
        '\n',
      ),
      json: {
        ...(JSON.parse(JSON.stringify({ ...tracked, lines: undefined })) as Record<string, Json>),
        due: JSON.parse(JSON.stringify(due)),
        lines: JSON.parse(JSON.stringify(tracked.lines.filter((line) => line.state !== 'due'))),
        ...(hits.length === 0 ? {} : { published: JSON.parse(JSON.stringify(hits)) }),
        ...(flags.on('issue') ? { issues: issues.map(({ json }) => json) } : {}),
      },
    }
  },
}

/** By the newest advisories that are here. Each release is verified first: what another one holds is nobody's business. */
async function hitReleases(context: CliContext, published: readonly string[], file: string | undefined): Promise<HitRelease[]> {
  if (published.length === 0) return []
  const { givenSnapshot } = await import('./snapshot.ts')
  const { verifiedRelease } = await import('./verified-release.ts')
  const { hitsOf } = await import('../release/track-advisories.ts')
  const snapshot = await givenSnapshot(context, file)
  const hits: HitRelease[] = []
  for (const name of published) {
    const { files, place, predicate } = await verifiedRelease(context, name)
    try {
      hits.push(await hitsOf(place, predicate, snapshot))
    } finally {
      await files.close()
    }
  }
  return hits
}

/** A folder is a clone, a file is a recorded state. A bare path never reaches a network. */
async function localState(context: CliContext, from: string): Promise<UpstreamState> {
  if (/^[a-z][a-z0-9+.-]*:/i.test(from) && !from.startsWith('file:'))
    throw new RfoError('RFO_CLI_VALUE', `--from does not know ${JSON.stringify(from.slice(0, 60))}`, {
      exit: 'usage',
      next: 'give the folder of a clone or a recorded file; for another GitHub set GITHUB_API_URL',
    })
  const path = from.startsWith('file:') ? fileURLToPath(from) : resolve(context.cwd, from)
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) return (await import('../upstream/clone.ts')).cloneState(path, context.env)
  return (await import('../upstream/recorded.ts')).recordedState(path)
}

async function askGitHub(context: CliContext, repository: string): Promise<UpstreamState> {
  const { gitHubState } = await import('../upstream/track-github.ts')
  return gitHubState(await gitHub(context), repository)
}

async function gitHub(context: CliContext): Promise<GitHub> {
  const { connectGitHub } = await import('../upstream/github.ts')
  const { folderCache } = await import('../upstream/github-cache.ts')
  const { GITHUB_API_URL: url = '', GITHUB_TOKEN: token = '' } = context.env
  return await connectGitHub({
    url: url === '' ? 'https://api.github.com' : url,
    ...(token === '' ? {} : { token }),
    env: context.env,
    userAgent: `rfo-build/${context.toolVersion}`,
    cache: folderCache(join(context.storeDir, 'upstream', 'github')),
    line: (text) => {
      if (context.progress !== 'none' && context.progress !== 'json') context.stderr.write(`${text}\n`)
    },
    signal: context.signal,
  })
}

interface Raised {
  readonly text: string
  readonly json: { readonly [key: string]: Json }
}

async function raise(context: CliContext, due: readonly Due[]): Promise<readonly Raised[]> {
  const texts = due.map((each) => issueText(each, context.lang))
  if (context.dryRun)
    return texts.map(({ mark, title, body }) => ({ text: `\n# ${title}\n\n${body}`, json: { version: mark, title, body, created: false } }))
  if (texts.length === 0) return []
  const { ensureIssues } = await import('../upstream/track-issue.ts')
  const issues = await ensureIssues(await gitHub(context), context.env.GITHUB_REPOSITORY ?? '', texts)
  return issues.map(({ url, created }, at) => {
    const { mark = '', title = '', body = '' } = texts[at] ?? {}
    return { text: `${mark}: ${url}${created ? '' : ' (=)'}`, json: { version: mark, title, body, url, created } }
  })
}
