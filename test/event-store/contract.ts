import { randomUUID } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { sha256 } from '../../src/event-store/canonical.ts'
import { chain, chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import {
  AppendTooLarge, EventStoreUnavailable, kindOf, MAX_APPEND_BYTES,
  type Append, type Batch, type EventStore, type ExpectedRevision, type JsonObject, type Position, type ReadAllOptions, type Receipt, type RecordedEvent, type RefusedAttempt, type SealedEvent,
} from '../../src/event-store/port.ts'

export type StoreUnderTest = {
  store: EventStore
  /** Breaks every connection the store has open, as a server that restarts would. */
  cutConnections: () => Promise<void>
  /** One more store on the same log, as another process has one, or this one after a restart. */
  reopen?: () => Promise<EventStore>
  close: () => Promise<void>
}

// What the tests of any store are made of.

export const newStream = (kind = 'contract'): string => `${kind}-${randomUUID()}`

export const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index))

/** One step after the other. */
export const inTurn = async (count: number, step: (index: number) => Promise<unknown>): Promise<void> => {
  for (let index = 0; index < count; index += 1) await step(index)
}

export const expected = (head: Head): ExpectedRevision => (head.revision < 0 ? 'no_stream' : head.revision)

/** Events for a stream, one for each `data`, chained to its head; and the head they make. */
export const makeEvents = (stream: string, head: Head, data: readonly JsonObject[] = [{}], more: object = {}, type = 'Noted'): { events: SealedEvent[]; head: Head } => {
  const commandId = uuidv7()
  const events: SealedEvent[] = []
  let { revision, hash } = head
  const recordedAt = new Date().toISOString()
  for (const one of data) {
    revision += 1
    const event = chain(stream, revision, {
      id: uuidv7(),
      type,
      data: one,
      metadata: { schemaVersion: 1, commandId, commandHash: sha256(commandId), actor: 'contract', $correlationId: commandId, $causationId: commandId, recordedAt, ...more, prevHash: hash },
    })
    hash = event.metadata.hash
    events.push(event)
  }
  return { events, head: { revision, hash, recordedAt } }
}

export const makeReceipt = (streams: string[], answer: JsonObject = {}): Receipt => {
  const commandId = uuidv7()
  return { commandId, commandHash: sha256(commandId), command: 'note', streams, status: 200, answer, recordedAt: new Date().toISOString() }
}

export const makeAttempt = (commandId = uuidv7()): RefusedAttempt => ({
  attemptId: uuidv7(), at: new Date().toISOString(), actor: 'contract', onBehalfOf: null, role: 'clerk', command: 'note', commandId, problem: 'not-permitted', stream: null, ranInto: { why: '无权' },
})

/** The only writer of a stream: knows its head, so no append of its own may conflict. */
export const makeWriter = (store: EventStore, stream = newStream(), type = 'Noted') => {
  let head = emptyHead(stream)
  const append = async (data: readonly JsonObject[] = [{}], receipt?: Receipt) => {
    const made = makeEvents(stream, head, data, {}, type)
    const request: Append = { stream, expectedRevision: expected(head), events: made.events, ...(receipt && { receipt }) }
    const result = await store.append(request)
    if (result.outcome !== 'conflict') head = made.head
    return { request, result, ids: made.events.map((event) => event.id) }
  }
  return { stream, append, head: () => head }
}

/** Appends one event to a stream others write to as well: reads on and tries again after a conflict. */
export const contend = async (store: EventStore, stream: string): Promise<{ id: string; conflicts: number }> => {
  let head = emptyHead(stream)
  for (let conflicts = 0; ; conflicts += 1) {
    const { events: [event], events } = makeEvents(stream, head)
    const result = await store.append({ stream, expectedRevision: expected(head), events })
    if (result.outcome === 'appended' && event) return { id: event.id, conflicts }
    for await (const last of store.readStream(stream, { fromRevision: head.revision + 1 })) head = headAfter(last)
  }
}

export const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export const readLog = async (store: EventStore, options: ReadAllOptions): Promise<RecordedEvent[]> => (await collect(store.readAll(options))).flatMap((batch) => batch.events)

export const until = (condition: () => boolean, timeout = 15_000): Promise<void> =>
  vi.waitFor(() => {
    if (!condition()) throw new Error(`still not so after ${timeout} ms: ${condition}`)
  }, { timeout, interval: 3 })

/** A subscriber that keeps all it was given. */
export const follow = (store: EventStore, options: ReadAllOptions) => {
  const stop = new AbortController()
  const batches: Batch[] = []
  let failure: unknown
  const ended = (async () => {
    for await (const batch of store.subscribe({ ...options, signal: stop.signal })) batches.push(batch)
  })().catch((error: unknown) => {
    failure = error
  })
  const reached = (position: Position) => until(() => failure !== undefined || (batches.at(-1)?.position ?? -1n) >= position)
  return {
    batches,
    events: () => batches.flatMap((batch) => batch.events),
    reached,
    ended,
    stop: async () => {
      stop.abort()
      await ended
      if (failure !== undefined) throw failure
    },
  }
}

