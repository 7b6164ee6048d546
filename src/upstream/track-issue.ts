/** One issue for each release that is due, whoever runs this and how often. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { GitHub } from './github.ts'

export interface IssueText {
  /** Stands in the body, unseen: what finds the issue again. */
  readonly mark: string
  readonly title: string
  readonly body: string
}

export interface Issue {
  readonly url: string
  readonly created: boolean
}

const Found = z.object({ html_url: z.url(), body: z.string().nullish(), pull_request: z.unknown().optional() })

/** Titles may be edited and issues closed: the mark decides. An issue of a version that was closed is not opened again. */
export async function ensureIssues(gitHub: GitHub, repository: string, texts: readonly IssueText[]): Promise<readonly Issue[]> {
  const [owner = '', repo = '', rest] = repository.split('/')
  if (owner === '' || repo === '' || rest !== undefined)
    throw new RfoError('RFO_UPSTREAM_ISSUE', 'no repository for the issues', {
      exit: 'usage',
      where: 'GITHUB_REPOSITORY',
      next: 'set it to owner/name, or use --dry-run',
    })
  const missing = new Map(texts.map((text) => [text.mark, text]))
  const issues = new Map<string, Issue>()
  await gitHub.ask(`issues of ${repository}`, async (octokit) => {
    const pages = octokit.paginate.iterator('GET /repos/{owner}/{repo}/issues', { owner, repo, state: 'all', per_page: 100 })
    for await (const { data } of pages) {
      for (const { html_url: url, body, pull_request: pull } of z.array(Found).parse(data)) {
        const mark = [...missing.keys()].find((each) => pull === undefined && body?.includes(comment(each)))
        if (mark === undefined) continue
        missing.delete(mark)
        issues.set(mark, { url, created: false })
      }
      if (missing.size === 0) return
    }
  })
  // one after the other: GitHub asks for a second between two of them
  for (const { mark, title, body } of missing.values()) {
    const made = await gitHub.ask(`a new issue in ${repository}`, (octokit) =>
      octokit.request('POST /repos/{owner}/{repo}/issues', { owner, repo, title, body: `${body}\n\n${comment(mark)}\n` }),
    )
    issues.set(mark, { url: Found.parse(made.data).html_url, created: true })
  }
  return texts.map(({ mark }) => issues.get(mark) ?? { url: '', created: false })
}

function comment(mark: string): string {
  return `<!-- rfo-build track: ${mark} -->`
}
