import type { Command } from 'commander'
import type { Config } from '../../config.ts'
import type { Weights } from '../../domain/matching/weights.ts'
import { progressBar } from '../progress.ts'

/** `kehu matching`, with its help. */
export const addMatchingCommands = (program: Command, config: () => Config): void => {
  program.command('matching').description('how two customers are told to be one')
    .command('estimate').description('learn the weights anew from the customers there are, and put them in force as the next version')
    .option('--dry-run', 'only show what they would be')
    .action((options: { dryRun?: boolean }) => estimateAndShow(config(), options))
}

const estimateAndShow = async (config: Config, { dryRun = false }: { dryRun?: boolean }): Promise<void> => {
  const [{ withCore }, { estimateWeights, reviseWeights }] = await Promise.all([import('../core.ts'), import('./estimate.ts')])
  const bar = progressBar('read', 'rows')
  await withCore(config, async (core) => {
    const estimated = await estimateWeights(core, (done, all) => bar.update(BigInt(done), BigInt(all))).finally(bar.stop)
    for (const kind of ['individual', 'organisation'] as const) {
      console.log(kind)
      console.table(changes(estimated.before.value[kind], estimated.after[kind]))
    }
    if (dryRun) return console.log('Nothing was changed.')
    const version = await reviseWeights(core, estimated)
    return console.log(version === undefined ? 'They are what is in force: nothing was changed.' : `In force as version ${version} of the policy matching. Run kehu duplicates scan to compare all customers by it.`)
  })
}

type Kind = Weights['individual']
const bits = (level: { m: number; u: number } | undefined) => (level ? Number(Math.log2(level.m / level.u).toFixed(1)) : '')

/** In bits: what each level of agreement is worth, before and after. */
const changes = (before: Kind, after: Kind) => [
  { comparison: 'one customer, of all pairs', level: '', before: before.prior, after: after.prior },
  { comparison: 'moved', level: '', before: before.moved, after: after.moved },
  ...Object.keys(after.rivals).map((rival) => ({ comparison: rival, level: '', before: before.rivals[rival] ?? '', after: after.rivals[rival] ?? '' })),
  ...Object.entries(after.comparisons).flatMap(([comparison, { levels }]) =>
    Object.keys(levels).map((level) => ({ comparison, level, before: bits(before.comparisons[comparison]?.levels[level]), after: bits(levels[level]) }))),
]
