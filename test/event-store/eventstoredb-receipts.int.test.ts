import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import { EventStoreUnavailable, type AppendWithReceipt, type EventStore, type Receipt } from '../../src/event-store/port.ts'
import { startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { collect, makeAttempt, makeEvents, makeReceipt, makeWriter, newStream, times, until } from './contract.ts'
import { attemptOf, noneIsPending, openStore, pause, pendingRows, streamIds } from './eventstoredb-support.ts'

let database: TestDatabase
let host: EventStoreDbHost
let store: EventStore
beforeAll(async () => {
  database = await makeDatabase()
  host = await startHost()
})
afterAll(async () => {
  await host.stop()
  await database.drop()
})
beforeEach(() => {
  store = openStore(host, database, { timeoutMs: 600 })
})
afterEach(async () => {
  await store.close()
  await database.pool.query('delete from kehu.pending_append')
})

/** A process wrote the append down, and died before it sent it. */
const writeDown = async ({ stream, expectedRevision, events, receipt }: AppendWithReceipt): Promise<void> => {
  await database.pool.query('select kehu.register_appends($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', [
    [events[0]?.id], [stream], [expectedRevision === 'no_stream' ? -1 : expectedRevision], [events.length], [receipt.commandId], [receipt.commandHash], [receipt.command],
    [receipt.streams.join(' ')], [receipt.status], [JSON.stringify(receipt.answer)], [receipt.recordedAt],
  ])
}
/** A process wrote the append down, sent it, and died before it noted that it had got there. */
const land = async (request: AppendWithReceipt) => {
  await writeDown(request)
  const result = await store.append({ stream: request.stream, expectedRevision: request.expectedRevision, events: request.events })
  return result.outcome === 'appended' ? result.position : expect.fail(`it did not land: ${result.outcome}`)
}
/** It was longer ago than anyone still tries. */
const longAgo = (commandId: string) => database.pool.query(`update kehu.pending_append set since = since - interval '91 seconds' where command_id = $1`, [commandId])
const settled = () => noneIsPending(database)
const refusal = (receipt: Receipt): Receipt => ({ ...receipt, status: 409, answer: { refused: true } })

describe('an append that was written down and never sent', () => {
  it('is no receipt; the command is carried out by whoever tries it again, once', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await writeDown(first)
    expect(await store.receipts.find(first.receipt.commandId)).toBeUndefined()
    const again = attemptOf({ ...first.receipt, answer: { again: true } }, first.stream)
    const result = await store.append(again)
    expect(result).toMatchObject({ outcome: 'appended', revision: 0 })
    const kept = { ...again.receipt, position: result.outcome === 'appended' && result.position }
    await vi.waitFor(async () => expect(await store.receipts.find(first.receipt.commandId)).toEqual(kept))
    expect(await store.append(attemptOf(first.receipt, first.stream))).toEqual({ outcome: 'answered', receipt: kept })
    expect(await streamIds(store, first.stream)).toEqual(again.events.map(({ id }) => id))
  })

  it('holds up a refusal of the command, until it is certain that it never will be', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await writeDown(first)
    await expect(store.receipts.record(refusal(first.receipt))).rejects.toBeInstanceOf(EventStoreUnavailable)
    expect(await store.receipts.find(first.receipt.commandId)).toBeUndefined()
    await longAgo(first.receipt.commandId)
    const kept = { ...refusal(first.receipt), position: null }
    expect(await store.receipts.record(refusal(first.receipt), makeAttempt(first.receipt.commandId))).toEqual(kept)
    expect(await store.receipts.find(first.receipt.commandId)).toEqual(kept)
    await settled()
    expect(await store.append(attemptOf(first.receipt, first.stream))).toEqual({ outcome: 'answered', receipt: kept })
    expect(await streamIds(store, first.stream)).toEqual([])
  })

  it('at one place holds up an attempt at another, until it is certain that it never will be', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await writeDown(first)
    const elsewhere = attemptOf(first.receipt, newStream())
    await expect(store.append(elsewhere)).rejects.toBeInstanceOf(EventStoreUnavailable)
    expect(await streamIds(store, elsewhere.stream)).toEqual([])
    await longAgo(first.receipt.commandId)
    expect(await store.append(elsewhere)).toMatchObject({ outcome: 'appended' })
    await settled()
    expect(await streamIds(store, elsewhere.stream)).toHaveLength(1)
  })

  it('whose place another event has taken never will be: a refusal stands at once', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await writeDown(first)
    const refusing = store.receipts.record(refusal(first.receipt))
    await pause(100)
    await makeWriter(store, first.stream).append()
    expect(await refusing).toEqual({ ...refusal(first.receipt), position: null })
    await settled()
    expect(await store.append(first)).toMatchObject({ outcome: 'answered', receipt: { answer: { refused: true } } })
    expect(await streamIds(store, first.stream)).toHaveLength(1)
  })

  it('is forgotten by the store’s own sweeping, also beside the receipt of another attempt; what landed is noted, what is recent left alone', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await writeDown(first)
    await longAgo(first.receipt.commandId)
    const beside = attemptOf(makeReceipt([]), newStream())
    await writeDown(beside)
    await store.append(attemptOf(beside.receipt, beside.stream))
    await longAgo(beside.receipt.commandId)
    const landed = attemptOf(makeReceipt([]), newStream(), undefined, [{}, {}, {}])
    const position = await land(landed)
    await longAgo(landed.receipt.commandId)
    const young = attemptOf(makeReceipt([]), newStream())
    await writeDown(young)
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const sweeping = openStore(host, database)
    try {
      expect(await pendingRows(database)).toBeGreaterThanOrEqual(4)
      vi.advanceTimersByTime(60_000)
      await vi.waitFor(async () => expect(await pendingRows(database)).toBe(1), { interval: 5 })
    } finally {
      await sweeping.close()
      vi.useRealTimers()
    }
    const { rows } = await database.pool.query('select position from kehu.receipt where command_id = $1', [landed.receipt.commandId])
    expect(rows).toEqual([{ position: String(position) }])
  })
})

