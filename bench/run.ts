import { Command } from 'commander'
import { benchmarkAppend } from './append.ts'
import { benchmarkCommands } from './commands.ts'
import { benchmarkEventStoreDb } from './eventstoredb.ts'
import { print, type BenchmarkOptions, type Figure } from './report.ts'

/** What can be measured, a line each: `npm run bench -- <name>`. */
const benchmarks: Record<string, (options: BenchmarkOptions) => Promise<Figure[]>> = {
  append: benchmarkAppend,
  commands: benchmarkCommands,
  eventstoredb: benchmarkEventStoreDb,
}

const program = new Command('bench')
  .description('Measures Kehu beside limits and peers in the same run. All, or those named.')
  .argument('[names...]', `of ${Object.keys(benchmarks).join(', ')}`)
  .option('--json', 'one object a line', false)
  .option('--url <connection string>', 'an EventStoreDB server to measure against, instead of the test host in its own process')
  .action(async (names: string[], { json, url }: { json: boolean; url?: string }) => {
    const unknown = names.filter((name) => !(name in benchmarks))
    if (unknown.length > 0) program.error(`there is no benchmark ${unknown.join(', ')}: there are ${Object.keys(benchmarks).join(', ')}`)
    for (const name of names.length > 0 ? names : Object.keys(benchmarks)) {
      const say = (message: string) => process.stderr.write(`${name}: ${message}\n`)
      print((await benchmarks[name]?.({ say, ...(url === undefined ? {} : { url }) })) ?? [], json)
    }
  })

await program.parseAsync()
