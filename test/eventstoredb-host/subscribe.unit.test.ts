import { excludeSystemEvents, streamNameFilter, type EventStoreDBClient, type Position } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type EventStoreDbHost } from './host.ts'
import { connect, newStream, pause, put, times, until, watch } from './support.ts'

let host: EventStoreDbHost
let client: EventStoreDBClient
beforeAll(async () => {
  host = await startHost()
  client = connect(host.url)
})
afterAll(async () => {
  await client.dispose()
  await host.stop()
})

/** Position of the last record, as a client would keep it. */
const lastPosition = (): Position => {
  const position = BigInt(host.log.records.at(-1)?.position ?? 0)
  return { commit: position, prepare: position }
}

describe('a subscription to $all', () => {
  it('is confirmed, catches up, says so, and goes on with what is new', async () => {
    await put(host.log, newStream('before'), 3)
    const watching = watch(client.subscribeToAll())
    await watching.caughtUp()
    const old = host.log.records.length
    expect(watching.seen[0]).toBe('confirmation')
    expect(watching.seen.indexOf('caughtUp')).toBe(1 + old)
    await put(host.log, newStream('after'), 2)
    await until(() => watching.ids.length === host.log.records.length)
    expect(watching.ids).toEqual(host.log.records.map((record) => record.id))
    await watching.stop()
    expect(watching.error()).toBeUndefined()
  })

  it('starts after its position, with the rest of the same append', async () => {
    const stream = newStream()
    await put(host.log, stream, 3)
    const [first] = host.log.records.filter((record) => record.stream === stream)
    const at = BigInt(first?.position ?? 0)
    const watching = watch(client.subscribeToAll({ fromPosition: { commit: at, prepare: at } }))
    await watching.caughtUp()
    expect(watching.streams()).toEqual([stream, stream])
    await watching.stop()
  })

  it('from the end has only what is new, from the last position as well', async () => {
    const after = lastPosition()
    const watching = [watch(client.subscribeToAll({ fromPosition: 'end' })), watch(client.subscribeToAll({ fromPosition: after }))]
    for (const one of watching) await one.caughtUp()
    const stream = newStream()
    await put(host.log, stream)
    for (const one of watching) {
      await until(() => one.streams().length > 0)
      expect(one.streams()).toEqual([stream])
      await one.stop()
    }
  })

  it('from beyond the end is no error: live events come, although their positions are lower', async () => {
    const watching = watch(client.subscribeToAll({ fromPosition: { commit: 10_000_000_000n, prepare: 10_000_000_000n } }))
    await watching.caughtUp()
    const stream = newStream()
    await put(host.log, stream)
    await until(() => watching.streams().length > 0)
    expect(watching.streams()).toEqual([stream])
    await watching.stop()
  })

  it('from a position at which nothing starts is an error', async () => {
    const { commit } = lastPosition()
    const watching = watch(client.subscribeToAll({ fromPosition: { commit: commit - 3n, prepare: commit - 3n } }))
    await until(() => watching.error() !== undefined)
    expect(watching.error()).toMatchObject({ code: 3, message: expect.stringContaining('invalid position') })
    expect(watching.seen).toEqual([])
  })
})

