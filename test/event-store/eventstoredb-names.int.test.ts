import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventStore, Position } from '../../src/event-store/port.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { put } from '../eventstoredb-host/support.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { collect, expectWhole, follow, makeReceipt, makeWriter, newStream, readLog, times, until } from './contract.ts'
import { closeAll, openStore } from './eventstoredb-support.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

let host: EventStoreDbHost
const stores: EventStore[] = []
const open = (more: { prefix?: string } = {}): EventStore => {
  const store = openStore(host, database, more)
  stores.push(store)
  return store
}
beforeEach(async () => {
  host = await startHost()
})
afterEach(async () => {
  await closeAll(stores.splice(0), host)
})

describe('three logs on one server, two of them named', () => {
  it('each see only their own: read whole, by kinds, by stream, by position, and followed', async () => {
    const logs = [open(), open({ prefix: 'north' }), open({ prefix: 'northeast' })]
    // The same names in each: dots, dashes, and what looks like a prefix.
    const names = ['customer-1.2-3', 'customer-north.1', 'complaint-a~b_c.D-9', 'identity-mobile-v1-00ff']
    const followers = logs.map((store) => ({ all: follow(store, { after: 0n }), some: follow(store, { after: 0n, kinds: ['customer'] }) }))
    for (const one of followers) await until(() => one.all.batches.length > 0 && one.some.batches.length > 0)
    const written: string[][] = []
    for (const [number, store] of logs.entries()) {
      const writers = names.slice(0, names.length - number).map((name) => makeWriter(store, name))
      const ids: string[] = []
      for (const writer of [...writers, ...writers]) ids.push(...(await writer.append([{ number }, {}])).ids)
      written.push(ids)
    }
    const heads: Position[] = []
    for (const [number, store] of logs.entries()) {
      const events = await readLog(store, { after: 0n })
      expect(events.map(({ id }) => id)).toEqual(written[number])
      expect([...new Set(events.map(({ stream }) => stream))]).toEqual(names.slice(0, names.length - number))
      // Hashed over Kehu's names, and whole from the first event on.
      expectWhole(events)
      const customers = events.filter(({ stream }) => stream.startsWith('customer-'))
      expect(await readLog(store, { after: 0n, kinds: ['customer'] })).toEqual(customers)
      expect(await readLog(store, { after: 0n, kinds: ['system'] })).toEqual([])
      for (const name of names) expect(await collect(store.readStream(name))).toEqual(events.filter(({ stream }) => stream === name))
      expect(await store.head()).toBe(events.at(-1)?.position)
      for (const event of events) {
        expect(await store.eventAt(event.position)).toEqual(event)
        for (const other of logs) if (other !== store) expect(await other.eventAt(event.position)).toBeUndefined()
      }
      await until(() => followers[number]?.all.events().length === events.length && followers[number]?.some.events().length === customers.length)
      expect(followers[number]?.all.events()).toEqual(events)
      expect(followers[number]?.some.events()).toEqual(customers)
      heads.push(await store.head())
    }
    expect(new Set(heads).size).toBe(3)
    for (const one of followers) await Promise.all([one.all.stop(), one.some.stop()])
  })

  it('keep receipts by what stands in their own streams', async () => {
    const [plain, north] = [open(), open({ prefix: 'north' })]
    const stream = newStream()
    const receipt = makeReceipt([stream])
    await makeWriter(plain, stream).append()
    const { result } = await makeWriter(north, stream).append([{}, {}], receipt)
    expect(await north.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: result.outcome === 'appended' && result.position })
  })
})

describe('what another program wrote', () => {
  it('under names of Kehu’s shape is passed over in the whole log, and does not stop those who follow', async () => {
    const store = open()
    const subscriber = follow(store, { after: 0n, batchSize: 2 })
    const writer = makeWriter(store)
    for (let round = 0; round < 4; round += 1) {
      await writer.append()
      await put(host.log, newStream('customer'), 3)
      await put(host.log, 'account-' + randomUUID(), 1, { type: '' })
    }
    await put(host.log, '$system-1', 2)
    const events = await readLog(store, { after: 0n })
    expect(events.map(({ stream }) => stream)).toEqual(times(4, () => writer.stream))
    expect(await readLog(store, { after: 0n, kinds: ['customer', 'account'] })).toEqual([])
    await until(() => subscriber.events().length === 4)
    const { result } = await writer.append()
    if (result.outcome === 'appended') await subscriber.reached(result.position)
    await subscriber.stop()
    expect(subscriber.events()).toHaveLength(5)
  })

  it('into one of Kehu’s streams is an error to whoever reads that stream', async () => {
    const store = open()
    const writer = makeWriter(store)
    await writer.append()
    await put(host.log, writer.stream)
    await expect(collect(store.readStream(writer.stream))).rejects.toThrow(`(${writer.stream}, revision 1) cannot be read`)
  })
})