/** Every stream in these events is a whole chain from its first event on. */
export const expectWhole = (events: readonly RecordedEvent[]): void => {
  const heads = new Map<string, Head>()
  for (const event of events) {
    expect(chainFault(event, heads.get(event.stream) ?? emptyHead(event.stream))).toBeUndefined()
    heads.set(event.stream, headAfter(event))
  }
}

const idsOf = (events: readonly { id: string }[]): string[] => events.map((event) => event.id)

const expectInOrder = (positions: readonly Position[]): void => {
  expect(positions.filter((position, index) => index > 0 && position <= (positions[index - 1] ?? 0n))).toEqual([])
}

/** Data that makes the JSON text of an event exactly this many bytes. */
const dataOfSize = (stream: string, bytes: number, character = 'x'): JsonObject => {
  const empty = Buffer.byteLength(JSON.stringify(makeEvents(stream, emptyHead(stream), [{ text: '' }]).events[0]))
  return { text: character.repeat(Math.floor((bytes - empty) / Buffer.byteLength(character))) }
}

/** What every adapter of the port promises. `open` gives a store on an empty log of its own. */
export const eventStoreContract = (name: string, open: () => Promise<StoreUnderTest>): void => {
  describe(`the event store on ${name}`, () => {
    let log: StoreUnderTest
    let store: EventStore
    beforeAll(async () => {
      log = await open()
      store = log.store
    })
    afterAll(() => log.close())

    describe('an append', () => {
      it('opens a stream that is not there, and only such a one', async () => {
        const writer = makeWriter(store)
        expect((await writer.append()).result).toMatchObject({ outcome: 'appended', revision: 0 })
        const { events } = makeEvents(writer.stream, emptyHead(writer.stream))
        expect(await store.append({ stream: writer.stream, expectedRevision: 'no_stream', events })).toEqual({ outcome: 'conflict', actualRevision: 0 })
        expect(await collect(store.readStream(writer.stream))).toHaveLength(1)
      })

      it('takes exactly the expected revision: neither an earlier nor a later one, and says where the stream stands', async () => {
        const writer = makeWriter(store)
        await writer.append([{}, {}, {}])
        for (const revision of [0, 1, 3, 99]) {
          const { events } = makeEvents(writer.stream, { ...writer.head(), revision })
          expect(await store.append({ stream: writer.stream, expectedRevision: revision, events })).toEqual({ outcome: 'conflict', actualRevision: 2 })
        }
        expect((await writer.append()).result).toMatchObject({ outcome: 'appended', revision: 3 })
      })

      it('to a revision of a stream that is not there is a conflict that says so', async () => {
        const stream = newStream()
        const { events } = makeEvents(stream, { ...emptyHead(stream), revision: 4 })
        expect(await store.append({ stream, expectedRevision: 4, events })).toEqual({ outcome: 'conflict', actualRevision: 'no_stream' })
        expect(await collect(store.readStream(stream))).toEqual([])
      })

      it('of several events appends all, next to each other, and answers with the last', async () => {
        const writer = makeWriter(store)
        const { request, result } = await writer.append(times(5, (n) => ({ n })))
        const read = await collect(store.readStream(writer.stream))
        expect(idsOf(read)).toEqual(idsOf(request.events))
        expect(read.map((event) => event.revision)).toEqual([0, 1, 2, 3, 4])
        expect(result).toEqual({ outcome: 'appended', revision: 4, position: read[4]?.position })
      })

      it('of several events that conflicts appends none', async () => {
        const writer = makeWriter(store)
        await writer.append()
        const stale = makeEvents(writer.stream, emptyHead(writer.stream), [{}, {}, {}])
        expect(await store.append({ stream: writer.stream, expectedRevision: 'no_stream', events: stale.events })).toMatchObject({ outcome: 'conflict' })
        expect(await collect(store.readStream(writer.stream))).toHaveLength(1)
      })

      it('gives one of many simultaneous writers to a place the place, and the others the conflict', async () => {
        const stream = newStream()
        const results = await Promise.all(times(20, () => store.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream)).events })))
        expect(results.filter((result) => result.outcome === 'appended')).toHaveLength(1)
        expect(results.filter((result) => result.outcome === 'conflict' && result.actualRevision === 0)).toHaveLength(19)
      })

      it('sent again to the same place answers as the first time, at once and long after', async () => {
        const writer = makeWriter(store)
        await writer.append([{}, {}])
        const { request, result } = await writer.append([{ n: 1 }, { n: 2 }, { n: 3 }])
        expect(await store.append(request)).toEqual(result)
        await Promise.all(times(40, () => makeWriter(store).append()))
        await inTurn(10, (n) => writer.append([{ n }]))
        const head = await store.head()
        expect(await store.append(request)).toEqual(result)
        expect(await store.head()).toBe(head)
        expect(await collect(store.readStream(writer.stream))).toHaveLength(15)
      })

      it('sent twice at once is there once, and both answers are the same', async () => {
        const stream = newStream()
        const request = { stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream), [{}, {}]).events } as const
        const [first, ...others] = await Promise.all(times(5, () => store.append(request)))
        expect(first).toMatchObject({ outcome: 'appended', revision: 1 })
        for (const other of others) expect(other).toEqual(first)
        expect(await collect(store.readStream(stream))).toHaveLength(2)
      })

      it('sent again by another process answers as the first time', async () => {
        if (!log.reopen) return
        const { request, result } = await makeWriter(store).append([{}, {}])
        const other = await log.reopen()
        expect(await other.append(request).finally(() => other.close())).toEqual(result)
      })

      it('is carried out however soon after the one before it comes', async () => {
        const writer = makeWriter(store)
        await inTurn(30, async (steps) => {
          await writer.append()
          await inTurn(steps, () => Promise.resolve())
        })
        expect(writer.head().revision).toBe(29)
      })

      it('that cannot be stored fails alone: its neighbours are appended', async () => {
        const bad = newStream()
        const spoilt = makeEvents(bad, emptyHead(bad)).events.map((event) => ({ ...event, id: 'not-a-uuid' }))
        const good = times(10, () => makeWriter(store))
        const before = good.slice(0, 5).map((writer) => writer.append())
        const refused = expect(store.append({ stream: bad, expectedRevision: 'no_stream', events: spoilt })).rejects.toThrow()
        const after = good.slice(5).map((writer) => writer.append([{}, {}]))
        await refused
        for (const { result } of await Promise.all([...before, ...after])) expect(result.outcome).toBe('appended')
        expect(await collect(store.readStream(bad))).toEqual([])
      })

      it('of no events, or to what is no stream name, is refused by a rejected promise', async () => {
        const stream = newStream()
        await store.append({ stream, expectedRevision: 'no_stream', events: [] }).then(() => expect.fail('accepted'), (error: unknown) => expect(error).toBeInstanceOf(TypeError))
        for (const wrong of ['', 'contract', '-1', 'no kind-1', 'contract-', 'contract-王', 'contract-a\u0000']) {
          await store.append({ stream: wrong, expectedRevision: 'no_stream', events: makeEvents(wrong, emptyHead(wrong)).events }).then(() => expect.fail(`accepted ${wrong}`), (error: unknown) => expect(error).toBeInstanceOf(TypeError))
        }
        expect((await makeWriter(store).append()).result.outcome).toBe('appended')
      })

      it('keeps content to the letter: the hash computed from what is read fits', async () => {
        const data: JsonObject = {
          text: '王小明 "quoted" \\ / \b\f\n\r\t \u0000 \u2028 😀 é', numbers: [0, -1, 1.5, 1e21, 1e-7, 9007199254740991, 0.1 + 0.2], empty: { object: {}, list: [], text: '' },
          nested: [[['深']], { 'a/b~c': null, '': true, '\u20ac': false, 10: 'ten', 9: 'nine' }], constructor: 'not special',
        }
        const writer = makeWriter(store)
        const { request } = await writer.append([data, { again: data }])
        const read = await collect(store.readStream(writer.stream))
        expect(read[0]?.data).toEqual(data)
        expect(read.map(({ id, type, data: kept, metadata }) => ({ id, type, data: kept, metadata }))).toEqual(request.events)
        expectWhole(read)
      })

      it('keeps optional metadata, and metadata a later version adds', async () => {
        const stream = newStream()
        const more = { onBehalfOf: 'wang', traceparent: '00-1-2-01', effectiveAt: '2026-01-01T00:00:00.000Z', policies: [{ name: 'stages', version: 2, unforeseen: [1] }], unforeseen: { yes: true } }
        const { events } = makeEvents(stream, emptyHead(stream), [{}], more)
        await store.append({ stream, expectedRevision: 'no_stream', events })
        const read = await collect(store.readStream(stream))
        expect(read[0]?.metadata).toEqual(events[0]?.metadata)
        expect(read[0]?.metadata).toMatchObject(more)
        expectWhole(read)
      })
    })

    describe('a large append', () => {
      it('is accepted close to the limit, alone and among many', async () => {
        const writers = times(8, () => makeWriter(store))
        const results = await Promise.all(writers.map((writer) => writer.append([dataOfSize(writer.stream, MAX_APPEND_BYTES - 2048)])))
        for (const { result } of results) expect(result.outcome).toBe('appended')
        const [first] = writers
        const [read] = await collect(store.readStream(first?.stream ?? ''))
        expect(read && JSON.stringify(read.data).length).toBeGreaterThan(MAX_APPEND_BYTES - 4096)
        expectWhole(read ? [read] : [])
      })

      it('beyond the limit is refused as too large, counted in bytes and over all its events, and nothing else fails with it', async () => {
        const neighbours = times(4, () => makeWriter(store).append())
        const refuse = async (data: (stream: string) => JsonObject[]) => {
          const stream = newStream()
          const { events } = makeEvents(stream, emptyHead(stream), data(stream))
          await expect(store.append({ stream, expectedRevision: 'no_stream', events })).rejects.toBeInstanceOf(AppendTooLarge)
          expect(await collect(store.readStream(stream))).toEqual([])
        }
        await Promise.all([
          refuse((stream) => [dataOfSize(stream, MAX_APPEND_BYTES + 1)]),
          refuse((stream) => [dataOfSize(stream, MAX_APPEND_BYTES + 4, '王')]),
          refuse((stream) => times(4, () => dataOfSize(stream, MAX_APPEND_BYTES / 4 + 100))),
          refuse(() => [{ text: 'x'.repeat(3 * 1024 * 1024) }]),
        ])
        for (const { result } of await Promise.all(neighbours)) expect(result.outcome).toBe('appended')
        expect((await makeWriter(store).append()).result.outcome).toBe('appended')
      })
    })

    describe('a receipt', () => {
      it('is there with its append, and tells the position of the last event', async () => {
        const writer = makeWriter(store)
        const receipt = makeReceipt([writer.stream, newStream('identity')], { name: '甲', list: [1, { deep: null }] })
        const { result } = await writer.append([{}, {}], receipt)
        expect(result.outcome).toBe('appended')
        const [, last] = await collect(store.readStream(writer.stream))
        expect(await store.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: last?.position })
      })

      it('is not there when its append conflicts', async () => {
        const writer = makeWriter(store)
        await writer.append()
        const receipt = makeReceipt([writer.stream])
        const { events } = makeEvents(writer.stream, emptyHead(writer.stream))
        expect(await store.append({ stream: writer.stream, expectedRevision: 'no_stream', events, receipt })).toMatchObject({ outcome: 'conflict' })
        expect(await store.receipts.find(receipt.commandId)).toBeUndefined()
        expect(await store.receipts.find(uuidv7())).toBeUndefined()
      })

      it('that is there keeps a second append of the command out, on the same stream and on another, and answers', async () => {
        const writer = makeWriter(store)
        const receipt = makeReceipt([writer.stream], { first: true })
        const { request } = await writer.append([{}], receipt)
        const kept = await store.receipts.find(receipt.commandId)
        const head = await store.head()
        const second = { ...receipt, commandHash: sha256('other'), answer: { first: false } }
        const here = makeEvents(writer.stream, writer.head())
        expect(await store.append({ stream: writer.stream, expectedRevision: 0, events: here.events, receipt: second })).toEqual({ outcome: 'answered', receipt: kept })
        const there = newStream()
        expect(await store.append({ stream: there, expectedRevision: 'no_stream', events: makeEvents(there, emptyHead(there)).events, receipt: second })).toEqual({ outcome: 'answered', receipt: kept })
        expect(await store.append(request)).toEqual({ outcome: 'answered', receipt: kept })
        expect(await store.head()).toBe(head)
      })

      it('lets one of many simultaneous appends of a command in, whatever their streams; the others get its receipt', async () => {
        const receipt = makeReceipt([])
        const streams = times(12, () => newStream())
        const results = await Promise.all(streams.map((stream, n) => store.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream)).events, receipt: { ...receipt, answer: { n } } })))
        expect(results.filter((result) => result.outcome === 'appended')).toHaveLength(1)
        const kept = await store.receipts.find(receipt.commandId)
        const winner = results.findIndex((result) => result.outcome === 'appended')
        expect(kept?.answer).toEqual({ n: winner })
        for (const result of results) if (result.outcome !== 'appended') expect(result).toEqual({ outcome: 'answered', receipt: kept })
      })

      it('recorded without an append has no position, and the first one stands', async () => {
        const receipt = makeReceipt([newStream()], { n: 1 })
        expect(await store.receipts.record(receipt, makeAttempt(receipt.commandId))).toEqual({ ...receipt, position: null })
        expect(await store.receipts.record({ ...receipt, status: 409, answer: { n: 2 } }, makeAttempt(receipt.commandId))).toEqual({ ...receipt, position: null })
        expect(await store.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: null })
      })

      it('recorded by many at once is one: all get the same answer', async () => {
        const receipt = makeReceipt([])
        const answers = await Promise.all(times(20, (n) => store.receipts.record({ ...receipt, answer: { n } }, makeAttempt(receipt.commandId))))
        const kept = await store.receipts.find(receipt.commandId)
        for (const answer of answers) expect(answer).toEqual(kept)
      })

      it('is one for a command that appends here and is refused there at the same moment', async () => {
        await Promise.all(times(40, async () => {
          const writer = makeWriter(store)
          const receipt = makeReceipt([writer.stream])
          const [appended, recorded] = await Promise.all([
            writer.append([{}], { ...receipt, answer: { by: 'append' } }),
            store.receipts.record({ ...receipt, answer: { by: 'record' } }),
          ])
          const kept = await store.receipts.find(receipt.commandId)
          expect(recorded).toEqual(kept)
          const events = await collect(store.readStream(writer.stream))
          if (kept?.answer['by'] === 'append') expect([appended.result.outcome, events.length]).toEqual(['appended', 1])
          else expect([appended.result, events.length]).toEqual([{ outcome: 'answered', receipt: kept }, 0])
        }))
      })

      it('is not made for an attempt that may be tried again', async () => {
        const attempt = makeAttempt()
        await store.receipts.recordAttempt(attempt)
        expect(await store.receipts.find(attempt.commandId)).toBeUndefined()
      })
    })

    describe('reading', () => {
      it('gives a stream in order, whole and from a revision on, and an unknown one empty', async () => {
        const writer = makeWriter(store)
        await inTurn(8, (n) => writer.append(times(100 + n, (index) => ({ index }))))
        const all = await collect(store.readStream(writer.stream))
        expect(all.map((event) => event.revision)).toEqual(times(828, (n) => n))
        expectInOrder(all.map((event) => event.position))
        expectWhole(all)
        expect(await collect(store.readStream(writer.stream, { fromRevision: 813 }))).toEqual(all.slice(813))
        for (const fromRevision of [828, 2 ** 31 - 1]) expect(await collect(store.readStream(writer.stream, { fromRevision }))).toEqual([])
        expect(await collect(store.readStream(newStream()))).toEqual([])
      })

      it('gives a long stream to its last event, wherever pages end', async () => {
        const writer = makeWriter(store)
        for (const length of [500, 501, 2500, 2501]) {
          while (writer.head().revision + 1 < length) await writer.append(times(Math.min(250, length - writer.head().revision - 1), (index) => ({ index })))
          const all = await collect(store.readStream(writer.stream))
          expect(all.map((event) => event.revision)).toEqual(times(length, (n) => n))
          for (const fromRevision of [1, 499, 500, 501, length - 1].filter((revision) => revision < length)) expect(await collect(store.readStream(writer.stream, { fromRevision }))).toEqual(all.slice(fromRevision))
        }
      })

      it('gives the whole log as the union of its streams, in one order, and says when it is at the end', async () => {
        const before = await store.head()
        const writers = times(10, () => makeWriter(store))
        const acknowledged = await Promise.all(writers.flatMap((writer) => [writer.append([{}, {}])]))
        for (const writer of writers) await writer.append()
        const batches = await collect(store.readAll({ after: before, batchSize: 4 }))
        const events = batches.flatMap((batch) => batch.events)
        expectInOrder(events.map((event) => event.position))
        expectWhole(events)
        for (const writer of writers) expect(events.filter((event) => event.stream === writer.stream)).toEqual(await collect(store.readStream(writer.stream)))
        expect(new Set(events.map((event) => event.stream))).toEqual(new Set(writers.map((writer) => writer.stream)))
        expect(events).toHaveLength(30)
        for (const { result, ids } of acknowledged) if (result.outcome === 'appended') expect(events.find((event) => event.position === result.position)?.id).toBe(ids[1])
        expect(Math.max(...batches.map((batch) => batch.events.length))).toBeLessThanOrEqual(4)
        for (const batch of batches) for (const event of batch.events) expect(event.position <= batch.position).toBe(true)
        expectInOrder(batches.map((batch) => batch.position))
        expect(batches.map((batch) => batch.caughtUp)).toEqual(batches.map((_, index) => index === batches.length - 1))
      })

      it('of some kinds gives just those, and its position passes the rest', async () => {
        const before = await store.head()
        for (const kind of ['alpha', 'beta', 'alphabet', 'gamma', 'beta', 'alpha', 'alphabet']) await makeWriter(store, newStream(kind)).append([{}, {}])
        const kinds = async (...wanted: string[]) => (await readLog(store, { after: before, kinds: wanted, batchSize: 3 })).map((event) => kindOf(event.stream))
        expect(await kinds('alpha')).toEqual(['alpha', 'alpha', 'alpha', 'alpha'])
        expect(await kinds('gamma', 'beta')).toEqual(['beta', 'beta', 'gamma', 'gamma', 'beta', 'beta'])
        expect(await kinds('nothing')).toEqual([])
        const batches = await collect(store.readAll({ after: before, kinds: ['gamma'] }))
        expect(batches.at(-1)).toMatchObject({ position: await store.head(), caughtUp: true })
      })

      it('of some types gives just those, alone or within kinds, and its position passes the rest', async () => {
        const before = await store.head()
        for (const [kind, type] of [['alpha', 'One'], ['alpha', 'Other'], ['beta', 'Other'], ['beta', 'One']] as const) await makeWriter(store, newStream(kind), type).append([{}, {}])
        const read = async (wanted: { kinds?: string[]; types: string[] }) => (await readLog(store, { after: before, ...wanted, batchSize: 2 })).map(({ stream, type }) => `${kindOf(stream)} ${type}`)
        expect(await read({ types: ['One'] })).toEqual(['alpha One', 'alpha One', 'beta One', 'beta One'])
        expect(await read({ types: ['Other', 'One'], kinds: ['beta'] })).toEqual(['beta Other', 'beta Other', 'beta One', 'beta One'])
        expect(await read({ types: ['Nothing'] })).toEqual([])
        const batches = await collect(store.readAll({ after: before, types: ['Other'] }))
        expect(batches.at(-1)).toMatchObject({ position: await store.head(), caughtUp: true })
      })

      it('starts after a position: nothing from before it, nothing between left out', async () => {
        const before = await store.head()
        await Promise.all(times(6, () => makeWriter(store).append([{}, {}])))
        const all = await readLog(store, { after: before })
        for (const [index, event] of all.entries()) expect(idsOf(await readLog(store, { after: event.position }))).toEqual(idsOf(all.slice(index + 1)))
      })

      it('finds the event at a position, and none beyond the end', async () => {
        const writer = makeWriter(store)
        await writer.append([{ n: 1 }, { n: 2 }])
        for (const event of await collect(store.readStream(writer.stream))) expect(await store.eventAt(event.position)).toEqual(event)
        expect(await store.eventAt((await store.head()) + 1_000_000n)).toBeUndefined()
      })

      it('knows where the log ends', async () => {
        const { result } = await makeWriter(store).append([{}, {}])
        expect(typeof (await store.head())).toBe('bigint')
        expect(result).toMatchObject({ position: await store.head() })
      })

      it('finds an empty log empty', async () => {
        const empty = await open()
        try {
          expect(await empty.store.head()).toBe(0n)
          expect(await readLog(empty.store, { after: 0n })).toEqual([])
          expect(await empty.store.eventAt(1n)).toBeUndefined()
          const subscriber = follow(empty.store, { after: 0n })
          await until(() => subscriber.batches.length > 0)
          expect(subscriber.batches).toEqual([{ events: [], position: 0n, caughtUp: true }])
          const { request } = await makeWriter(empty.store).append()
          await until(() => subscriber.events().length > 0)
          expect(idsOf(subscriber.events())).toEqual(idsOf(request.events))
          await subscriber.stop()
        } finally {
          await empty.close()
        }
      })
    })

    describe('a subscription', () => {
      it('gives its first batch at once, empty when there is nothing new', async () => {
        const head = await store.head()
        const started = performance.now()
        const subscriber = follow(store, { after: head })
        await until(() => subscriber.batches.length > 0)
        expect(performance.now() - started).toBeLessThan(900)
        expect(subscriber.batches).toEqual([{ events: [], position: head, caughtUp: true }])
        await subscriber.stop()
      })

      it('gives what is appended soon after, not at its next look', async () => {
        const subscriber = follow(store, { after: await store.head() })
        await until(() => subscriber.batches.length > 0)
        const delays: number[] = []
        await inTurn(10, async () => {
          const { result } = await makeWriter(store).append()
          const started = performance.now()
          if (result.outcome === 'appended') await subscriber.reached(result.position)
          delays.push(performance.now() - started)
        })
        await subscriber.stop()
        expect(delays.toSorted((a, b) => a - b)[5]).toBeLessThan(300)
      })

      it('tells when it has caught up, also when the last batch was full', async () => {
        const before = await store.head()
        const { result } = await makeWriter(store).append(times(6, () => ({})))
        const head = await store.head()
        for (const batchSize of [1, 2, 3, 6, 7]) {
          const subscriber = follow(store, { after: before, batchSize })
          await until(() => subscriber.batches.some((batch) => batch.caughtUp && batch.position >= head))
          await subscriber.stop()
          expect(subscriber.events()).toHaveLength(6)
          expect(subscriber.batches.findIndex((batch) => batch.caughtUp)).toBeGreaterThanOrEqual(Math.ceil(6 / batchSize) - 1)
        }
        expect(result.outcome).toBe('appended')
      })

      it('of 24 writers’ events misses none, doubles none and keeps their order, whatever its batches and kinds', async () => {
        const before = await store.head()
        const subscribers = { all: follow(store, { after: before }), small: follow(store, { after: before, batchSize: 7 }), some: follow(store, { after: before, kinds: ['shared'] }), typed: follow(store, { after: before, kinds: ['own'], types: ['Told'], batchSize: 3 }), nobody: follow(store, { after: before, types: ['Nothing'] }) }
        const shared = times(4, () => newStream('shared'))
        const written: string[] = []
        let conflicts = 0
        await Promise.all(times(24, async (number) => {
          const own = makeWriter(store, newStream('own'), number % 2 === 0 ? 'Told' : 'Noted')
          await inTurn(30, async (round) => {
            if (round % 3 === 0) {
              const done = await contend(store, shared[(number + round) % shared.length] ?? '')
              conflicts += done.conflicts
              written.push(done.id)
            } else {
              const { result, ids } = await own.append(times(1 + (round % 2), (n) => ({ n })))
              expect(result.outcome).toBe('appended')
              written.push(...ids)
            }
          })
        }))
        const late = follow(store, { after: before, batchSize: 100 })
        const end = await store.head()
        const events = await readLog(store, { after: before })
        expect(conflicts).toBeGreaterThan(0)
        expect(idsOf(events).toSorted()).toEqual(written.toSorted())
        expectInOrder(events.map((event) => event.position))
        expectWhole(events)
        for (const subscriber of [...Object.values(subscribers), late]) {
          await subscriber.reached(end)
          await subscriber.stop()
        }
        const ids = idsOf(events)
        expect(idsOf(subscribers.all.events())).toEqual(ids)
        expect(idsOf(subscribers.small.events())).toEqual(ids)
        expect(idsOf(late.events())).toEqual(ids)
        expect(idsOf(subscribers.some.events())).toEqual(idsOf(events.filter((event) => kindOf(event.stream) === 'shared')))
        expect(idsOf(subscribers.typed.events())).toEqual(idsOf(events.filter(({ type }) => type === 'Told')))
        expect(subscribers.nobody.events()).toEqual([])
        for (const batch of subscribers.typed.batches) expect(batch.events.length).toBeLessThanOrEqual(3)
        for (const batch of subscribers.small.batches) expect(batch.events.length).toBeLessThanOrEqual(7)
      })

      it('resumes at a checkpoint: read in pieces by one process after another, every event comes once', async () => {
        const before = await store.head()
        let writing = true
        const written = Promise.all(times(6, async () => {
          const writer = makeWriter(store)
          const ids: string[] = []
          await inTurn(20, async () => ids.push(...(await writer.append()).ids))
          return ids
        })).finally(() => {
          writing = false
        })
        const seen: string[] = []
        let checkpoint = before
        for (let piece = 0; writing || checkpoint < (await store.head()); piece += 1) {
          const reader = piece % 3 === 2 && log.reopen ? await log.reopen() : undefined
          const stop = new AbortController()
          let batches = 0
          for await (const batch of (reader ?? store).subscribe({ after: checkpoint, batchSize: 5, signal: stop.signal })) {
            seen.push(...idsOf(batch.events))
            checkpoint = batch.position
            batches += 1
            if (batches === 4 || batch.caughtUp) break
          }
          stop.abort()
          await reader?.close()
        }
        expect(seen.toSorted()).toEqual((await written).flat().toSorted())
        expect(seen).toEqual(idsOf(await readLog(store, { after: before })))
      })

      it('ends when its signal aborts: while it waits, while events come, and before it began', async () => {
        const waiting = follow(store, { after: await store.head() })
        await until(() => waiting.batches.length > 0)
        const started = performance.now()
        await waiting.stop()
        expect(performance.now() - started).toBeLessThan(900)

        const busy = follow(store, { after: 0n, batchSize: 1 })
        await until(() => busy.batches.length > 2)
        await busy.stop()
        const got = busy.batches.length
        await makeWriter(store).append()
        expect(busy.batches).toHaveLength(got)

        expect(await collect(store.subscribe({ after: 0n, signal: AbortSignal.abort() }))).toEqual([])
      })

      it('that its reader leaves does not hold up the others', async () => {
        const after = await store.head()
        const staying = follow(store, { after })
        const leaving = store.subscribe({ after, signal: new AbortController().signal })[Symbol.asyncIterator]()
        await leaving.next()
        await leaving.return?.()
        const { result } = await makeWriter(store).append()
        if (result.outcome === 'appended') await staying.reached(result.position)
        await staying.stop()
        expect(staying.events()).toHaveLength(1)
      })
    })

    describe('when connections are cut', () => {
      // A reader may still meet a connection that was cut a moment ago.
      afterEach(async () => {
        await vi.waitFor(() => Promise.all(times(20, () => store.head())))
      })

      it('every append while writers go on is there exactly once, its outcome known, and a subscriber misses none', async () => {
        const before = await store.head()
        const subscriber = follow(store, { after: before })
        const filtered = follow(store, { after: before, kinds: ['cut'], batchSize: 3 })
        const written: string[] = []
        const writing = Promise.all(times(12, async (number) => {
          const writer = makeWriter(store, newStream(number % 2 === 0 ? 'cut' : 'uncut'))
          await inTurn(30, async (round) => {
            const receipt = round % 2 === 0 ? makeReceipt([writer.stream], { round }) : undefined
            const { result, ids } = await writer.append([{ round }, {}], receipt)
            if (result.outcome === 'conflict') expect.fail('a lone writer met a conflict')
            if (result.outcome === 'answered') expect(result.receipt).toMatchObject({ commandId: receipt?.commandId, answer: { round } })
            else expect(result.revision).toBe(2 * round + 1)
            written.push(...ids)
          })
        }))
        for (const goal of [40, 200, 350, 500, 650]) {
          await until(() => written.length >= goal)
          await log.cutConnections()
        }
        await writing
        await log.cutConnections()
        const events = await vi.waitFor(() => readLog(store, { after: before }), { timeout: 5000 })
        expect(idsOf(events).toSorted()).toEqual(written.toSorted())
        expectWhole(events)
        await subscriber.reached(events.at(-1)?.position ?? 0n)
        await filtered.reached(events.at(-1)?.position ?? 0n)
        await subscriber.stop()
        await filtered.stop()
        expect(idsOf(subscriber.events())).toEqual(idsOf(events))
        expect(idsOf(filtered.events())).toEqual(idsOf(events.filter((event) => kindOf(event.stream) === 'cut')))
      })

      it('a subscription that was idle comes back by itself', async () => {
        const subscriber = follow(store, { after: await store.head() })
        await until(() => subscriber.batches.length > 0)
        await inTurn(3, async () => {
          await log.cutConnections()
          const { result } = await makeWriter(store).append()
          if (result.outcome === 'appended') await subscriber.reached(result.position)
        })
        await subscriber.stop()
        expect(subscriber.events()).toHaveLength(3)
      })

      it('a read or a receipt either comes through or says the store is unavailable, and comes through when asked again', async () => {
        const writer = makeWriter(store)
        await writer.append(times(20, (n) => ({ n })))
        const head = await store.head()
        const beforeLast = (await collect(store.readStream(writer.stream)))[18]?.position ?? expect.fail('not all were appended')
        let done = 0
        const patiently = async <T>(ask: () => Promise<T>): Promise<T> => {
          for (let attempt = 0; ; attempt += 1) {
            try {
              return await ask()
            } catch (error) {
              expect(error).toBeInstanceOf(EventStoreUnavailable)
              if (attempt > 200) throw error
            }
          }
        }
        const asking = Promise.all(times(8, async () => {
          await inTurn(40, async (n) => {
            const receipt = makeReceipt([], { n })
            expect(await patiently(() => store.receipts.record(receipt, makeAttempt(receipt.commandId)))).toEqual({ ...receipt, position: null })
            await patiently(() => store.receipts.recordAttempt(makeAttempt()))
            expect(await patiently(() => collect(store.readStream(writer.stream)))).toHaveLength(20)
            expect(await patiently(() => store.head())).toBe(head)
            expect(await patiently(() => store.eventAt(head))).toMatchObject({ stream: writer.stream, revision: 19 })
            expect(idsOf(await patiently(() => readLog(store, { after: beforeLast })))).toHaveLength(1)
            done += 1
          })
        }))
        for (const goal of [20, 90, 160, 230, 300]) {
          await until(() => done >= goal)
          await log.cutConnections()
        }
        await asking
      })
    })

    describe('closing', () => {
      it('ends subscriptions, also one that has only just begun, and lets no append hang', async () => {
        const { reopen } = log
        if (!reopen) return
        await inTurn(6, async (round) => {
          const other = await reopen()
          const subscriber = follow(other, { after: await other.head() })
          const idle = round % 2 === 0
          if (idle) await until(() => subscriber.batches.length > 0)
          const appended = idle ? undefined : makeWriter(other).append()
          const started = performance.now()
          await other.close()
          await subscriber.ended
          expect(performance.now() - started).toBeLessThan(2000)
          await appended?.then(({ result }) => expect(result.outcome).toBe('appended'), (error: unknown) => expect(error).toBeInstanceOf(EventStoreUnavailable))
          await expect(makeWriter(other).append()).rejects.toBeInstanceOf(EventStoreUnavailable)
        })
      })
    })
  })
}
