/** `merge`: the packages of a release into a repository that is there already. stdout is what each of its repositories has now. */
import { resolve } from 'node:path'
import { RfoError } from '../error.ts'
import type { Verb } from './verb.ts'
import { verifiedRelease } from './verified-release.ts'

export const merge: Verb = {
  name: 'merge',
  summary: 'merge',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [
    { flags: '--into <dir>', help: 'mergeInto', completes: 'directory' },
    { flags: '--adopt', help: 'mergeAdopt' },
  ],
  examples: ['merge v1.24.8+rfor1 --key rfo.pub --into /srv/rfo --sign-key rfo.pgp.key'],
  async run(context, { args: [target = ''], flags }) {
    const into = flags.text('into')
    if (into === undefined) throw usage('merge into which folder?', '--into <dir>: rpm/ is below it')
    const { signKeyFiles } = await import('./key-files.ts')
    const { isPgpKey, readPgpKey } = await import('../sign/pgp.ts')
    const [file, ...more] = (await signKeyFiles(context)).filter(({ text }) => isPgpKey(text))
    if (file === undefined || more.length > 0) throw usage('one PGP key is wanted to sign the lists with', '--sign-key rfo.pgp.key')
    const key = await readPgpKey(file.text, context.keyPassword)
    const { files, predicate, root } = await verifiedRelease(context, target)
    const { mergeRelease } = await import('../release/merge.ts')
    const folder = resolve(context.cwd, into)
    const merged = await mergeRelease({
      files,
      epoch: predicate.epoch,
      into: folder,
      key,
      adopt: flags.on('adopt'),
      dryRun: context.dryRun,
    })
    await files.close()
    return {
      text: merged.map(({ path, packages, added }) => `${path} ${packages} ${added}\n`).join(''),
      json: { version: predicate.version, root, into: folder, repositories: merged.map((each) => ({ ...each })) },
    }
  },
}

function usage(message: string, next: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', message, { exit: 'usage', next })
}
