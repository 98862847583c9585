import type { Command } from 'commander'
import type { Config } from '../../config.ts'
import { progressBar } from '../progress.ts'

/** `kehu duplicates`, with its help. */
export const addDuplicatesCommands = (program: Command, config: () => Config): void => {
  program.command('duplicates').description('customers that are likely one')
    .command('scan').description('compare all customers with each other, and open a case for each likely pair')
    .option('--anew', 'from the beginning, also where an earlier run was interrupted')
    .addHelpText('after', `
It compares by the matching policy in force, and can run beside the service. Interrupted (Ctrl-C, kill -9), run the same
again: it goes on where it stopped. Pairs that were dismissed before are not raised again.`)
    .action((options: { anew?: boolean }) => scan(config(), options))
}

/** Exit code 130 when it was interrupted. */
const scan = async (config: Config, { anew = false }: { anew?: boolean }): Promise<void> => {
  const [{ withCore }, { runScan }] = await Promise.all([import('../core.ts'), import('./scan.ts')])
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const bar = progressBar('scan', 'keys')
  try {
    const summary = await withCore(config, (core) => runScan(core, { anew, signal: interrupted.signal, onProgress: (done, all) => bar.update(BigInt(done), BigInt(all)) }).finally(bar.stop))
    console.log(`${summary.compared.toLocaleString('en')} pairs compared by version ${summary.weightsVersion} of the weights; ${summary.found.toLocaleString('en')} are likely one, ${summary.opened.toLocaleString('en')} case(s) opened by this run.`)
    if (summary.finished) return
    console.log('Interrupted: the cases opened stand. Run the same again to go on.')
    process.exitCode = 130
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}
