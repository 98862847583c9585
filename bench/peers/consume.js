// How fast emmett's consumer keeps a table with a SQL projection: node consume.js <url> <events>
// Prints one line of JSON: { events, seconds, megabytes }.
import { randomUUID } from 'node:crypto'
import { SQL } from '@event-driven-io/dumbo'
import { getPostgreSQLEventStore, postgreSQLEventStoreConsumer, postgreSQLRawSQLProjection } from '@event-driven-io/emmett-postgresql'

const [url = '', count = '4000'] = process.argv.slice(2)
const events = Number(count)
const store = getPostgreSQLEventStore(url)
await store.schema.migrate()
const customers = Array.from({ length: Math.ceil(events / 4) }, () => randomUUID())
for (const customerId of customers) {
  await store.appendToStream(`customer-${customerId}`, Array.from({ length: 4 }, (_, n) => ({ type: 'OwnershipClaimed', data: { customerId, ownerId: `e${n}`, note: `${n}`.padStart(40, 'n') } })))
}

let seen = 0
const projection = postgreSQLRawSQLProjection({
  name: 'owner',
  canHandle: ['OwnershipClaimed'],
  init: () => SQL`create table if not exists emmett_owner (customer_id text primary key, owner_id text not null)`,
  evolve: ({ data }) => SQL`insert into emmett_owner (customer_id, owner_id) values (${data.customerId}, ${data.ownerId}) on conflict (customer_id) do update set owner_id = excluded.owner_id`,
})
const consumer = postgreSQLEventStoreConsumer({ connectionString: url })
const started = performance.now()
await new Promise((resolve, reject) => {
  consumer.projector({ projection, stopAfter: () => { seen += 1; if (seen >= customers.length * 4) resolve(); return false } })
  consumer.start().catch(reject)
})
const seconds = (performance.now() - started) / 1000
process.stdout.write(`${JSON.stringify({ events: seen, seconds, megabytes: process.resourceUsage().maxRSS / 1024 })}\n`)
process.exit(0)
