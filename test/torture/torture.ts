import { parseArgs } from 'node:util'
import { pairs } from './kills.ts'
import { torture, type TortureOptions } from './run.ts'

/**
 * npm run torture -- --seconds 120 [--seed 7] [--writers 32]
 *   --store eventstoredb         the log in the test host of EventStoreDB, a process that is killed as well
 *   --url <connection string>    the log on a server that is there already, under a prefix of its own; it stays there
 *   --restart-command <command>  how that one is restarted; without, it is left alone
 *   --drops                      the soak: no process is killed, but connections and answers go wrong
 * Ends with code 1 when a promise was broken, or when no kill fell between some pair of appends.
 */
const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'postgres' }, url: { type: 'string' }, 'restart-command': { type: 'string' }, drops: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '120' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) }, writers: { type: 'string', default: '32' },
  },
})
const { url, drops, 'restart-command': restartCommand } = values
const seed = Number(values.seed)

const refuse = (message: string): never => {
  console.error(message)
  process.exit(2)
}
const storeOf = (): TortureOptions['store'] => {
  if (url !== undefined) return { url, restartCommand }
  if (restartCommand !== undefined) return refuse('--restart-command goes with --url')
  return values.store === 'postgres' || values.store === 'eventstoredb' ? values.store : refuse(`--store is postgres or eventstoredb, not ${values.store}`)
}
const store = storeOf()
const kind = typeof store === 'object' ? 'a real server' : store
console.log(`torture: seed ${seed}, ${values.seconds} s, ${values.writers} writers, the log in ${kind}${drops ? ', nobody is killed' : ''}`)

const { faults, tally, upsets, commands, retries, unavailable, events, fences, takeovers } = await torture({ store, seconds: Number(values.seconds), seed, writers: Number(values.writers), drops, thorough: true, takeoverMs: 5000, everyUpset: false, report: (line) => console.log(line) })

console.log(`\n${commands} commands, ${retries} resent, ${unavailable} of them after a 503, ${events} events, ${fences} fences. Killed: ${tally.services} services, ${tally.postgres} times Postgres, ${tally.log} times the log's own server, ${tally.everything} times everything; ${tally.inFlight} commands were in flight.`)
console.log('What went wrong without anybody being killed:')
for (const [name, count] of upsets) console.log(`${String(count).padStart(6)}  ${name}`)
if (!drops) {
  console.log(`Who led was killed ${takeovers.count} times while nothing else happened, and replaced within ${Math.round(takeovers.slowestMs)} ms.`)
  console.log('Kills that fell between two appends (a row for each command in flight):')
  for (const [pair, count] of tally.counts) console.log(`${String(count).padStart(6)}  ${pair}`)
}
const never = drops ? [] : pairs.filter((pair) => tally.counts.get(pair) === 0)
for (const pair of never) console.log(`no kill fell between ${pair}: run longer, or with another seed`)
for (const fault of faults) console.log(`BROKEN  ${fault}`)
console.log(faults.length === 0 ? 'Every promise was kept.' : `${faults.length} promise(s) were broken. Seed ${seed}.`)
process.exit(faults.length > 0 || never.length > 0 ? 1 : 0)
