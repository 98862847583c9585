import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Batch, EventStore, ReadAllOptions } from '../../src/event-store/port.ts'
import { shareLog } from '../../src/projections/shared-log.ts'
import { eventStoreContract, follow, makeWriter, times } from '../event-store/contract.ts'
import { makeMemoryStore } from '../support/memory-store.ts'
import { makeRuntime } from '../support/runtime.ts'

const share = (store: EventStore): EventStore => shareLog(store, makeRuntime(store).codec, ['contract'], 200)

eventStoreContract('shared', async () => {
  const store = makeMemoryStore()
  return { store: share(store), cutConnections: async () => undefined, close: () => store.close() }
})

describe('a log that several read models share', () => {
  let store: ReturnType<typeof makeMemoryStore>
  let fetched: bigint[]
  let fail: Error | undefined
  let shared: EventStore
  beforeEach(() => {
    store = makeMemoryStore()
    fetched = []
    fail = undefined
    const seen = async function* (batches: AsyncIterable<Batch>) {
      for await (const batch of batches) {
        if (fail) throw fail
        fetched.push(...batch.events.map((event) => event.position))
        yield batch
      }
    }
    shared = share({ ...store, subscribe: (options) => seen(store.subscribe(options)), readAll: (options) => seen(store.readAll(options)) })
  })
  afterEach(() => store.close())

  const write = async (count: number) => {
    const { append } = makeWriter(store)
    for (let at = 0; at < count; at += 50) await append(times(Math.min(50, count - at), (n) => ({ n })))
    return store.head()
  }
  const positions = (to: bigint, from = 1n) => times(Number(to - from) + 1, (index) => from + BigInt(index))
  /** Reads, and stops after its first batch until it is released. */
  const holding = (options: ReadAllOptions) => {
    const release = Promise.withResolvers<void>()
    const got: bigint[] = []
    const stop = new AbortController()
    const done = (async () => {
      for await (const batch of shared.subscribe({ ...options, signal: stop.signal })) {
        got.push(...batch.events.map((event) => event.position))
        await release.promise
      }
    })()
    return { got, release: release.resolve, stop: () => (stop.abort(), done) }
  }

  it('is fetched once, however many read it from the same place on, and stays so as it grows', async () => {
    const first = await write(30)
    const readers = times(5, () => follow(shared, { after: 0n, batchSize: 7 }))
    for (const reader of readers) await reader.reached(first)
    const last = await write(20)
    for (const reader of readers) {
      await reader.reached(last)
      await reader.stop()
      expect(reader.events().map((event) => event.position)).toEqual(positions(last))
    }
    expect(fetched).toEqual(positions(last))
  })

  it('is not held up by a reader that hangs, who later reads on by itself, missing nothing', async () => {
    const last = await write(8000)
    const slow = holding({ after: 0n, batchSize: 100 })
    const quick = follow(shared, { after: 0n, batchSize: 100 })
    await quick.reached(last)
    expect(quick.events().map((event) => event.position)).toEqual(positions(last))
    expect(slow.got.length).toBeLessThan(1000)
    slow.release()
    await expect.poll(() => slow.got.length).toBe(Number(last))
    expect(slow.got).toEqual(positions(last))
    await Promise.all([quick.stop(), slow.stop()])
  })

  it('goes where the furthest reader is; who begins far behind catches up with it', async () => {
    const middle = await write(20)
    const late = follow(shared, { after: 0n, batchSize: 5 })
    const ahead = follow(shared, { after: middle, batchSize: 5 })
    const last = await write(20)
    await Promise.all([late.reached(last), ahead.reached(last)])
    const before = fetched.length
    const end = await write(10)
    await Promise.all([late.reached(end), ahead.reached(end)])
    expect(fetched.slice(before)).toEqual(positions(end, last + 1n))
    await Promise.all([late.stop(), ahead.stop()])
    expect(late.events().map((event) => event.position)).toEqual(positions(end))
    expect(ahead.events().map((event) => event.position)).toEqual(positions(end, middle + 1n))
  })

  it('tells every reader when reading fails, and is there again for who begins anew', async () => {
    await write(3)
    fail = new Error('a row that cannot be read')
    const read = async () => {
      for await (const batch of shared.subscribe({ after: 0n, signal: new AbortController().signal })) return batch.events.length
    }
    expect(await Promise.allSettled([read(), read()])).toEqual([{ status: 'rejected', reason: fail }, { status: 'rejected', reason: fail }])
    fail = undefined
    expect(await read()).toBe(3)
  })
})
