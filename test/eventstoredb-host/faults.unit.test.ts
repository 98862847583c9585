import type { EventStoreDBClient } from '@eventstore/db-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLog, startHost, type EventStoreDbHost } from './host.ts'
import { collect, connect, event, failure, newStream, pause, put, times, unary, until, watch } from './support.ts'

let host: EventStoreDbHost
let client: EventStoreDBClient
// One client for the whole file: it is the only one that appends here on the batch path.
beforeAll(async () => {
  host = await startHost()
  client = connect(host.url)
})
afterAll(async () => {
  await client.dispose()
  await host.stop()
})

const append = (stream: string, events = [event()]) => client.appendToStream(stream, events, { expectedRevision: 'no_stream' })
const stored = (stream: string): number => {
  const view = host.log.view(stream)
  return view.kind === 'stream' ? view.end : 0
}
/** After a dropped connection the first calls may still meet it. */
const again = async <T>(ask: () => Promise<T>): Promise<T> => {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === 20) throw error
      await pause(20)
    }
  }
}
beforeEach(() => again(() => append(newStream())))

describe('dropped connections', () => {
  it('end subscriptions, reads and appends under way as unavailable; the next calls come through', async () => {
    const watching = watch(client.subscribeToAll())
    await watching.caughtUp()
    host.faults.delayAppends(400)
    const stream = newStream()
    const appending = failure(append(stream))
    await pause(100)
    host.faults.dropConnections()
    expect(host.connections()).toBe(0)
    expect((await appending).code).toBe(14)
    await until(() => watching.error() !== undefined)
    expect(watching.error()).toMatchObject({ type: 'unavailable' })
    host.faults.delayAppends(0)
    await until(() => host.log.view(stream).kind === 'stream')
    expect(await again(() => append(newStream()))).toMatchObject({ success: true })
  })
})

describe('a frozen server', () => {
  afterEach(() => host.faults.thaw())

  it('answers nothing, neither on connections it has nor on new ones; thawed, it goes on', async () => {
    const stream = newStream()
    host.faults.freeze()
    const other = connect(host.url)
    const waiting = Promise.all([append(stream), failure(collect(client.readStream(newStream()))), failure(collect(other.readStream(newStream())))])
    expect(await Promise.race([waiting, pause(150)])).toBeUndefined()
    expect(host.log.view(stream)).toEqual({ kind: 'none' })
    host.faults.thaw()
    const [appended, ...reads] = await waiting
    expect(appended).toMatchObject({ nextExpectedRevision: 0n })
    expect(reads.map((read) => read.type)).toEqual(['stream-not-found', 'stream-not-found'])
    await other.dispose()
  })

  it('sends no events; thawed, it sends them all', async () => {
    const watching = watch(client.subscribeToAll({ fromPosition: 'end' }))
    await watching.caughtUp()
    host.faults.freeze()
    await put(host.log, newStream(), 5)
    await pause(50)
    expect(watching.streams()).toEqual([])
    host.faults.thaw()
    await until(() => watching.streams().length === 5)
    await watching.stop()
  })

  it('answers no ping, so that keep-alive finds it out', async () => {
    const other = connect(host.url, '&keepAliveInterval=200&keepAliveTimeout=400')
    const watching = watch(other.subscribeToAll())
    await watching.caughtUp()
    await pause(500)
    expect(watching.error()).toBeUndefined()
    host.faults.freeze()
    await until(() => watching.error() !== undefined)
    expect(watching.error()).toMatchObject({ code: 14 })
    await other.dispose()
  })
})

describe('an answer', () => {
  it('may be late: the append is done long before', async () => {
    const stream = newStream()
    host.faults.answerLate(600)
    const started = performance.now()
    const appending = append(stream)
    await until(() => host.log.view(stream).kind === 'stream')
    expect(performance.now() - started).toBeLessThan(500)
    await appending
    host.faults.answerLate(0)
    expect(performance.now() - started).toBeGreaterThan(110)
  })

  it.each([['batch', {}], ['unary', unary]])('may be lost with its connection after the append was done (%s); the same again is answered', async (_name, path) => {
    const stream = newStream()
    const events = [event()]
    host.faults.loseAnswers(1)
    expect((await failure(client.appendToStream(stream, events, { ...path, expectedRevision: 'no_stream' }))).code).toBe(14)
    expect(stored(stream)).toBe(1)
    expect(await again(() => client.appendToStream(stream, events, { ...path, expectedRevision: 'no_stream' }))).toMatchObject({ nextExpectedRevision: 0n })
    expect(stored(stream)).toBe(1)
  })
})

describe('a connection', () => {
  it('may die before anything is done, as often as asked for', async () => {
    const stream = newStream()
    host.faults.refuseBefore(2)
    expect((await failure(append(stream))).code).toBe(14)
    expect((await failure(again(async () => {
      const outcome = await failure(append(stream))
      if (outcome.code === 14) throw outcome.error
      return outcome
    }))).message).toBe('it succeeded')
    expect(stored(stream)).toBeLessThanOrEqual(1)
  })

  it('may die and its append be carried out afterwards', async () => {
    const stream = newStream()
    host.faults.answerAfterGone(80)
    expect((await failure(append(stream))).code).toBe(14)
    expect(stored(stream)).toBe(0)
    await until(() => host.log.view(stream).kind === 'stream')
    expect(stored(stream)).toBe(1)
  })
})

