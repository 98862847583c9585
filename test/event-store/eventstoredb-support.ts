/** What the tests of the EventStoreDB adapter are made of, besides the contract's helpers. */
import { connect, createServer, type Socket } from 'node:net'
import { expect, vi } from 'vitest'
import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { Append, AppendResult, AppendWithReceipt, EventStore, JsonObject, Receipt, RecordedEvent } from '../../src/event-store/port.ts'
import { pause } from '../../src/event-store/waiting.ts'
import type { EventStoreDbHost } from '../eventstoredb-host/host.ts'
import type { TestDatabase } from '../support/database.ts'
import { collect, expected, expectWhole, makeEvents, makeReceipt, makeWriter, newStream, readLog, times } from './contract.ts'

export { pause }

export const openStore = (host: { url: string }, { pool }: Pick<TestDatabase, 'pool'>, more: { prefix?: string; timeoutMs?: number } = {}): EventStore =>
  makeEventStoreDbEventStore({ url: host.url, pool, ...more })

/** An append, and what was answered. */
export type Told = { request: Append; result: AppendResult }

/**
 * Lone writers that write on until told to stop: one event or more at a time, every other time with a receipt.
 * They never meet a conflict.
 */
export const keepWriting = (store: EventStore, count: number, options: { kind?: (writer: number) => string; events?: number } = {}) => {
  const told: Told[] = []
  let over = false
  const writing = Promise.all(times(count, async (number) => {
    const writer = makeWriter(store, newStream(options.kind?.(number) ?? 'kept'))
    for (let round = 0; !over; round += 1) {
      const receipt = round % 2 === 0 ? makeReceipt([writer.stream], { round }) : undefined
      const { request, result } = await writer.append(times(options.events ?? 1 + (round % 3), (n) => ({ n })), receipt)
      expect(result).toEqual({ outcome: 'appended', revision: writer.head().revision, position: expect.any(BigInt) })
      told.push({ request, result })
      await pause(1)
    }
  }))
  // Whoever stops them hears of it.
  writing.catch(() => undefined)
  return {
    told,
    /** So many more appends have been answered. */
    more: async (appends: number) => {
      const goal = told.length + appends
      while (told.length < goal) await Promise.race([pause(5), writing])
    },
    stop: async (): Promise<Told[]> => {
      over = true
      await writing
      return told
    },
  }
}

/** What was told as appended is in the log, once, where it was told to be; the log holds nothing else. */
export const expectStored = async (store: EventStore, told: readonly Told[]): Promise<RecordedEvent[]> => {
  const events = await readLog(store, { after: 0n })
  expectWhole(events)
  const at = new Map(events.map((event) => [event.id, event]))
  expect(at.size).toBe(events.length)
  for (const { request, result } of told) {
    if (result.outcome !== 'appended') continue
    const last = at.get(request.events.at(-1)?.id ?? '')
    expect(last).toMatchObject({ stream: request.stream, revision: result.revision, position: result.position })
    for (const [index, { id }] of request.events.entries()) expect(at.get(id)).toMatchObject({ stream: request.stream, revision: result.revision - request.events.length + 1 + index })
  }
  const appended = told.filter(({ result }) => result.outcome === 'appended').flatMap(({ request }) => request.events.map(({ id }) => id))
  expect(events.map(({ id }) => id).toSorted()).toEqual(appended.toSorted())
  return events
}

/** Every receipt asked for is kept, with the position of its last event, and nothing is pending. */
export const expectReceipts = async (store: EventStore, told: readonly Told[]): Promise<void> => {
  for (const { request, result } of told) {
    if (request.receipt && result.outcome === 'appended') expect(await store.receipts.find(request.receipt.commandId)).toEqual({ ...request.receipt, position: result.position })
  }
}

export const pendingRows = async ({ pool }: Pick<TestDatabase, 'pool'>): Promise<number> => {
  const { rows } = await pool.query<{ count: number }>('select count(*)::integer as count from kehu.pending_append')
  return rows[0]?.count ?? 0
}

export const noneIsPending = (database: Pick<TestDatabase, 'pool'>): Promise<void> =>
  vi.waitFor(async () => {
    const count = await pendingRows(database)
    if (count > 0) throw new Error(`${count} appends are still pending`)
  }, { interval: 5 })

/** One attempt of a command: it appends to a stream at its head, with the command's receipt. */
export const attemptOf = (receipt: Receipt, stream: string, head: Head = emptyHead(stream), data: readonly JsonObject[] = [{}]): AppendWithReceipt =>
  ({ stream, expectedRevision: expected(head), events: makeEvents(stream, head, data).events, receipt })

export const streamIds = async (store: EventStore, stream: string): Promise<string[]> => (await collect(store.readStream(stream))).map(({ id }) => id)

/** Between a client and a server: connections that can be cut, turned away, or silent as behind a firewall that has forgotten them. */
export const openProxy = async (to: number) => {
  const pairs = new Set<[Socket, Socket]>()
  let turningAway = false
  const server = createServer((client) => {
    if (turningAway) return void client.destroy()
    const upstream = connect(to, '127.0.0.1')
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      for (const socket of pair) socket.destroy()
    }
    for (const socket of pair) socket.setNoDelay(true).on('error', end).on('close', end)
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = () => {
    for (const pair of [...pairs]) for (const socket of pair) socket.destroy()
  }
  return {
    port: address.port,
    url: `esdb://127.0.0.1:${address.port}?tls=false`,
    cut,
    /** The connections there are say nothing more, and stay open; new ones are as ever. */
    stall: () => {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        // What arrives is taken and lost: nothing tells either side.
        client.resume()
        upstream.resume()
      }
    },
    turnAway: (on: boolean) => {
      turningAway = on
      if (on) cut()
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cut()
      await closed
    },
  }
}

/** Ends stores first, then what they stand on. */
export const closeAll = async (stores: readonly EventStore[], ...hosts: EventStoreDbHost[]): Promise<void> => {
  await Promise.all(stores.map((store) => store.close()))
  for (const host of hosts) await host.stop()
}
