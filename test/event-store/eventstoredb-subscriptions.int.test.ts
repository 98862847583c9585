import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kindOf, type Batch, type EventStore, type ReadAllOptions, type RecordedEvent } from '../../src/event-store/port.ts'
import { createLog, startHost, type EventStoreDbHost } from '../eventstoredb-host/host.ts'
import { put } from '../eventstoredb-host/support.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { expectWhole, follow, inTurn, makeWriter, newStream, readLog, until } from './contract.ts'
import { closeAll, keepWriting, openProxy, openStore, pause } from './eventstoredb-support.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

/** A follower that does something with each batch before it takes the next. */
const work = (store: EventStore, options: ReadAllOptions, on: (batch: Batch) => unknown) => {
  const stop = new AbortController()
  const ids: string[] = []
  const ended = (async () => {
    for await (const batch of store.subscribe({ ...options, signal: stop.signal })) {
      ids.push(...batch.events.map(({ id }) => id))
      await on(batch)
    }
  })()
  return {
    ids,
    stop: async () => {
      stop.abort()
      await ended
    },
  }
}

const idsOf = (events: readonly RecordedEvent[]): string[] => events.map(({ id }) => id)
const kinds = ['left', 'right']

const upsets: [string, (host: EventStoreDbHost) => unknown][] = [
  ['the server drops them as too slow', ({ faults }) => inTurn(40, async () => {
    faults.slowConsumers()
    await pause(25)
  })],
  ['connections are dropped every few milliseconds', ({ faults }) => inTurn(12, async (round) => {
    faults.dropConnections()
    await pause(5 + round * 10)
  })],
  ['the server stands still now and then', ({ faults }) => inTurn(4, async (round) => {
    faults.freeze()
    await pause(100 + round * 100)
    faults.thaw()
    await pause(50)
  })],
  ['the server is not ready now and then', ({ faults }) => inTurn(4, async () => {
    faults.notReady(true)
    faults.slowConsumers()
    await pause(150)
    faults.notReady(false)
    await pause(50)
  })],
]

describe.concurrent('while eight writers write, subscribers miss nothing, get nothing twice and in order', () => {
  /** Every way to follow: from before, from the middle, by kinds, in small batches, and one who is held up. */
  const followers = (store: EventStore) => ({
    all: follow(store, { after: 0n }),
    small: follow(store, { after: 0n, batchSize: 3 }),
    left: follow(store, { after: 0n, kinds: ['left'] }),
    none: follow(store, { after: 0n, kinds: ['neither'] }),
  })
  const check = async (store: EventStore, subscribers: ReturnType<typeof followers>): Promise<RecordedEvent[]> => {
    const events = await readLog(store, { after: 0n })
    expectWhole(events)
    const end = events.at(-1)?.position ?? 0n
    for (const subscriber of Object.values(subscribers)) {
      await subscriber.reached(end)
      await subscriber.stop()
    }
    const lefts = idsOf(events.filter(({ stream }) => kindOf(stream) === 'left'))
    expect(lefts.length).toBeGreaterThan(0)
    expect(idsOf(subscribers.all.events())).toEqual(idsOf(events))
    expect(idsOf(subscribers.small.events())).toEqual(idsOf(events))
    expect(idsOf(subscribers.left.events())).toEqual(lefts)
    expect(subscribers.none.events()).toEqual([])
    return events
  }

  it.each(upsets)('when %s', async (_name, upset) => {
    const host = await startHost()
    const store = openStore(host, database)
    const subscribers = followers(store)
    const writers = keepWriting(store, 8, { kind: (number) => kinds[number % 2] ?? '' })
    await writers.more(20)
    const slow = work(store, { after: 0n, batchSize: 20 }, () => pause(3))
    await upset(host)
    await writers.more(20)
    const told = await writers.stop()
    const events = await check(store, subscribers)
    expect(events).toHaveLength(told.reduce((sum, { request }) => sum + request.events.length, 0))
    await until(() => slow.ids.length >= events.length)
    await slow.stop()
    expect(slow.ids).toEqual(idsOf(events))
    await closeAll([store], host)
  })

  it('when the server is stopped and started again with its data', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kehu-eventstoredb-'))
    const file = join(folder, 'log')
    let host = await startHost({ file })
    const store = openStore(host, database)
    const subscribers = followers(store)
    const writers = keepWriting(store, 8, { kind: (number) => kinds[number % 2] ?? '' })
    for (const down of [0, 300]) {
      await writers.more(30)
      await host.stop()
      await pause(down)
      host = await startHost({ file, port: host.port })
    }
    await writers.more(30)
    await writers.stop()
    await check(store, subscribers)
    await closeAll([store], host)
    await rm(folder, { recursive: true })
  })

  it('when one is held up for so long that the store no longer keeps what it lacks; and what the store keeps is bounded', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: unknown = runInNewContext('gc')
    const host = await startHost()
    const store = openStore(host, database)
    const kept: WeakRef<RecordedEvent>[] = []
    const close = work(store, { after: 0n }, ({ events }) => kept.push(...events.map((event) => new WeakRef(event))))
    let letGo: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const slow = work(store, { after: 0n, batchSize: 50 }, () => held)
    const slowLeft = work(store, { after: 0n, batchSize: 50, kinds: ['left'] }, () => held)
    await pause(50)
    const writers = keepWriting(store, 8, { kind: (number) => kinds[number % 2] ?? '', events: 25 })
    await writers.more(400)
    await writers.stop()
    const { length } = await readLog(store, { after: 0n })
    expect(length).toBeGreaterThan(8000)
    await until(() => close.ids.length === length)
    await pause(20)
    if (typeof collectGarbage === 'function') Reflect.apply(collectGarbage, undefined, [])
    const alive = kept.filter((event) => event.deref() !== undefined).length
    expect(alive).toBeGreaterThan(0)
    expect(alive).toBeLessThan(4500)
    letGo()
    await until(() => slow.ids.length >= length)
    const events = await readLog(store, { after: 0n })
    const lefts = idsOf(events.filter(({ stream }) => kindOf(stream) === 'left'))
    await until(() => slowLeft.ids.length >= lefts.length)
    for (const one of [close, slow, slowLeft]) await one.stop()
    expect(close.ids).toEqual(idsOf(events))
    expect(slow.ids).toEqual(idsOf(events))
    expect(slowLeft.ids).toEqual(lefts)
    await closeAll([store], host)
  })
})

