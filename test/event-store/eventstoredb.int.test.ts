import streams from '@eventstore/db-client/generated/streams_pb.js'
import { expect, test } from 'vitest'
import { canonical } from '../../src/event-store/canonical.ts'
import { makeNames } from '../../src/event-store/eventstoredb/names.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import { startHost } from '../eventstoredb-host/host.ts'
import { makeDatabase } from '../support/database.ts'
import { appendTogetherContract } from './contract-together.ts'
import { eventStoreContract, follow, makeWriter, times, until } from './contract.ts'

const open = async () => {
  const database = await makeDatabase()
  const host = await startHost()
  const make = () => makeEventStoreDbEventStore({ url: host.url, pool: database.pool })
  const store = make()
  return {
    store,
    cutConnections: async () => host.faults.dropConnections(),
    reopen: async () => make(),
    close: async () => {
      await store.close()
      await host.stop()
      await database.drop()
    },
  }
}

eventStoreContract('the EventStoreDB test host', open)
appendTogetherContract('the EventStoreDB test host', open)

test('the server holds what the storage format says: ids and types as its own, data and metadata as canonical bytes, streams under the prefix', async () => {
  const database = await makeDatabase()
  const host = await startHost()
  for (const [prefix, name] of [[undefined, 'customer-a.b-c'], ['north', 'customer-@north.a.b-c']] as const) {
    const store = makeEventStoreDbEventStore({ url: host.url, pool: database.pool, ...(prefix && { prefix }) })
    const { request } = await makeWriter(store, 'customer-a.b-c').append([{ z: 1, a: '王', nested: { b: null, a: [] } }, { n: 2 }])
    const view = host.log.view(name)
    if (view.kind !== 'stream') throw new Error(`no stream ${name}`)
    const records = view.records.map(({ bytes }) => streams.ReadResp.deserializeBinary(bytes).getEvent()?.getEvent())
    const text = (bytes?: Uint8Array) => Buffer.from(bytes ?? []).toString('utf8')
    expect(records.map((record) => ({
      id: record?.getId()?.getString(), revision: record?.getStreamRevision(), type: record?.getMetadataMap().get('type'), format: record?.getMetadataMap().get('content-type'),
      data: text(record?.getData_asU8()), metadata: text(record?.getCustomMetadata_asU8()),
    }))).toEqual(request.events.map((event, revision) => ({ id: event.id, revision: String(revision), type: event.type, format: 'application/json', data: canonical(event.data), metadata: canonical(event.metadata) })))
    await store.close()
  }
  await host.stop()
  await database.drop()
})

test('names of streams: there and back, and nothing that is not of this log', () => {
  const [bare, north] = [makeNames(), makeNames('north')]
  for (const stream of ['customer-42', 'recordReport-a.b-c~d_e', 'identity-mobile-v1-00ff', 'system-log', 'customer--x']) {
    for (const names of [bare, north]) expect(names.fromServer(names.toServer(stream))).toBe(stream)
    expect(bare.fromServer(north.toServer(stream))).toBeUndefined()
    expect(north.fromServer(bare.toServer(stream))).toBeUndefined()
    expect(north.fromServer(makeNames('northern').toServer(stream))).toBeUndefined()
    const { regex } = { regex: '', ...north.filter() }
    expect([new RegExp(regex).test(north.toServer(stream)), new RegExp(regex).test(stream)]).toEqual([true, false])
  }
  for (const name of ['$stats-127.0.0.1:2113', '$$customer-1', 'customer', '-1', 'customer-', 'customer-@north.', '1-2', 'Kunde 1-2']) expect([name, bare.fromServer(name), north.fromServer(name)]).toEqual([name, undefined, undefined])
  expect(north.filter(['policy', 'category'])).toEqual({ prefixes: ['category-@north.', 'policy-@north.'] })
  expect(() => bare.filter(['a.*'])).toThrow(TypeError)
})

test('a log that ends before what was read of it ends its subscriptions: an older copy was restored under a running process', async () => {
  const database = await makeDatabase()
  const host = await startHost()
  const store = makeEventStoreDbEventStore({ url: host.url, pool: database.pool })
  await makeWriter(store).append(times(50, (n) => ({ n })))
  const [caughtUp, behind] = [follow(store, { after: 0n }), follow(store, { after: await store.head() })]
  await caughtUp.reached(await store.head())
  await until(() => behind.batches.length > 0)
  await host.stop()
  const older = await startHost({ port: host.port })
  for (const subscriber of [caughtUp, behind]) {
    await subscriber.ended
    await expect(subscriber.stop()).rejects.toThrow(/^the log ends at 0, and had been read up to \d+: was an older copy restored, or is this another server\?$/)
  }
  await store.close()
  await older.stop()
  await database.drop()
})
