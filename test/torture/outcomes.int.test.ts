import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyHead } from '../../src/event-store/chain.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { Append, EventStore, Receipt } from '../../src/event-store/port.ts'
import { collect, expectWhole, follow, inTurn, makeEvents, makeReceipt, makeWriter, newStream, readLog, times, until } from '../event-store/contract.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'

/** What torture meets by chance with the log in EventStoreDB, here on purpose, one thing at a time. */
describe('with the log in EventStoreDB', () => {
  let database: TestDatabase
  let host: EventStoreDbHost
  let store: EventStore
  beforeAll(async () => {
    database = await makeDatabase()
    host = await startHost()
    store = makeEventStoreDbEventStore({ url: host.url, pool: database.pool })
    await makeWriter(store).append()
  })
  afterAll(async () => {
    await store.close()
    await host.stop()
    await database.drop()
  })

  const firstOf = (stream: string, count = 1): Append => ({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream), times(count, (n) => ({ n }))).events })

  /** As a process that dies before it sends: the receipt waits, its events are nowhere. */
  const leavePending = async ({ stream, events }: Append, receipt: Receipt): Promise<void> => {
    await database.pool.query(
      'select from kehu.register_appends($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::text[], $11::timestamptz[])',
      [[events[0]?.id], [stream], [-1], [events.length], [receipt.commandId], [receipt.commandHash], [receipt.command], [receipt.streams.join(' ')], [receipt.status], [JSON.stringify(receipt.answer)], [receipt.recordedAt]],
    )
  }
  /** Another process is quicker: its event is there before anything else can be sent. */
  const takePlace = ({ stream, events }: Append): void => {
    const bytes = (value: object) => Buffer.from(JSON.stringify(value))
    host.log.append(stream, 'no_stream', events.map(({ id, type, data, metadata }) => ({ id, type, isJson: true, data: bytes(data), metadata: bytes(metadata) })), 0, () => undefined)
  }
  const pendingOf = async (commandId: string): Promise<number> => (await database.pool.query('select from kehu.pending_append where command_id = $1', [commandId])).rows.length

  it('an append that was lost on its way, and whose place another took meanwhile, is a conflict and has no receipt', async () => {
    const stream = newStream()
    const receipt = makeReceipt([stream])
    host.faults.refuseBefore(1)
    const appending = store.append({ ...firstOf(stream), receipt })
    await until(() => host.connections() === 0)
    takePlace(firstOf(stream))
    expect(await appending).toEqual({ outcome: 'conflict', actualRevision: 0 })
    expect(await store.receipts.find(receipt.commandId)).toBeUndefined()
  })

  it('an append whose answer was lost answers as if it had come, once, with its receipt', async () => {
    const stream = newStream()
    const receipt = makeReceipt([stream])
    const request = firstOf(stream, 2)
    host.faults.loseAnswers(1)
    const result = await store.append({ ...request, receipt })
    const read = await collect(store.readStream(stream))
    expect(read.map((event) => event.id)).toEqual(request.events.map((event) => event.id))
    expectWhole(read)
    expect(result).toEqual({ outcome: 'appended', revision: 1, position: read[1]?.position })
    expect(await store.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: read[1]?.position })
  })

  it('a receipt whose events have not come is no answer yet; and is one when they come after all', async () => {
    const request = firstOf(newStream(), 2)
    const receipt = makeReceipt([request.stream])
    await leavePending(request, receipt)
    await inTurn(3, async () => expect(await store.receipts.find(receipt.commandId)).toBeUndefined())
    const result = await store.append(request)
    if (result.outcome !== 'appended') expect.fail(result.outcome)
    expect(await store.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: result.position })
    expect(await pendingOf(receipt.commandId)).toBe(0)
  })

  it('a receipt whose place another took is no answer, and is gone', async () => {
    const request = firstOf(newStream())
    const receipt = makeReceipt([request.stream])
    await leavePending(request, receipt)
    await store.append(firstOf(request.stream))
    expect(await store.receipts.find(receipt.commandId)).toBeUndefined()
    expect(await pendingOf(receipt.commandId)).toBe(0)
  })

  it('a command whose earlier attempt came to nothing is carried out, and the attempt comes too late', async () => {
    const request = firstOf(newStream())
    const receipt = makeReceipt([request.stream], { attempt: 1 })
    await leavePending(request, receipt)
    const second = { ...receipt, answer: { attempt: 2 } }
    expect(await store.append({ ...firstOf(request.stream), receipt: second })).toMatchObject({ outcome: 'appended', revision: 0 })
    expect(await store.append(request)).toEqual({ outcome: 'conflict', actualRevision: 0 })
    expect(await store.receipts.find(receipt.commandId)).toMatchObject(second)
  })

  it('a read that is cut in its midst goes on where it stood', async () => {
    const before = await store.head()
    await Promise.all(times(30, () => makeWriter(store).append(times(150, (n) => ({ n, text: 'x'.repeat(200) })))))
    const ids: string[] = []
    let batches = 0
    for await (const batch of store.readAll({ after: before, batchSize: 100 })) {
      ids.push(...batch.events.map((event) => event.id))
      batches += 1
      if (batches % 4 === 0) host.faults.dropConnections()
    }
    expect(ids).toEqual((await readLog(store, { after: before })).map((event) => event.id))
    expect(ids).toHaveLength(4500)
  })

  it('a subscription dropped as too slow again and again gives every event once to whoever follows from anywhere', async () => {
    const before = await store.head()
    const staying = follow(store, { after: before })
    await until(() => staying.batches.length > 0)
    const writer = makeWriter(store, newStream())
    await inTurn(5, async () => {
      await writer.append([{}, {}])
      host.faults.slowConsumers()
      await writer.append()
    })
    const events = await readLog(store, { after: before })
    await staying.reached(events.at(-1)?.position ?? 0n)
    const ids = events.map((event) => event.id)
    await inTurn(events.length, async (index) => {
      const late = follow(store, { after: events[index]?.position ?? 0n })
      await until(() => late.batches.some((batch) => batch.caughtUp))
      await late.stop()
      expect(late.events().map((event) => event.id)).toEqual(ids.slice(index + 1))
    })
    await staying.stop()
    expect(staying.events().map((event) => event.id)).toEqual(ids)
  })
})
