import type { Command } from 'commander'
import type { Config } from '../../config.ts'
import type { CopyOptions } from './copy.ts'

/** `kehu log`, with its help. */
export const addLogCommands = (program: Command, config: () => Config): void => {
  program.command('log').description('the log itself, wherever it is kept')
    .command('copy').description('copy the whole log to another store, compare the two, and make the copy a log of its own')
    .requiredOption('--from <log>', 'where the log is')
    .requiredOption('--to <log>', 'an empty place for it, or one that has a part of it')
    .option('--from-prefix <prefix>', 'EVENTSTORE_PREFIX of the log it is copied from')
    .option('--to-prefix <prefix>', 'EVENTSTORE_PREFIX of the log it is copied to')
    .option('--verify-only', 'compare, write nothing; exit code 1 unless all of the source is in the target, unchanged')
    .option('--while-running', 'copy ahead while the service runs on; then stop it and run the same without this')
    .addHelpText('after', `
A <log> is
  postgres      the Postgres of this installation: DATABASE_URL, or the embedded one
  eventstore    EVENTSTORE_URL, with EVENTSTORE_PREFIX: keeps passwords off the command line
  postgres://user:password@host:port/database
  esdb://user:password@host:port[,…]?tls=true, esdb+discover://…, kurrentdb://…

Stop the service first. Interrupted, even by kill -9, run the same again: it goes on where it stopped.
A target with anything else in it is refused before anything is written.

Examples:
  EVENTSTORE_URL='esdb://localhost:2113?tls=false' kehu log copy --from postgres --to eventstore
  kehu log copy --from postgres --to 'esdb://localhost:2113?tls=false' --to-prefix north --while-running
  kehu log copy --from eventstore --to postgres
  kehu log copy --from postgres --to eventstore --verify-only`)
    .action((options: CopyOptions) => import('./copy.ts').then(({ copyLog }) => copyLog(config(), options)))
}
