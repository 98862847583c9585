import type { EventStoreDBClient, ReadAllOptions } from '@eventstore/db-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type EventStoreDbHost } from './host.ts'
import { collect, connect, event, failure, newStream, put, unary } from './support.ts'

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

const all = async (options: ReadAllOptions = {}) => (await collect(client.readAll(options))).map((one) => one.event)
const commits = async (options: ReadAllOptions = {}) => (await all(options)).map((one) => one?.position.commit)

describe('a stream', () => {
  it('that is not there is not found, whichever way it is read', async () => {
    const stream = newStream()
    expect(await failure(collect(client.readStream(stream)))).toMatchObject({ type: 'stream-not-found', error: { streamName: stream } })
    expect(await failure(collect(client.readStream(stream, { direction: 'backwards', fromRevision: 'end' })))).toMatchObject({ type: 'stream-not-found' })
  })

  it('is read from a revision, forwards and backwards, as many events as asked for; beyond its end it is empty', async () => {
    const stream = newStream()
    await put(host.log, stream, 5)
    const revisions = async (options: Parameters<EventStoreDBClient['readStream']>[1]) => (await collect(client.readStream(stream, options))).map((one) => Number(one.event?.revision))
    expect(await revisions({})).toEqual([0, 1, 2, 3, 4])
    expect(await revisions({ fromRevision: 3n })).toEqual([3, 4])
    expect(await revisions({ fromRevision: 1n, maxCount: 2 })).toEqual([1, 2])
    expect(await revisions({ fromRevision: 5n })).toEqual([])
    expect(await revisions({ direction: 'backwards', fromRevision: 'end', maxCount: 2 })).toEqual([4, 3])
    expect(await revisions({ direction: 'backwards', fromRevision: 2n })).toEqual([2, 1, 0])
  })

  it('shows what was appended: ids, types, data, metadata and when', async () => {
    const stream = newStream()
    const before = Date.now()
    const written = event({ text: '你好' }, { type: 'Greeted', metadata: { by: 'me' } })
    await client.appendToStream(stream, [written], { ...unary, expectedRevision: 'no_stream' })
    const [read] = await collect(client.readStream(stream))
    expect(read?.event).toMatchObject({ id: written.id, type: 'Greeted', data: { text: '你好' }, metadata: { by: 'me' }, isJson: true, streamId: stream, revision: 0n })
    expect(read?.event?.created.getTime()).toBeGreaterThanOrEqual(before)
    expect(read?.commitPosition).toBe(read?.event?.position?.commit)
  })

  it('that was soft-deleted is not found; that was deleted for good says so; $all shows both', async () => {
    const [soft, hard] = [newStream(), newStream()]
    await put(host.log, soft)
    await put(host.log, hard)
    await client.deleteStream(soft)
    await client.tombstoneStream(hard)
    expect(await failure(collect(client.readStream(soft)))).toMatchObject({ type: 'stream-not-found' })
    expect(await failure(collect(client.readStream(hard)))).toMatchObject({ type: 'stream-deleted' })
    const shown = (await all()).map((one) => one?.streamId)
    expect(shown).toEqual(expect.arrayContaining([soft, `$$${soft}`, hard]))
  })

  it('of which only the latest events are kept shows these', async () => {
    const stream = newStream()
    await put(host.log, stream, 6)
    await client.setStreamMetadata(stream, { maxCount: 2 }, unary)
    expect((await collect(client.readStream(stream))).map((one) => one.event?.revision)).toEqual([4n, 5n])
  })
})

describe('$all', () => {
  it('is in the order of positions, which grow like bytes, and has system events among the others', async () => {
    await put(host.log, newStream(), 100)
    const read = await all()
    const positions = read.map((one) => Number(one?.position.commit))
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    expect(positions.slice(1).filter((position, index) => position - (positions[index] ?? 0) < 60)).toEqual([])
    expect(read.filter((one) => one?.streamId.startsWith('$')).map((one) => one?.type)).toEqual(expect.arrayContaining(['$metadata', '$statsCollected']))
  })

  it('from a position includes it; backwards it excludes it; the end is the end', async () => {
    const stream = newStream()
    await put(host.log, stream, 4)
    const everything = await commits()
    const [at] = (await collect(client.readStream(stream, { fromRevision: 2n, maxCount: 1 }))).map((one) => one.event?.position)
    if (!at) return expect.fail('the event is not there')
    const place = everything.indexOf(at.commit)
    const exact = { commit: at.commit, prepare: at.commit }
    expect(at.prepare).toBeLessThan(at.commit)
    expect(await commits({ fromPosition: exact })).toEqual(everything.slice(place))
    expect(await commits({ fromPosition: at })).toEqual(everything.slice(place))
    expect(await commits({ fromPosition: exact, direction: 'backwards' })).toEqual(everything.slice(0, place).toReversed())
    expect(await commits({ fromPosition: 'end', direction: 'backwards', maxCount: 1 })).toEqual(everything.slice(-1))
    expect(await commits({ fromPosition: 'end' })).toEqual([])
    expect(await commits({ fromPosition: 'start', direction: 'backwards' })).toEqual([])
    expect(await commits({ maxCount: 2 })).toEqual(everything.slice(0, 2))
  })

  it('from a position at which nothing starts is an error', async () => {
    await put(host.log, newStream(), 2)
    const first = (await commits())[0] ?? 0n
    const nowhere = { commit: first + 1n, prepare: first + 1n }
    expect(await failure(all({ fromPosition: nowhere }))).toMatchObject({ type: 'unknown', code: 2 })
    expect(await failure(all({ fromPosition: nowhere, direction: 'backwards' }))).toMatchObject({ type: 'unknown' })
  })

  it('from beyond the end is empty forwards, and an error backwards', async () => {
    const beyond = { commit: 10_000_000_000n, prepare: 10_000_000_000n }
    expect(await all({ fromPosition: beyond })).toEqual([])
    expect(await failure(all({ fromPosition: beyond, direction: 'backwards' }))).toMatchObject({ type: 'unknown' })
  })

  it('read slowly comes whole: the server waits for its reader', async () => {
    const own = await startHost()
    const reader = connect(own.url)
    await put(own.log, newStream(), 300, { bytes: 2_000 })
    const stream = reader.readAll({}, { highWaterMark: 1 })
    let read = 0
    for await (const one of stream) {
      if (one.event && read < 3) await new Promise((resolve) => setTimeout(resolve, 20))
      read += 1
    }
    expect(read).toBe(own.log.records.length)
    await reader.dispose()
    await own.stop()
  })
})

describe('a read', () => {
  it('left in the middle does not disturb the next', async () => {
    await put(host.log, newStream(), 500)
    for await (const one of client.readAll()) if (one.event) break
    expect(await commits()).toEqual(host.log.records.map((record) => BigInt(record.position)))
    expect(host.connections()).toBe(1)
  })
})
