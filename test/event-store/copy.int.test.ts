import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import { makeCopy } from '../../src/event-store/copy.ts'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { startHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { expected, inTurn, makeEvents, readLog, times } from './contract.ts'

/** Events of several streams, written by many at once. */
const write = async (store: EventStore, writers: number, rounds: number): Promise<void> => {
  await Promise.all(times(writers, async (writer) => {
    const heads = new Map<string, Head>()
    await inTurn(rounds, async (round) => {
      const stream = `${round % 4 === 0 ? 'identity' : 'customer'}-${writer}.${round % 7}`
      const made = makeEvents(stream, heads.get(stream) ?? emptyHead(stream), times(1 + (round % 3), (n) => ({ n, round, 名: '王小明', amount: { amount: -0.5, currency: 'CNY' } })))
      await store.append({ stream, expectedRevision: expected(heads.get(stream) ?? emptyHead(stream)), events: made.events })
      heads.set(stream, made.head)
    })
  }))
}

const content = async (store: EventStore) => (await readLog(store, { after: 0n })).map(({ id, type, data, metadata, stream, revision }) => ({ id, type, data, metadata, stream, revision }))

const TIMEOUT_MS = 120_000

type Disturb = (faults: Awaited<ReturnType<typeof startHost>>['faults'], n: number) => Promise<void> | void

describe('a log copied between stores', () => {
  let database: TestDatabase
  let source: EventStore
  let written: Awaited<ReturnType<typeof content>>
  beforeAll(async () => {
    database = await makeDatabase()
    source = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
    await write(source, 12, 44)
    written = await content(source)
    // More than a page.
    expect(written.length).toBeGreaterThan(1000)
  })
  afterAll(async () => {
    await source.close()
    await database.drop()
  })

  /** Something to do with an empty log in EventStoreDB. */
  const withHost = async (work: (store: EventStore, host: Awaited<ReturnType<typeof startHost>>) => Promise<void>): Promise<void> => {
    const host = await startHost()
    const store = makeEventStoreDbEventStore({ url: host.url, pool: database.pool, prefix: 'north', timeoutMs: 60_000 })
    try {
      await work(store, host)
    } finally {
      await store.close()
      await host.stop()
    }
  }

  /** Something to do with an empty log in another Postgres. */
  const withSecond = async (work: (store: EventStore, second: TestDatabase) => Promise<void>): Promise<void> => {
    const second = await makeDatabase()
    const store = makePostgresEventStore({ connectionString: second.url, pool: second.pool })
    try {
      await work(store, second)
    } finally {
      await store.close()
      await second.drop()
    }
  }

  const bothWays = (disturb: Disturb) => withHost((store, host) => withSecond(async (end) => {
    const disturbed = async (copying: Promise<unknown>) => {
      let done = false
      let disturbances = 0
      const ended = copying.finally(() => (done = true))
      for (let n = 0; n < 4; n += 1) {
        await Promise.race([sleep(15 + n * 20), ended.catch(() => undefined)])
        if (done) break
        disturbances += 1
        await disturb(host.faults, n)
      }
      host.faults.delayAppends(0)
      await ended
      expect(disturbances).toBeGreaterThan(0)
    }
    await disturbed(makeCopy(source, store).finish())
    expect(await content(store)).toEqual(written)
    await disturbed(makeCopy(store, end).finish())
    expect(await content(end)).toEqual(written)
  }))

  // These wait more than they work: each has a server and a database of its own, and shares a source that none of them changes.
  describe.concurrent('side by side', () => {
    it('from Postgres to EventStoreDB to another Postgres is the first one again, in order, to the byte', async () => {
      await withHost((store) => withSecond(async (end, second) => {
        expect(await makeCopy(source, store).finish()).toBe(written.length)
        expect(await makeCopy(store, end).finish()).toBe(written.length)
        expect(await content(store)).toEqual(written)
        const rows = 'select position, stream_key, revision, event_id, stream, type, data, metadata, hash from kehu.event order by position'
        expect((await second.pool.query(rows)).rows).toEqual((await database.pool.query(rows)).rows)
      }))
    }, TIMEOUT_MS)

    it('between servers of one kind, and to another prefix of the same server, is the same', async () => {
      await withHost(async (store, host) => {
        await makeCopy(source, store).finish()
        const beside = makeEventStoreDbEventStore({ url: host.url, pool: database.pool, prefix: 'south' })
        await makeCopy(store, beside).finish()
        expect(await content(beside)).toEqual(written)
        expect(await content(store)).toEqual(written)
        await beside.close()
      })
      await withSecond(async (end) => {
        await makeCopy(source, end).finish()
        expect(await content(end)).toEqual(written)
      })
    }, TIMEOUT_MS)

    it.each<[string, Disturb]>([
      ['connections are dropped', (faults) => faults.dropConnections()],
      ['answers are lost', (faults) => faults.loseAnswers(1)],
      ['appends are refused with their connection', (faults) => faults.refuseBefore(1)],
      ['the server stands still', async (faults) => {
        faults.freeze()
        await sleep(150)
        faults.thaw()
      }],
      ['appends take their time', (faults, n) => faults.delayAppends(n % 2 === 0 ? 40 : 0)],
    ])('holds its order while %s, both ways', (_what, disturb) => bothWays(disturb), TIMEOUT_MS)

    it('is resumed after it was left at any moment, with appends still on their way', async () => {
      await withHost(async (store, host) => {
        host.faults.delayAppends(5)
        let at = 0
        for (let n = 0; n < 8; n += 1) {
          const hasty = makeEventStoreDbEventStore({ url: host.url, pool: database.pool, prefix: 'north', timeoutMs: 60_000 })
          let left = 30 + n * 17
          const dying: EventStore = { ...hasty, append: (request) => (left-- > 0 ? hasty.append(request) : new Promise(() => undefined)) }
          const copy = makeCopy(source, dying)
          const { events } = await copy.compare()
          expect(events).toBeGreaterThanOrEqual(at)
          at = events
          // Left behind as a killed process leaves it: nobody waits, the server finishes what it was sent.
          void copy.copyOn().catch(() => undefined)
          await sleep(20 + n * 5)
        }
        host.faults.delayAppends(0)
        const copy = makeCopy(source, store)
        expect(['behind', 'same']).toContain((await copy.compare()).kind)
        await copy.finish()
        expect(await content(store)).toEqual(written)
      })
    }, TIMEOUT_MS)
  })

  // Alone, and long enough: were the server ready again before all of a run has arrived, it would refuse its middle, and the copy would say so and end.
  it('holds its order while the server is not ready for a while, both ways', () => bothWays(async (faults) => {
    faults.notReady(true)
    await sleep(1000)
    faults.notReady(false)
  }), TIMEOUT_MS)

  it('goes on after Postgres, source or target, cut all connections', async () => {
    await withSecond(async (end, second) => {
      const cut = ({ pool }: TestDatabase) => pool.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()').catch(() => undefined)
      let done = false
      const copying = makeCopy(source, end).finish().finally(() => (done = true))
      for (let n = 0; n < 10 && !done; n += 1) {
        await sleep(10)
        await cut(n % 2 === 0 ? database : second)
      }
      await copying
      expect(await content(end)).toEqual(written)
    })
  })
})
