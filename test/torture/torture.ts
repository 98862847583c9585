import { parseArgs } from 'node:util'
import { pairs } from './kills.ts'
import { torture } from './run.ts'

/**
 * npm run torture -- --seconds 120 [--seed 7] [--writers 32]
 * Ends with code 1 when a promise was broken, or when no kill fell between some pair of appends.
 */
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) }, writers: { type: 'string', default: '32' } } })
const seed = Number(values.seed)
console.log(`torture: seed ${seed}, ${values.seconds} s, ${values.writers} writers`)

const { faults, tally, commands, retries, events, fences } = await torture({ seconds: Number(values.seconds), seed, writers: Number(values.writers), everyPair: true, report: (line) => console.log(line) })

console.log(`\n${commands} commands, ${retries} resent, ${events} events, ${fences} fences. Killed: ${tally.services} services, ${tally.postgres} times Postgres, ${tally.everything} times everything; ${tally.inFlight} commands were in flight.`)
console.log('Kills that fell between two appends (a row for each command in flight):')
for (const [pair, count] of tally.counts) console.log(`${String(count).padStart(6)}  ${pair}`)
const never = pairs.filter((pair) => tally.counts.get(pair) === 0)
for (const pair of never) console.log(`no kill fell between ${pair}: run longer, or with another seed`)
for (const fault of faults) console.log(`BROKEN  ${fault}`)
console.log(faults.length === 0 ? 'Every promise was kept.' : `${faults.length} promise(s) were broken. Seed ${seed}.`)
process.exit(faults.length > 0 || never.length > 0 ? 1 : 0)