describe.concurrent('a subscription that has died without a word', () => {
  it('while all else works is noticed within seconds', async () => {
    const log = createLog()
    // Subscriptions opened before this hear nothing of what comes.
    let generation = 0
    const host = await startHost({
      log: {
        ...log,
        onIndexed: (listener) => {
          const own = generation
          return log.onIndexed((records) => {
            if (own === generation) listener(records)
          })
        },
      },
    })
    const store = openStore(host, database)
    const subscriber = follow(store, { after: 0n })
    await makeWriter(store).append()
    await until(() => subscriber.events().length === 1)
    generation += 1
    const started = performance.now()
    const { result } = await makeWriter(store).append()
    if (result.outcome === 'appended') await subscriber.reached(result.position)
    expect(performance.now() - started).toBeGreaterThan(500)
    expect(performance.now() - started).toBeLessThan(4000)
    await subscriber.stop()
    expect(subscriber.events()).toHaveLength(2)
    await closeAll([store], host)
  })

  it('with its connection, which all else shares, is noticed as well, and all else goes on', async () => {
    const host = await startHost()
    const proxy = await openProxy(host.port)
    const [store, writer] = [openStore(proxy, database), openStore(host, database)]
    const subscriber = follow(store, { after: 0n })
    await makeWriter(store).append()
    await until(() => subscriber.events().length === 1)
    proxy.stall()
    const started = performance.now()
    await makeWriter(writer).append()
    const own = makeWriter(store).append([{}], undefined)
    await until(() => subscriber.events().length >= 2, 25_000)
    const noticed = performance.now() - started
    await own
    const appended = performance.now() - started
    await until(() => subscriber.events().length === 3)
    await subscriber.stop()
    expect({ noticed: noticed < 10_000, appended: appended < 10_000 }).toEqual({ noticed: true, appended: true })
    await closeAll([store, writer])
    await proxy.close()
    await host.stop()
  })

  it('is not opened again and again because the last event is another program’s', async () => {
    const log = createLog()
    let opened = 0
    const host = await startHost({
      log: {
        ...log,
        onIndexed: (listener) => {
          opened += 1
          return log.onIndexed(listener)
        },
      },
    })
    const store = openStore(host, database)
    const subscriber = follow(store, { after: 0n })
    await makeWriter(store).append()
    await until(() => subscriber.events().length === 1)
    // Named as Kehu names its streams, and not Kehu's.
    await put(log, newStream('thing'))
    await pause(5000)
    expect(opened).toBe(1)
    await subscriber.stop()
    await closeAll([store], host)
  })
})
