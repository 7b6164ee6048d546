/** `materialize`: an archive as the files that were signed. stdout is their paths, blobs aside. */
import { join, resolve } from 'node:path'
import { chosenOf, selectionOptions, tellPlan } from './chosen.ts'
import type { Verb } from './verb.ts'

export const materialize: Verb = {
  name: 'materialize',
  summary: 'materialize',
  arguments: [{ syntax: '<archive>', help: 'materializeArchive' }],
  options: [...selectionOptions, { flags: '-o, --output <dir>', help: 'materializeOutput', completes: 'directory' }],
  examples: [
    'materialize rfo-v1.24.8+rfor1.tar --key rfo.pub -o /srv/rfo',
    'materialize rfo-v1.24.8+rfor1.tar --key rfo.pub --platform amd64 --group core --group canal -o /srv/rfo',
  ],
  async run(context, { args: [name = ''], flags }) {
    const { givenTrust, trustedKeys } = await import('./key-files.ts')
    const { openArchive } = await import('../release/archive/open.ts')
    const { trustedStatement } = await import('../release/archive/statement.ts')
    const plans = await import('../release/archive/materialize.ts')
    const { keys } = await trustedKeys(context)
    const trust = await givenTrust(context)
    const archive = await openArchive(resolve(context.cwd, name))
    try {
      const trusting = { keys, at: context.now(), ...(trust === undefined ? {} : { trust }) }
      const predicate = await trustedStatement(archive, trusting)
      const selection = await chosenOf(context, flags, archive, predicate)
      const output = flags.text('output')
      const into = output === undefined ? join(context.outDir, predicate.version) : resolve(context.cwd, output)
      const plan = await plans.planMaterialize(archive, predicate, selection, into)
      const told = tellPlan(context, plan, into)
      const files = [...plan.write, ...plan.keep].map(({ path }) => path).sort()
      const json = {
        version: predicate.version,
        root: predicate.root.digest,
        folder: into,
        files,
        written: plan.write.length,
        plan: { ...told },
      }
      if (!context.dryRun) await plans.materialize(plan, archive, context.signal)
      const classic = files.filter((path) => !path.startsWith('oci/blobs/'))
      return { text: context.dryRun ? '' : classic.map((path) => `${path}\n`).join(''), json }
    } finally {
      await archive.close()
    }
  },
}
