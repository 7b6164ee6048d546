/** Upstream's tags from GitHub's API: pages of a hundred, then the dates of those commits that matter. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { GitHub } from './github.ts'
import { dateForm, maxTags, type UpstreamState, type UpstreamTag } from './track.ts'

const commitForm = /^[0-9a-f]{40}$/
const TagPage = z.array(z.object({ name: z.string(), commit: z.object({ sha: z.string().regex(commitForm) }) }))
const Commit = z.object({ committer: z.object({ date: z.string().regex(dateForm) }) })

/** `repository` is owner/name. Throws RFO_UPSTREAM_GITHUB (outside). */
export function gitHubState(gitHub: GitHub, repository: string): UpstreamState {
  const [owner = '', repo = ''] = repository.split('/')
  const tags = (): Promise<UpstreamTag[]> =>
    gitHub.ask(`tags of ${repository}`, async (octokit) => {
      const found: UpstreamTag[] = []
      for await (const { data } of octokit.paginate.iterator('GET /repos/{owner}/{repo}/tags', { owner, repo, per_page: 100 })) {
        for (const { name, commit } of understood(TagPage, data, repository)) found.push({ name, commit: commit.sha })
        if (found.length > maxTags) throw new RfoError('RFO_UPSTREAM_GITHUB', `more than ${maxTags} tags`, { exit: 'outside' })
      }
      return found
    })
  const dateOf = (commit: string): Promise<string> =>
    gitHub.ask(`commit ${commit} of ${repository}`, async (octokit) => {
      const { data } = await octokit.request('GET /repos/{owner}/{repo}/git/commits/{commit_sha}', { owner, repo, commit_sha: commit })
      return understood(Commit, data, repository).committer.date
    })
  return {
    source: `https://${gitHub.host}/repos/${repository}`,
    async tags(needsDate) {
      return await Promise.all(
        (await tags()).map(async (tag) =>
          tag.commit !== undefined && needsDate(tag.name) ? { ...tag, date: await dateOf(tag.commit) } : tag,
        ),
      )
    },
  }
}

function understood<T>(schema: z.ZodType<T>, data: unknown, repository: string): T {
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new RfoError('RFO_UPSTREAM_GITHUB', `an answer of another form: ${issue?.path.join('.')}: ${issue?.message}`.slice(0, 300), {
    exit: 'outside',
    where: repository,
    next: 'check that GITHUB_API_URL is the address of a GitHub API',
  })
}