describe('an append that landed and was never noted', () => {
  it('has its receipt for whoever asks, with the position of its last event', async () => {
    const writer = makeWriter(store)
    await writer.append()
    const first = attemptOf(makeReceipt([writer.stream], { n: 1 }), writer.stream, writer.head(), [{}, {}, {}])
    const position = await land(first)
    expect(await store.receipts.find(first.receipt.commandId)).toEqual({ ...first.receipt, position })
    await settled()
  })

  it('answers the command tried again: at its place, later in its stream, and in another', async () => {
    const writer = makeWriter(store)
    await writer.append()
    const attempt = async (next: (first: AppendWithReceipt, head: Head) => AppendWithReceipt) => {
      const stream = newStream()
      const made = makeEvents(stream, emptyHead(stream))
      const first = attemptOf(makeReceipt([stream]), stream)
      const position = await land(first)
      const result = await store.append(next(first, made.head))
      expect(result).toEqual({ outcome: 'answered', receipt: { ...first.receipt, position } })
      expect(await streamIds(store, stream)).toEqual(first.events.map(({ id }) => id))
    }
    await attempt((first) => attemptOf(first.receipt, first.stream))
    await attempt((first, head) => attemptOf(first.receipt, first.stream, head))
    await attempt((first) => attemptOf(first.receipt, newStream()))
    await settled()
  })

  it('is answered as the first time when the very same is sent again', async () => {
    const first = attemptOf(makeReceipt([]), newStream(), undefined, [{}, {}])
    const position = await land(first)
    expect(await store.append(first)).toEqual({ outcome: 'appended', revision: 1, position })
    await settled()
    expect(await store.append(first)).toEqual({ outcome: 'answered', receipt: { ...first.receipt, position } })
    await settled()
  })

  it('keeps a refusal out, however long ago it was', async () => {
    for (const late of [false, true]) {
      const first = attemptOf(makeReceipt([]), newStream())
      const position = await land(first)
      if (late) await longAgo(first.receipt.commandId)
      expect(await store.receipts.record(refusal(first.receipt), makeAttempt(first.receipt.commandId))).toEqual({ ...first.receipt, position })
    }
    await settled()
    const { rows } = await database.pool.query(`select 1 from kehu.refused_attempt a join kehu.receipt r using (command_id) where r.position is not null`)
    expect(rows).toEqual([])
  })
})

describe('two attempts of one command', () => {
  it('at one place, whatever meets them: one stands, and its receipt is the command’s', async () => {
    await Promise.all(times(12, async (round) => {
      const first = attemptOf(makeReceipt([], { n: 1 }), newStream())
      const second = attemptOf({ ...first.receipt, answer: { n: 2 } }, first.stream)
      const other = openStore(host, database)
      if (round % 4 === 0) host.faults.loseAnswers(1)
      const results = await Promise.all([store.append(first), other.append(second)])
      const [event, ...none] = await streamIds(store, first.stream)
      expect(none).toEqual([])
      const kept = await store.receipts.find(first.receipt.commandId)
      expect(kept?.answer).toEqual({ n: event === first.events[0]?.id ? 1 : 2 })
      expect(results.filter(({ outcome }) => outcome === 'appended')).toHaveLength(1)
      await other.close()
    }))
    await settled()
  })

  it('at two places: one stands', async () => {
    await Promise.all(times(12, async () => {
      const first = attemptOf(makeReceipt([]), newStream())
      const other = openStore(host, database)
      const second = attemptOf(first.receipt, newStream())
      const results = await Promise.all([store.append(first), other.append(second)])
      expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['answered', 'appended'])
      expect([...(await streamIds(store, first.stream)), ...(await streamIds(store, second.stream))]).toHaveLength(1)
      await other.close()
    }))
    await settled()
  })

  it('of which one was given up unanswered and went through all the same', async () => {
    const first = attemptOf(makeReceipt([]), newStream())
    await store.head()
    host.faults.freeze()
    await expect(store.append(first)).rejects.toBeInstanceOf(EventStoreUnavailable)
    expect(await pendingRows(database)).toBe(1)
    host.faults.thaw()
    // It may still arrive, or never: either way the command is carried out once.
    const result = await store.append(attemptOf(first.receipt, first.stream))
    expect(['appended', 'answered', 'conflict']).toContain(result.outcome)
    await until(() => host.log.view(first.stream).kind === 'stream')
    expect(await store.receipts.find(first.receipt.commandId)).toMatchObject({ commandId: first.receipt.commandId, position: (await collect(store.readStream(first.stream)))[0]?.position })
    expect(await streamIds(store, first.stream)).toHaveLength(1)
  })
})
