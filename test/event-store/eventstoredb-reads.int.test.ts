import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { emptyHead } from '../../src/event-store/chain.ts'
import { EventStoreUnavailable, type EventStore } from '../../src/event-store/port.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { put } from '../eventstoredb-host/support.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { collect, follow, makeEvents, makeWriter, newStream, readLog, times, until } from './contract.ts'
import { closeAll, openProxy, openStore, pause } from './eventstoredb-support.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

let host: EventStoreDbHost
const stores: EventStore[] = []
const open = (): EventStore => {
  const store = openStore(host, database)
  stores.push(store)
  return store
}
beforeEach(async () => {
  host = await startHost()
})
afterEach(async () => {
  await closeAll(stores.splice(0), host)
})

describe('positions', () => {
  it('of a server with nothing but its own events: the log is empty', async () => {
    await put(host.log, '$ce-customer', 5)
    const store = open()
    expect(await store.head()).toBe(0n)
    expect(await collect(store.readAll({ after: 0n }))).toEqual([{ events: [], position: 0n, caughtUp: true }])
    for (const record of host.log.records) expect(await store.eventAt(BigInt(record.position))).toBeUndefined()
    expect(await store.eventAt(0n)).toBeUndefined()
  })

  it('where no event stands give none: before, between, after, and where the server keeps something of its own', async () => {
    const store = open()
    const stream = newStream()
    await store.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream), [{}, {}, {}]).events })
    await put(host.log, '$stats-1', 1)
    const events = await collect(store.readStream(stream))
    for (const event of events) {
      expect(await store.eventAt(event.position)).toEqual(event)
      for (const off of [-1n, 1n, 2n, 50n]) expect(await store.eventAt(event.position + off)).toBeUndefined()
    }
    expect(await store.head()).toBe(events.at(-1)?.position)
    for (const beyond of [1n, 1000n, 2n ** 40n, 2n ** 62n]) expect(await store.eventAt((await store.head()) + beyond)).toBeUndefined()
  })

  it('between two runs of the server, where it keeps a mark that nobody reads, give none either', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kehu-eventstoredb-'))
    const file = join(folder, 'log')
    const first = await startHost({ file })
    const before = openStore(first, database)
    const writer = makeWriter(before)
    await writer.append()
    const mark = BigInt(first.log.records.at(-1)?.next ?? 0)
    await closeAll([before], first)
    const second = await startHost({ file })
    const after = openStore(second, database)
    const { result } = await makeWriter(after).append()
    expect(result.outcome === 'appended' && result.position > mark).toBe(true)
    expect(await after.eventAt(mark)).toBeUndefined()
    expect(await readLog(after, { after: mark })).toHaveLength(1)
    await closeAll([after], second)
    await rm(folder, { recursive: true })
  })

  it('after which to read may lie beyond the end, where nothing comes; a subscription from there ends, for it was made for another log', async () => {
    const store = open()
    await makeWriter(store).append()
    const beyond = (await store.head()) + 3000n
    expect(await collect(store.readAll({ after: beyond }))).toEqual([{ events: [], position: beyond, caughtUp: true }])
    const subscriber = follow(store, { after: beyond })
    await subscriber.ended
    await expect(subscriber.stop()).rejects.toThrow('was an older copy restored, or is this another server?')
    expect(subscriber.batches).toEqual([])
  })
})

describe('while the server stands still', () => {
  it('reads are unavailable after some seconds; closing the store meanwhile ends within a second', async () => {
    const [store, closing, late] = [open(), open(), open()]
    const writer = makeWriter(store)
    await writer.append()
    const subscribers = [closing, late].map((one) => follow(one, { after: 0n }))
    await until(() => subscribers.every((subscriber) => subscriber.events().length === 1))
    host.faults.freeze()
    const started = performance.now()
    const reading = Promise.allSettled([store.head(), store.eventAt(1n), readLog(store, { after: 0n }), collect(store.readStream(writer.stream))].map(async (read) => {
      await read.catch((error: unknown) => {
        expect(error).toBeInstanceOf(EventStoreUnavailable)
        expect(performance.now() - started).toBeGreaterThan(3000)
        expect(performance.now() - started).toBeLessThan(11_500)
        throw error
      })
    }))
    const close = async (one: EventStore): Promise<number> => {
      const reads = Promise.allSettled([one.head(), collect(one.readStream(writer.stream))])
      await pause(100)
      const begun = performance.now()
      await one.close()
      const took = performance.now() - begun
      for (const outcome of await reads) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
      return took
    }
    expect(await close(closing)).toBeLessThan(1000)
    // By now the first connection has been given up, and another is being looked for.
    await pause(3500)
    expect(await close(late)).toBeLessThan(1000)
    for (const outcome of await reading) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
    for (const subscriber of subscribers) await subscriber.stop()
    host.faults.thaw()
    expect(await collect(store.readStream(writer.stream))).toHaveLength(1)
  })

  it('and the members of the cluster are asked in vain who leads, closing the store ends within a second, and what it read with it', async () => {
    const store = openStore({ url: `esdb://127.0.0.1:${host.port},localhost:${host.port}?tls=false` }, database)
    const subscriber = follow(store, { after: 0n })
    await until(() => subscriber.batches.length > 0)
    host.faults.freeze()
    host.faults.dropConnections()
    await pause(500)
    const reading = Promise.allSettled([store.head()])
    const started = performance.now()
    await store.close()
    await subscriber.ended
    expect(await reading).toMatchObject([{ status: 'rejected', reason: expect.any(EventStoreUnavailable) }])
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('for a moment, reads come through when it goes on', async () => {
    const store = open()
    const writer = makeWriter(store)
    await writer.append(times(300, (n) => ({ n })))
    host.faults.freeze()
    const reading = Promise.all([store.head(), readLog(store, { after: 0n }), collect(store.readStream(writer.stream))])
    await pause(500)
    host.faults.thaw()
    const [head, log, stream] = await reading
    expect([head, log.length, stream.length]).toEqual([stream.at(-1)?.position, 300, 300])
  })
})

describe('over a connection that has died without a word', () => {
  it('reads are silent for a while, and come through on another', async () => {
    const proxy = await openProxy(host.port)
    const store = openStore(proxy, database)
    stores.push(store)
    const writer = makeWriter(store)
    await writer.append([{}, {}])
    proxy.stall()
    const [head, log, stream] = await Promise.all([store.head(), readLog(store, { after: 0n }), collect(store.readStream(writer.stream))])
    expect([log, head]).toEqual([stream, stream[1]?.position])
    await closeAll(stores.splice(0))
    await proxy.close()
  })
})

describe('many readers at once', () => {
  it('may each read on while they read', async () => {
    const store = open()
    const writer = makeWriter(store)
    await writer.append(times(30, (n) => ({ n })))
    const counts = await Promise.all(times(100, async () => {
      let count = 0
      for await (const batch of store.readAll({ after: 0n, batchSize: 10 })) {
        count += batch.events.length
        expect(await collect(store.readStream(writer.stream, { fromRevision: 29 }))).toHaveLength(1)
      }
      return count
    }))
    expect(new Set(counts)).toEqual(new Set([30]))
  }, 5000)
})
