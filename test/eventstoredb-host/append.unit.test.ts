import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AppendToStreamOptions, EventStoreDBClient } from '@eventstore/db-client'
import { startHost, type EventStoreDbHost } from './host.ts'
import { collect, connect, event, failure, newStream, pause, times, unary, until } from './support.ts'

let host: EventStoreDbHost
let client: EventStoreDBClient
beforeAll(async () => {
  host = await startHost({ copyTimeoutMs: 400 })
  client = connect(host.url)
})
afterAll(async () => {
  await client.dispose()
  await host.stop()
})

const paths: [string, AppendToStreamOptions][] = [['batch', {}], ['unary', unary]]

describe.each(paths)('an append on the %s path', (_name, path) => {
  const append = (stream: string, events: ReturnType<typeof event>[], expectedRevision: AppendToStreamOptions['expectedRevision']) =>
    client.appendToStream(stream, events, { ...path, expectedRevision })

  it('of several events has the position of the last, and each event one of its own', async () => {
    const stream = newStream()
    const { nextExpectedRevision, position } = await append(stream, times(3, () => event()), 'no_stream')
    const read = await collect(client.readStream(stream))
    const positions = read.map((one) => one.event?.position)
    expect(nextExpectedRevision).toBe(2n)
    expect(positions.map((one) => one?.prepare)).toEqual(times(3, () => positions[0]?.commit))
    expect(position).toEqual({ commit: positions[2]?.commit, prepare: positions[2]?.commit })
    expect(Number(positions[1]?.commit) - Number(positions[0]?.commit)).toBeGreaterThan(50)
  })

  it('takes exactly the expected revision, and the error says where the stream stands, without a message', async () => {
    const stream = newStream()
    expect(await failure(append(stream, [event()], 3n))).toMatchObject({ type: 'wrong-expected-version', message: '', error: { actualVersion: 'no_stream', expectedVersion: 3n } })
    await append(stream, times(2, () => event()), 'no_stream')
    expect((await failure(append(stream, [event()], 'no_stream'))).error).toMatchObject({ actualVersion: 1n, expectedVersion: 'no_stream', streamName: stream })
    expect((await failure(append(stream, [event()], 0n))).error).toMatchObject({ actualVersion: 1n, expectedVersion: 0n })
    expect(await append(stream, [event()], 1n)).toMatchObject({ nextExpectedRevision: 2n })
    expect(await append(stream, [event()], 'stream_exists')).toMatchObject({ nextExpectedRevision: 3n })
    expect((await failure(append(newStream(), [event()], 'stream_exists'))).error).toMatchObject({ actualVersion: 'no_stream' })
  })

  it('repeated at the same revision answers as the first time, however long after', async () => {
    const stream = newStream()
    const events = times(2, () => event())
    const first = await append(stream, events, 'no_stream')
    await append(stream, [event()], 1n)
    await append(newStream(), [event()], 'no_stream')
    expect(await append(stream, events, 'no_stream')).toEqual(first)
    expect(await collect(client.readStream(stream))).toHaveLength(3)
  })

  it('repeated at the current end is appended again', async () => {
    const stream = newStream()
    const same = event()
    await append(stream, [same], 'no_stream')
    expect(await append(stream, [same], 0n)).toMatchObject({ nextExpectedRevision: 1n })
    expect(await collect(client.readStream(stream))).toHaveLength(2)
  })

  it('with a known id and other data at its place succeeds, and the new data is ignored', async () => {
    const stream = newStream()
    const id = randomUUID()
    const first = await append(stream, [event({ n: 1 }, { id })], 'no_stream')
    expect(await append(stream, [event({ n: 2 }, { id })], 'no_stream')).toEqual(first)
    expect((await collect(client.readStream(stream))).map((one) => one.event?.data)).toEqual([{ n: 1 }])
  })

  it('of which only the first events are known conflicts', async () => {
    const stream = newStream()
    const known = event()
    await append(stream, [known], 'no_stream')
    expect(await failure(append(stream, [known, event()], 'no_stream'))).toMatchObject({ type: 'wrong-expected-version' })
  })

  it('with any revision is recognised by its ids', async () => {
    const stream = newStream()
    const same = event()
    const first = await append(stream, [same], 'any')
    expect(await append(stream, [same], 'any')).toEqual(first)
    expect(await collect(client.readStream(stream))).toHaveLength(1)
  })

  it('of more than 1 MiB is refused, naming the limit', async () => {
    const large = [event({ text: 'x'.repeat(1024 * 1024) })]
    expect(await failure(append(newStream(), large, 'no_stream'))).toMatchObject({ type: 'maximum-append-size-exceeded', error: { maxAppendSize: 1_048_576 } })
    expect(await append(newStream(), [event({ text: 'x'.repeat(1024 * 1024 - 200) })], 'no_stream')).toMatchObject({ success: true })
  })

  it('of which a copy arrives in flight is done; the copy gets no answer and errs as timed out', async () => {
    const stream = newStream()
    const events = [event()]
    host.faults.delayAppends(300)
    const first = append(stream, events, 'no_stream')
    await pause(50)
    const started = performance.now()
    const copy = failure(append(stream, events, 'no_stream'))
    expect((await failure(append(stream, [event()], 'no_stream'))).error).toMatchObject({ actualVersion: 0n })
    host.faults.delayAppends(0)
    expect(await first).toMatchObject({ nextExpectedRevision: 0n })
    expect((await copy).type).toBe(path.credentials ? 'timeout' : 'deadline-exceeded')
    expect(performance.now() - started).toBeGreaterThan(380)
    expect(await append(stream, events, 'no_stream')).toEqual(await first)
  })

  it('that is in flight for longer than the server waits times out, and is done all the same', async () => {
    const stream = newStream()
    host.faults.delayAppends(500)
    const outcome = failure(append(stream, [event()], 'no_stream'))
    await pause(50)
    host.faults.delayAppends(0)
    expect((await outcome).type).toBe(path.credentials ? 'timeout' : 'deadline-exceeded')
    await until(() => host.log.view(stream).kind === 'stream')
    expect(await collect(client.readStream(stream))).toHaveLength(1)
  })

  it('to a server that is not ready is refused, recognisably', async () => {
    host.faults.notReady(true)
    const refused = await failure(append(newStream(), [event()], 'no_stream'))
    host.faults.notReady(false)
    expect(refused.message).toContain('Server Is Not Ready')
    expect(await append(newStream(), [event()], 'no_stream')).toMatchObject({ success: true })
  })

  it('after a soft delete may start anew, and the revisions go on', async () => {
    const stream = newStream()
    const before = [event(), event()]
    await append(stream, before, 'no_stream')
    const { position } = await client.deleteStream(stream, { expectedRevision: 1n })
    expect(position?.commit).toBeGreaterThan(0n)
    expect(await append(stream, before, 'no_stream')).toEqual({ success: true, nextExpectedRevision: 1n, position: undefined })
    expect(await failure(append(stream, [event()], 'stream_exists'))).toMatchObject({ type: 'stream-deleted' })
    expect(await append(stream, [event()], 'no_stream')).toMatchObject({ nextExpectedRevision: 2n })
    expect((await collect(client.readStream(stream))).map((one) => one.event?.revision)).toEqual([2n])
  })

  it('to a stream that was deleted for good is refused', async () => {
    const stream = newStream()
    await append(stream, [event()], 'no_stream')
    await client.tombstoneStream(stream, { expectedRevision: 0n })
    expect(await failure(append(stream, [event()], 'no_stream'))).toMatchObject({ type: 'stream-deleted', error: { streamName: stream } })
  })
})

