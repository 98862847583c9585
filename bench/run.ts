import { Command, InvalidArgumentError } from 'commander'
import { benchmarkAppend } from './append.ts'
import { benchmarkCatchUp } from './catch-up.ts'
import { benchmarkCommands } from './commands.ts'
import { benchmarkBatch, benchmarkCreate } from './create.ts'
import { benchmarkDuplicates } from './duplicates.ts'
import { benchmarkHandover } from './handover.ts'
import { benchmarkEventStoreDb } from './eventstoredb.ts'
import { benchmarkLag } from './lag.ts'
import { benchmarkMatching } from './matching.ts'
import { benchmarkLoad, benchmarkRead } from './read.ts'
import { benchmarkVerify } from './verify.ts'
import { print, type BenchmarkOptions, type Figure } from './report.ts'

/** What can be measured, a line each: `npm run bench -- <name>`. */
const benchmarks: Record<string, (options: BenchmarkOptions) => Promise<Figure[]>> = {
  append: benchmarkAppend,
  commands: benchmarkCommands,
  create: benchmarkCreate,
  batch: benchmarkBatch,
  read: benchmarkRead,
  load: benchmarkLoad,
  'catch-up': benchmarkCatchUp,
  lag: benchmarkLag,
  verify: benchmarkVerify,
  duplicates: benchmarkDuplicates,
  matching: benchmarkMatching,
  handover: benchmarkHandover,
  eventstoredb: benchmarkEventStoreDb,
}

const count = (text: string): number => {
  if (!/^[1-9]\d{2,7}$/.test(text)) throw new InvalidArgumentError('must be a number from 100 to 99999999.')
  return Number(text)
}

const program = new Command('bench')
  .description('Measures Kehu beside limits and peers in the same run. All, or those named.')
  .argument('[names...]', `of ${Object.keys(benchmarks).join(', ')}`)
  .option('--json', 'one object a line', false)
  .option('--url <connection string>', 'an EventStoreDB server to measure against, instead of the test host in its own process')
  .option('--events <number>', 'how many events the log of catch-up, or of verify, has; a million and 200,000 unless told', count)
  .option('--size <customers>', 'how many customers the duplicates benchmark has, a million unless told, or an employee hands over, 100,000 unless told', count)
  .option('--kills <number>', 'how often the service is killed while it hands over; never unless told', Number.parseInt)
  .option('--data <csv>', 'a file of your own for the matching benchmark, with --map and --truth')
  .option('--map <yaml>', 'what its columns mean (bench/matching/*.yaml; docs/matching.md)')
  .option('--truth <column>', 'the column that tells which records are one customer')
  .action(async (names: string[], { json, ...options }: { json: boolean } & Omit<BenchmarkOptions, 'say'>) => {
    const unknown = names.filter((name) => !(name in benchmarks))
    if (unknown.length > 0) program.error(`there is no benchmark ${unknown.join(', ')}: there are ${Object.keys(benchmarks).join(', ')}`)
    for (const name of names.length > 0 ? names : Object.keys(benchmarks)) {
      const say = (message: string) => process.stderr.write(`${name}: ${message}\n`)
      print((await benchmarks[name]?.({ say, ...options })) ?? [], json)
    }
  })

await program.parseAsync()
