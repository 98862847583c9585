/**
 * A subscriber in a process of its own that takes a few events and then nothing for as long as it likes: the first line
 * it says is the memory it holds then; each line it hears it answers with the memory it holds now; at "go on" it takes
 * what is left, and says how many events it was given, and whether in order.
 */
import { createInterface } from 'node:readline'
import pg from 'pg'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'

const [databaseUrl = '', eventStoreUrl, last = '0'] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: databaseUrl, max: 3 })
const store = eventStoreUrl ? makeEventStoreDbEventStore({ url: eventStoreUrl, pool }) : makePostgresEventStore({ connectionString: databaseUrl, pool })
const over = new AbortController()
const subscription = store.subscribe({ after: 0n, batchSize: 200, signal: over.signal })[Symbol.asyncIterator]()

let given = 0
let inOrder = true
const take = async (): Promise<bigint> => {
  const next = await subscription.next()
  const batch = next.done ? undefined : next.value
  for (const { data } of batch?.events ?? []) {
    inOrder &&= data['n'] === given
    given += 1
  }
  return batch?.position ?? 0n
}
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const held = (): string => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return String(heapUsed + external)
}

await take()
say(held())
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'go on') {
    say(held())
    continue
  }
  while (given < Number(last)) await take()
  say(`${given} ${inOrder ? 'in order' : 'out of order'}`)
  break
}
over.abort()
await subscription.return?.()
await store.close()
await pool.end()