describe('a message of more than 16 MB', () => {
  it('ends the call, and with it every append pending on it', async () => {
    host.faults.delayAppends(100)
    const pending = failure(client.appendToStream(newStream(), [event()], { expectedRevision: 'no_stream' }))
    const large = failure(client.appendToStream(newStream(), [event({ text: 'x'.repeat(17 * 1024 * 1024) })], { expectedRevision: 'no_stream' }))
    expect(await large).toMatchObject({ code: 8 })
    expect(await pending).toMatchObject({ code: 8 })
    host.faults.delayAppends(0)
    expect(await client.appendToStream(newStream(), [event()], { expectedRevision: 'no_stream' })).toMatchObject({ success: true })
  })
})

describe('deleting', () => {
  it('a stream that is not there, or not at the expected revision, is refused', async () => {
    const stream = newStream()
    expect(await failure(client.deleteStream(stream))).toMatchObject({ type: 'wrong-expected-version' })
    await client.appendToStream(stream, [event()], { expectedRevision: 'no_stream' })
    expect(await failure(client.deleteStream(stream, { expectedRevision: 4n }))).toMatchObject({ type: 'wrong-expected-version', error: { actualVersion: 0n } })
    expect(await failure(client.tombstoneStream(stream, { expectedRevision: 4n }))).toMatchObject({ type: 'wrong-expected-version' })
  })
})
