import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyHead, headAfter } from '../../src/event-store/chain.ts'
import { EventStoreUnavailable, type Append } from '../../src/event-store/port.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { collect, expected, expectWhole, inTurn, makeEvents, makeReceipt, makeWriter, newStream, readLog, times } from './contract.ts'
import { closeAll, expectReceipts, expectStored, keepWriting, openProxy, openStore, pause, streamIds, type Told } from './eventstoredb-support.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

const forMs = (ms: number, begin: (host: EventStoreDbHost) => void, end: (host: EventStoreDbHost) => void) => async (host: EventStoreDbHost) => {
  begin(host)
  await pause(ms)
  end(host)
}

const upsets: [string, (host: EventStoreDbHost) => unknown][] = [
  ['answers are lost', ({ faults }) => inTurn(4, async () => {
    faults.loseAnswers(2)
    await pause(150)
  })],
  ['connections die before anything is done', ({ faults }) => inTurn(4, async () => {
    faults.refuseBefore(2)
    await pause(150)
  })],
  ['an append is carried out after its connection has died, before and after it is sent again', ({ faults }) => inTurn(6, async (round) => {
    faults.answerAfterGone(round * 80)
    await pause(350)
  })],
  ['every answer comes twice', ({ faults }) => faults.doubleAnswers(1000)],
  ['answers come after it is sent again', forMs(3200, ({ faults }) => faults.answerLate(2900), ({ faults }) => faults.answerLate(0))],
  ['appends are still in flight when they are sent again', forMs(2900, ({ faults }) => faults.delayAppends(2850), ({ faults }) => faults.delayAppends(0))],
  ['appends are in flight for longer than the server waits for them', forMs(3300, ({ faults }) => faults.delayAppends(3250), ({ faults }) => faults.delayAppends(0))],
  ['the server is not ready for a second', forMs(1000, ({ faults }) => faults.notReady(true), ({ faults }) => faults.notReady(false))],
  ['the server stands still for a second', forMs(1000, ({ faults }) => faults.freeze(), ({ faults }) => faults.thaw())],
  ['the server stands still for four seconds', forMs(4000, ({ faults }) => faults.freeze(), ({ faults }) => faults.thaw())],
  ['connections are dropped again and again', ({ faults }) => inTurn(8, async (round) => {
    faults.dropConnections()
    await pause(20 * round)
  })],
]

describe.concurrent('what is acknowledged is stored, once, where it was told to be, and a lone writer meets no conflict', () => {
  it.each(upsets)('when %s', async (_name, upset) => {
    const host = await startHost()
    const store = openStore(host, database)
    const writers = keepWriting(store, 6)
    await writers.more(12)
    const before = writers.told.length
    await upset(host)
    await writers.more(24)
    const told = await writers.stop()
    expect(told.length).toBeGreaterThan(before)
    await expectStored(store, told)
    await expectReceipts(store, told)
    await closeAll([store], host)
  })

  it('when the server is stopped and started again with its data on the same port', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kehu-eventstoredb-'))
    const file = join(folder, 'log')
    let host = await startHost({ file })
    const store = openStore(host, database)
    const writers = keepWriting(store, 6)
    for (const down of [0, 400, 1500]) {
      await writers.more(20)
      await host.stop()
      await pause(down)
      host = await startHost({ file, port: host.port })
    }
    await writers.more(20)
    const told = await writers.stop()
    await expectStored(store, told)
    await expectReceipts(store, told)
    await closeAll([store], host)
    await rm(folder, { recursive: true })
  })

  it('whatever comes in whatever order; and what conflicted is not there', async () => {
    const fault = fc.constantFrom('loseAnswers', 'refuseBefore', 'answerAfterGone', 'dropConnections', 'notReady', 'freeze', 'delayAppends', 'answerLate')
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ fault, strength: fc.integer({ min: 1, max: 5 }), then: fc.integer({ min: 0, max: 120 }) }), { minLength: 2, maxLength: 5 }), async (schedule) => {
      const host = await startHost()
      const store = openStore(host, database)
      const alone = keepWriting(store, 3)
      // Three who write to the same stream: each takes up at what it has read.
      const shared = newStream('shared')
      const contended: Told[] = []
      let over = false
      const contending = Promise.all(times(3, async () => {
        let head = emptyHead(shared)
        while (!over) {
          const made = makeEvents(shared, head)
          const request: Append = { stream: shared, expectedRevision: expected(head), events: made.events }
          const result = await store.append(request)
          contended.push({ request, result })
          for await (const event of store.readStream(shared, { fromRevision: head.revision + 1 })) head = headAfter(event)
        }
      }))
      for (const { fault: name, strength, then } of schedule) {
        const { faults } = host
        if (name === 'loseAnswers' || name === 'refuseBefore') faults[name](strength)
        else if (name === 'answerAfterGone') faults.answerAfterGone(strength * 40)
        else if (name === 'dropConnections') faults.dropConnections()
        else if (name === 'freeze') await forMs(strength * 40, () => faults.freeze(), () => faults.thaw())(host)
        else if (name === 'notReady') await forMs(strength * 40, () => faults.notReady(true), () => faults.notReady(false))(host)
        else await forMs(strength * 40, () => faults[name](strength * 30), () => faults[name](0))(host)
        await pause(then)
      }
      await alone.more(6)
      over = true
      await contending
      const told = [...(await alone.stop()), ...contended]
      await expectStored(store, told)
      await closeAll([store], host)
    }), { numRuns: 8, endOnFailure: true })
  })
})

