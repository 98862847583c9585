// Does with a peer what a benchmark does with Kehu, in a process of its own: node peer.js <peer> <url> <work> <callers> <count>
// Prints one line of JSON: { perSecond, p99 } (ms).
import { randomUUID } from 'node:crypto'
import { PostgresEventStorageAdapter } from '@castore/event-storage-adapter-postgres'
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql'

const data = (n) => ({ ownerId: 'zhao', from: 'pool', note: `${n}`.padStart(40, 'n') })
const metadata = { commandId: randomUUID(), commandHash: 'c'.repeat(64), actor: 'bench', correlationId: randomUUID(), causationId: randomUUID(), recordedAt: new Date().toISOString() }

const peers = {
  emmett: async (url) => {
    const store = getPostgreSQLEventStore(url)
    await store.schema.migrate()
    const event = (n) => ({ type: 'OwnershipClaimed', data: data(n), metadata })
    return {
      append: (n) => store.appendToStream(`bench-${randomUUID()}`, [event(n)], { expectedStreamVersion: 'STREAM_DOES_NOT_EXIST' }),
      fill: async (stream, events) => {
        for (let at = 0; at < events; at += 100) await store.appendToStream(stream, Array.from({ length: Math.min(100, events - at) }, (_, n) => event(n)))
      },
      read: async (stream) => (await store.readStream(stream)).events.length,
      close: () => store.close(),
    }
  },
  castore: async (url) => {
    await PostgresEventStorageAdapter.createEventTable({ connectionString: url, tableName: 'castore_event', aggregateId: { type: 'UUID' } }).catch((error) => {
      if (!/already exists/.test(error.message)) throw error
    })
    const adapter = new PostgresEventStorageAdapter({ connectionString: url, tableName: 'castore_event' })
    const options = { eventStoreId: 'bench' }
    const push = (aggregateId, version, n) => adapter.pushEvent({ aggregateId, version, type: 'OwnershipClaimed', payload: data(n), metadata }, options)
    return {
      append: (n) => push(randomUUID(), 1, n),
      fill: async (stream, events) => {
        for (let version = 1; version <= events; version += 1) await push(stream, version, version)
      },
      read: async (stream) => (await adapter.getEvents(stream, options)).events.length,
      close: async () => undefined,
    }
  },
}

const [peer = '', url = '', work = '', callers = '1', count = '1'] = process.argv.slice(2)
const store = await peers[peer](url)
const most = Number(count)
const streams = Array.from({ length: 20 }, () => randomUUID())
if (work === 'read') for (const stream of streams) await store.fill(stream, 100)

const once = async (n) => {
  if (work === 'append') return store.append(n)
  const read = await store.read(streams[n % streams.length])
  if (read !== 100) throw new Error(`${peer} read ${read} events of 100`)
}
const run = async (times) => {
  const latencies = []
  let next = 0
  const started = performance.now()
  await Promise.all(Array.from({ length: Number(callers) }, async () => {
    while (next < times) {
      const before = performance.now()
      await once(next++)
      latencies.push(performance.now() - before)
    }
  }))
  const seconds = (performance.now() - started) / 1000
  latencies.sort((one, other) => one - other)
  return { perSecond: times / seconds, p99: latencies[Math.floor(latencies.length * 0.99)] }
}
await run(Math.ceil(most / 4)) // warm
process.stdout.write(`${JSON.stringify(await run(most))}\n`)
await store.close()
process.exit(0)
