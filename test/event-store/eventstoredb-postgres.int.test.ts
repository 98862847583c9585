import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventStoreUnavailable } from '../../src/event-store/port.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, openPool, type TestDatabase } from '../support/database.ts'
import { makeAttempt, makeReceipt, makeWriter, newStream, times, until } from './contract.ts'
import { attemptOf, closeAll, noneIsPending, openProxy, openStore, pause, pendingRows, streamIds } from './eventstoredb-support.ts'

let database: TestDatabase
let host: EventStoreDbHost
beforeAll(async () => {
  database = await makeDatabase()
  host = await startHost()
})
afterAll(async () => {
  await host.stop()
  await database.drop()
})
const settled = () => noneIsPending(database)

describe('while Postgres is away', () => {
  const behindProxy = async (timeoutMs = 600) => {
    const url = new URL(database.url)
    const proxy = await openProxy(Number(url.port))
    url.port = String(proxy.port)
    const pool = openPool(url.href, { max: 4 })
    const own = openStore(host, { pool }, { timeoutMs })
    await own.receipts.find(makeReceipt([]).commandId)
    return {
      own, proxy,
      close: async () => {
        await closeAll([own])
        await pool.end()
        await proxy.close()
      },
    }
  }

  it('for a moment, what is being written down waits, and is carried out', async () => {
    const { own, proxy, close } = await behindProxy()
    const [first, receipt] = [attemptOf(makeReceipt([]), newStream()), makeReceipt([])]
    proxy.turnAway(true)
    const asked = Promise.all([own.append(first), own.receipts.record(receipt), own.receipts.find(makeReceipt([]).commandId), own.receipts.recordAttempt(makeAttempt())])
    await pause(200)
    proxy.turnAway(false)
    expect(await asked).toMatchObject([{ outcome: 'appended' }, { position: null }, undefined, undefined])
    await settled()
    await close()
  })

  it('for long, an append with a receipt is unavailable and has not happened; one without is carried out', async () => {
    const { own, proxy, close } = await behindProxy()
    const first = attemptOf(makeReceipt([]), newStream())
    proxy.turnAway(true)
    const lost = Promise.allSettled([own.append(first), own.receipts.record(first.receipt), own.receipts.find(first.receipt.commandId), own.receipts.recordAttempt(makeAttempt())])
    expect((await makeWriter(own).append()).result.outcome).toBe('appended')
    for (const outcome of await lost) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(EventStoreUnavailable) })
    proxy.turnAway(false)
    expect(await streamIds(own, first.stream)).toEqual([])
    expect(await own.append(first)).toMatchObject({ outcome: 'appended' })
    await settled()
    await close()
  })

  it.each([['a moment', 200], ['long', 1200]])('for %s, after the event has got there: the append is answered, and its receipt is there later', async (_name, away) => {
    const { own, proxy, close } = await behindProxy()
    const first = attemptOf(makeReceipt([], { n: 1 }), newStream(), undefined, [{}, {}])
    host.faults.answerLate(150)
    const appending = own.append(first)
    await until(() => host.log.view(first.stream).kind === 'stream')
    proxy.turnAway(true)
    host.faults.answerLate(0)
    const result = await appending
    expect(result).toMatchObject({ outcome: 'appended', revision: 1 })
    await pause(away)
    expect(await pendingRows(database)).toBe(1)
    proxy.turnAway(false)
    expect(await own.receipts.find(first.receipt.commandId)).toEqual({ ...first.receipt, position: result.outcome === 'appended' && result.position })
    await settled()
    await close()
  })

  it('for the blink of an eye, again and again: every append is answered once and has its receipt', async () => {
    const { own, proxy, close } = await behindProxy(10_000)
    let over = false
    const cutting = (async () => {
      // Ever longer apart, or a busy machine would never get a connection in between.
      for (let apart = 60; !over; apart += 5) {
        proxy.cut()
        await pause(apart)
      }
    })()
    await Promise.all(times(4, async () => {
      const writer = makeWriter(own)
      for (let round = 0; round < 10; round += 1) {
        const receipt = makeReceipt([writer.stream], { round })
        const { result } = await writer.append([{}, {}], receipt)
        // Cut between the two, its own receipt may be what it finds.
        const position = result.outcome === 'appended' ? result.position : result.outcome === 'answered' && result.receipt.position
        expect(await own.receipts.find(receipt.commandId)).toEqual({ ...receipt, position })
      }
      expect(await streamIds(own, writer.stream)).toHaveLength(20)
    })).finally(() => {
      over = true
    })
    await cutting
    await settled()
    await close()
  })
})

describe('a receipt that cannot be stored', () => {
  it('fails its own append alone: those written down with it are carried out', async () => {
    const store = openStore(host, database)
    const good = times(6, () => attemptOf(makeReceipt([]), newStream()))
    const bad = attemptOf(makeReceipt([]), newStream())
    const spoilt = [{ ...bad, events: bad.events.map((event) => ({ ...event, id: 'not-a-uuid' })) }, { ...bad, receipt: { ...bad.receipt, commandId: 'not-a-uuid' } }]
    const refused = Promise.allSettled(spoilt.map((request) => store.append(request)))
    const carriedOut = Promise.allSettled(good.map((request) => store.append(request)))
    for (const outcome of await refused) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(TypeError) })
    for (const outcome of await carriedOut) expect(outcome).toMatchObject({ value: { outcome: 'appended' } })
    await settled()
    await closeAll([store])
  })
})