describe.concurrent('an append whose outcome was not learned in time', () => {
  it('is unavailable; sent again it answers as if for the first time, and it is there once', async () => {
    const host = await startHost()
    const store = openStore(host, database, { timeoutMs: 700 })
    const writers = times(3, () => makeWriter(store))
    for (const writer of writers) await writer.append()
    const requests = writers.map(({ stream, head }, number): Append => ({
      stream, expectedRevision: 0, events: makeEvents(stream, head(), [{}, {}]).events, ...(number > 0 && { receipt: makeReceipt([stream], { number }) }),
    }))
    host.faults.freeze()
    const started = performance.now()
    for (const outcome of await Promise.allSettled(requests.map((request) => store.append(request)))) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
    }
    expect(performance.now() - started).toBeLessThan(1500)
    host.faults.thaw()
    const results = await Promise.all(requests.map((request) => store.append(request)))
    for (const [number, request] of requests.entries()) {
      const [, , last] = await collect(store.readStream(request.stream))
      expect(results[number]).toEqual({ outcome: 'appended', revision: 2, position: last?.position })
      expect(await streamIds(store, request.stream)).toEqual([expect.any(String), ...request.events.map(({ id }) => id)])
      if (request.receipt) expect(await store.receipts.find(request.receipt.commandId)).toEqual({ ...request.receipt, position: last?.position })
    }
    await closeAll([store], host)
  })

  it('is there once as well when it was carried out meanwhile', async () => {
    const host = await startHost()
    const store = openStore(host, database, { timeoutMs: 400 })
    const { stream } = makeWriter(store)
    const request: Append = { stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream)).events, receipt: makeReceipt([stream]) }
    await store.head()
    host.faults.answerLate(1200)
    await expect(store.append(request)).rejects.toBeInstanceOf(EventStoreUnavailable)
    expect(await streamIds(store, stream)).toHaveLength(1)
    host.faults.answerLate(0)
    expect(await store.append(request)).toMatchObject({ outcome: 'appended', revision: 0 })
    // What came too late is nobody's answer any more.
    await pause(1000)
    expect(await streamIds(store, stream)).toHaveLength(1)
    await closeAll([store], host)
  })
})

describe.concurrent('of two stores in one process', () => {
  it('one that is closed takes nothing from the other, whose appends are under way', async () => {
    const host = await startHost()
    const store = openStore(host, database)
    const writers = keepWriting(store, 6)
    const told: Told[] = []
    await inTurn(5, async () => {
      const other = openStore(host, database)
      await makeWriter(other).append().then((done) => told.push(done))
      await writers.more(6)
      const underWay = times(10, () => makeWriter(other).append([{}, {}]))
      const closed = other.close()
      // Asked for before it was closed: answered.
      told.push(...(await Promise.all(underWay)))
      await closed
      await writers.more(6)
    })
    told.push(...(await writers.stop()))
    await expectStored(store, told)
    await closeAll([store], host)
  })

  it('one whose server goes away takes nothing from the other', async () => {
    const host = await startHost()
    const proxy = await openProxy(host.port)
    const [store, other] = [openStore(host, database), openStore(proxy, database, { timeoutMs: 1500 })]
    const writers = keepWriting(store, 6)
    await makeWriter(other).append()
    await inTurn(5, async () => {
      const doomed = times(5, () => makeWriter(other).append())
      proxy.cut()
      await Promise.all([...doomed, writers.more(10)])
    })
    proxy.turnAway(true)
    const lost = Promise.allSettled(times(5, () => makeWriter(other).append()))
    await writers.more(50)
    for (const outcome of await lost) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
    const told = await writers.stop()
    const events = await readLog(store, { after: 0n })
    expectWhole(events)
    expect(events).toHaveLength(told.reduce((sum, { request }) => sum + request.events.length, 26))
    await closeAll([store, other])
    await proxy.close()
    await host.stop()
  })
})