describe('a node that is not ready', () => {
  it('answers no read', async () => {
    host.faults.notReady(true)
    const refused = await failure(collect(client.readAll()))
    host.faults.notReady(false)
    expect(refused).toMatchObject({ type: 'unavailable', message: expect.stringContaining('Server Is Not Ready') })
  })
})

describe('slow consumers', () => {
  it('are dropped when it is asked for', async () => {
    const watching = times(2, () => watch(client.subscribeToAll()))
    for (const one of watching) await one.caughtUp()
    host.faults.slowConsumers()
    await until(() => watching.every((one) => one.error() !== undefined))
    for (const one of watching) expect(one.error()).toMatchObject({ code: 10, message: expect.stringContaining('Consumer too slow') })
  })
})

describe('two nodes of one cluster', () => {
  it('have one log; who follows names the leader to what requires it, and carries out the rest', async () => {
    const log = createLog()
    const leader = await startHost({ log })
    const follower = await startHost({ log, members: () => [{ host: '127.0.0.1', port: leader.port, state: 'leader' }, { host: '127.0.0.1', port: follower.port, state: 'follower' }] })
    follower.faults.notLeader({ host: '127.0.0.1', port: leader.port })
    const reader = connect(follower.url)
    const stream = newStream()
    await put(log, stream)
    const wanted = { leader: { address: '127.0.0.1', port: leader.port } }
    expect(await failure(collect(reader.readStream(stream, { requiresLeader: true })))).toMatchObject({ type: 'not-leader', error: wanted })
    expect(await collect(reader.readStream(stream))).toHaveLength(1)
    const second = connect(follower.url)
    expect(await failure(second.appendToStream(stream, [event()], { ...unary, requiresLeader: true, expectedRevision: 0n }))).toMatchObject({ type: 'not-leader', error: wanted })
    // The client goes on to the leader by itself.
    expect(await second.appendToStream(stream, [event()], { ...unary, requiresLeader: true, expectedRevision: 0n })).toMatchObject({ nextExpectedRevision: 1n })
    expect(leader.connections()).toBeGreaterThan(0)
    for (const one of [reader, second]) await one.dispose()

    const discovering = connect(`esdb://127.0.0.1:${follower.port},127.0.0.1:${leader.port}?tls=false&nodePreference=leader`)
    expect(await collect(discovering.readStream(stream, { requiresLeader: true }))).toHaveLength(2)
    await discovering.dispose()
    for (const one of [leader, follower]) await one.stop()
  })

  it('a batch that requires the leader ends with all appends pending on it; the next goes on to the leader', async () => {
    // The first append of a call says for the whole call that it requires the leader.
    host.faults.dropConnections()
    const appendToLeader = (stream: string) => client.appendToStream(stream, [event()], { expectedRevision: 'no_stream', requiresLeader: true })
    await again(() => appendToLeader(newStream()))
    host.faults.delayAppends(100)
    const pending = failure(appendToLeader(newStream()))
    await pause(20)
    const leader = await startHost({ log: host.log })
    host.faults.notLeader({ host: '127.0.0.1', port: leader.port })
    host.faults.delayAppends(0)
    expect(await failure(appendToLeader(newStream()))).toMatchObject({ type: 'not-leader', error: { leader: { address: '127.0.0.1', port: leader.port } } })
    expect((await pending).type).toBe('not-leader')
    expect(await again(() => appendToLeader(newStream()))).toMatchObject({ success: true })
    expect(leader.connections()).toBe(1)
    host.faults.notLeader(null)
    await leader.stop()
  })

  it('of which one stops go on with the other', async () => {
    const log = createLog()
    const [first, second] = [await startHost({ log }), await startHost({ log })]
    await first.stop()
    const other = connect(second.url)
    const stream = newStream()
    expect(await other.appendToStream(stream, [event()], { ...unary, expectedRevision: 'no_stream' })).toMatchObject({ success: true })
    expect(await collect(other.readAll())).toHaveLength(log.records.length)
    await other.dispose()
    await second.stop()
  })
})

describe('stopping', () => {
  it('ends every connection at once, and the port is free afterwards', async () => {
    const own = await startHost()
    const reader = connect(own.url)
    const watching = watch(reader.subscribeToAll())
    await watching.caughtUp()
    const started = performance.now()
    await own.stop()
    expect(performance.now() - started).toBeLessThan(1000)
    await until(() => watching.error() !== undefined)
    expect(watching.error()).toMatchObject({ code: 14 })
    const next = await startHost({ port: own.port, log: own.log })
    expect(await again(() => collect(reader.readAll()))).toHaveLength(own.log.records.length)
    await reader.dispose()
    await next.stop()
  })
})