describe('a filtered subscription', () => {
  it('gives what matches, by prefix or by pattern, of streams or of types, caught up and live', async () => {
    const [mine, other] = [newStream('mine'), newStream('other')]
    const type = `Odd${Date.now()}`
    await put(host.log, mine, 2)
    await put(host.log, other, 1, { type })
    const filters = {
      prefix: streamNameFilter({ prefixes: [mine.slice(0, 20)] }),
      pattern: streamNameFilter({ regex: `^${mine}$` }),
      type: { ...excludeSystemEvents(), regex: `^${type}$` },
    }
    const watching = { prefix: watch(client.subscribeToAll({ filter: filters.prefix })), pattern: watch(client.subscribeToAll({ filter: filters.pattern })), type: watch(client.subscribeToAll({ filter: filters.type })) }
    for (const one of Object.values(watching)) await one.caughtUp()
    await put(host.log, mine, 1)
    await put(host.log, other, 1, { type })
    await until(() => Object.values(watching).every((one) => one.streams().length > 1))
    expect(watching.prefix.streams()).toEqual([mine, mine, mine])
    expect(watching.pattern.streams()).toEqual([mine, mine, mine])
    expect(watching.type.streams()).toEqual([other, other])
    for (const one of Object.values(watching)) await one.stop()
  })

  it('tells checkpoints every interval × 32 records, matching or not, while catching up and live', async () => {
    const own = await startHost()
    const reader = connect(own.url)
    await put(own.log, newStream(), 200)
    const checkpoints: Position[] = []
    const filter = streamNameFilter({ prefixes: ['nothing'], checkpointInterval: 2, checkpointReached: (_subscription, position) => void checkpoints.push(position) })
    const watching = watch(reader.subscribeToAll({ filter }))
    await watching.caughtUp()
    const old = own.log.records.length
    const caughtUp = checkpoints.length
    expect(caughtUp).toBe(Math.floor(old / 64))
    await put(own.log, newStream(), 64 - (old % 64))
    await until(() => checkpoints.length > caughtUp)
    const live = checkpoints.at(-1)
    expect(live?.commit).toBe(BigInt(own.log.records[Math.ceil(old / 64) * 64 - 1]?.position ?? 0))
    expect(watching.streams()).toEqual([])
    await watching.stop()
    await reader.dispose()
    await own.stop()
  })

  it('resumed from any of its checkpoints misses nothing and repeats nothing that came before it', async () => {
    const own = await startHost()
    const reader = connect(own.url)
    for (let round = 0; round < 60; round += 1) await put(own.log, newStream(round % 7 === 0 ? 'some' : 'others'), 1 + (round % 5))
    const after: { position: Position; seen: number }[] = []
    const filter = streamNameFilter({ prefixes: ['some'], checkpointInterval: 1, maxSearchWindow: 10, checkpointReached: (_subscription, position) => void after.push({ position, seen: watching.ids.length }) })
    const watching = watch(reader.subscribeToAll({ filter }))
    await watching.caughtUp()
    expect(after.length).toBeGreaterThan(10)
    for (const { position, seen } of after) {
      const resumed = watch(reader.subscribeToAll({ fromPosition: position, filter: streamNameFilter({ prefixes: ['some'] }) }))
      await resumed.caughtUp()
      expect(resumed.ids).toEqual(watching.ids.slice(seen))
      await resumed.stop()
    }
    await watching.stop()
    await reader.dispose()
    await own.stop()
  })
})

describe('a subscription to a stream', () => {
  it('starts after its revision and goes on with what is new', async () => {
    const stream = newStream()
    await put(host.log, stream, 3)
    const watching = watch(client.subscribeToStream(stream, { fromRevision: 0n }))
    await watching.caughtUp()
    expect(watching.ids).toHaveLength(2)
    await put(host.log, stream)
    await put(host.log, newStream())
    await until(() => watching.ids.length === 3)
    await watching.stop()
  })

  it('that is not there yet waits until it is', async () => {
    const stream = newStream()
    const watching = watch(client.subscribeToStream(stream))
    await until(() => watching.seen.includes('confirmation'))
    await pause(80)
    expect(watching.seen).toEqual(['confirmation'])
    await put(host.log, stream, 2)
    await watching.caughtUp()
    expect(watching.ids).toHaveLength(2)
    await watching.stop()
  })
})

describe('a live subscription', () => {
  it('whose consumer does not keep up is dropped as too slow', async () => {
    const subscription = client.subscribeToAll({ fromPosition: 'end' }, { highWaterMark: 1 })
    const watching = watch(subscription)
    await watching.caughtUp()
    subscription.pause()
    for (let round = 0; round < 40 && !watching.error(); round += 1) {
      await put(host.log, newStream(), 20, { bytes: 2_000 })
      await pause(2)
    }
    subscription.resume()
    await until(() => watching.error() !== undefined)
    expect(watching.error()).toMatchObject({ type: 'timeout', code: 10, message: expect.stringContaining('Consumer too slow to handle event while live') })
    expect(watching.ids.length).toBeGreaterThan(0)
  })

  it('that keeps up with many appends is not', async () => {
    const watching = watch(client.subscribeToAll({ fromPosition: 'end' }))
    await watching.caughtUp()
    const before = host.log.records.length
    for (let round = 0; round < 100; round += 1) {
      await Promise.all(times(10, () => put(host.log, newStream())))
      await pause(0)
    }
    await until(() => watching.ids.length === host.log.records.length - before || watching.error() !== undefined)
    expect(watching.error()).toBeUndefined()
    await watching.stop()
  })
})
