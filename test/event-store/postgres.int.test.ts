import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { z } from 'zod'
import { APPEND_LOCK } from '../../migrations/0001-log.ts'
import { organisationKinds } from '../../src/domain/organisation/organisation.ts'
import { canonical, sha256 } from '../../src/event-store/canonical.ts'
import { chainFault, emptyHead, headAfter } from '../../src/event-store/chain.ts'
import { EventStoreUnavailable, type EventStore } from '../../src/event-store/port.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { startProxy } from '../torture/proxy.ts'
import { appendTogetherContract, makeTogether } from './contract-together.ts'
import { collect, contend, eventStoreContract, expectWhole, follow, inTurn, makeAttempt, makeEvents, makeReceipt, makeWriter, newStream, readLog, times, until } from './contract.ts'

/** A connection of one's own, besides those of the store. */
const withClient = async <T>({ url }: Pick<TestDatabase, 'url'>, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return work(client).finally(() => client.end())
}

/** Ends every other connection to a database, as a restart of the server would. */
const cut = (database: TestDatabase) => withClient(database, async (client) => {
  await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')
})

const open = async () => {
  const database = await makeDatabase()
  const make = () => makePostgresEventStore({ connectionString: database.url, pool: database.pool })
  const store = make()
  return {
    store,
    cutConnections: () => cut(database),
    reopen: async () => make(),
    close: async () => {
      await store.close()
      await database.drop()
    },
  }
}

eventStoreContract('Postgres', open)
appendTogetherContract('Postgres', open)

describe('the log in Postgres', () => {
  let database: TestDatabase
  let store: EventStore
  let second: EventStore
  beforeAll(async () => {
    database = await makeDatabase()
    store = makePostgresEventStore({ connectionString: database.url, pool: database.pool, timeoutMs: 400 })
    second = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
  })
  afterAll(async () => {
    await store.close()
    await second.close()
    await database.drop()
  })

  it('counts its positions 1, 2, 3 … without gaps, whatever conflicts and fails and however many processes write', async () => {
    const shared = times(3, () => newStream('shared'))
    const subscribers = [follow(store, { after: 0n }), follow(second, { after: 0n })]
    await Promise.all(times(24, async (number) => {
      const mine = number % 2 === 0 ? store : second
      const own = makeWriter(mine)
      await inTurn(15, async (round) => {
        if (round % 5 === 0) {
          const stream = newStream()
          const unstorable = makeEvents(stream, emptyHead(stream)).events.map((event) => ({ ...event, type: 'zero \u0000' }))
          await expect(mine.append({ stream, expectedRevision: 'no_stream', events: unstorable })).rejects.toThrow()
        }
        if (round % 2 === 0) await own.append(times(1 + (round % 3), () => ({})))
        else await contend(mine, shared[number % shared.length] ?? '')
      })
    }))
    const { rows: [counted] } = await database.pool.query<{ n: string; first: string; last: string }>('select count(*) as n, min(position) as first, max(position) as last from kehu.event')
    expect(Number(counted?.n)).toBeGreaterThan(400)
    expect(counted).toEqual({ n: counted?.last, first: '1', last: counted?.last })
    const events = await readLog(store, { after: 0n })
    expect(events.map((event) => event.position)).toEqual(times(events.length, (n) => BigInt(n + 1)))
    expectWhole(events)
    for (const subscriber of subscribers) {
      await subscriber.reached(await store.head())
      await subscriber.stop()
      expect(subscriber.events()).toEqual(events)
    }
  })

  it('keeps each event as the storage format says: key, canonical text, hash', async () => {
    const writer = makeWriter(store)
    const { request: { events: [event] } } = await writer.append([{ b: '王', a: [1, { z: null, y: 0.5 }] }])
    const { rows } = await database.pool.query('select stream_key, revision, event_id, stream, type, data, metadata, encode(hash, \'hex\') as hash from kehu.event where stream = $1', [writer.stream])
    const name = sha256(writer.stream)
    expect(rows).toEqual([{
      stream_key: [name.slice(0, 8), name.slice(8, 12), name.slice(12, 16), name.slice(16, 20), name.slice(20, 32)].join('-'),
      revision: 0, event_id: event?.id, stream: writer.stream, type: 'Noted', data: '{"a":[1,{"y":0.5,"z":null}],"b":"王"}', metadata: canonical(event?.metadata), hash: event?.metadata.hash,
    }])
  })

  it('keeps the order in which appends to several streams were asked for, although connections are cut', async () => {
    const stopped = new AbortController()
    const cutting = (async () => {
      while (!stopped.signal.aborted) {
        await sleep(5)
        await cut(database)
      }
    })()
    try {
      await inTurn(10, async () => {
        const results = await Promise.all(times(60, async () => (await makeWriter(second).append()).result))
        const positions = results.map((result) => (result.outcome === 'appended' ? Number(result.position) : 0))
        expect(positions).toEqual([...positions].sort((one, other) => one - other))
      })
    } finally {
      stopped.abort()
      await cutting
    }
  })

  it('takes no event that follows another past than the stream’s, alone or among others', async () => {
    const writer = makeWriter(store)
    await writer.append()
    const forked = { ...writer.head(), hash: sha256('another past') }
    const append = () => store.append({ stream: writer.stream, expectedRevision: 0, events: makeEvents(writer.stream, forked).events })
    expect(await append()).toEqual({ outcome: 'conflict', actualRevision: 0 })
    const [among] = await Promise.all([append(), makeWriter(store).append(), makeWriter(store).append()])
    expect(among).toEqual({ outcome: 'conflict', actualRevision: 0 })
    expect((await writer.append()).result).toMatchObject({ outcome: 'appended', revision: 1 })
  })

  it.each([['in its database', () => database.url], ['in another one of the cluster', () => inject('postgresUrl')]])('gives readers what is appended while a transaction stays open %s', async (_where, url) => {
    await withClient({ url: url() }, async (idle) => {
      await idle.query('begin isolation level repeatable read')
      await idle.query('select pg_current_xact_id()')
      const subscriber = follow(store, { after: await store.head() })
      await inTurn(5, async () => {
        const { result } = await makeWriter(store).append()
        expect(result.outcome).toBe('appended')
        if (result.outcome === 'appended') await subscriber.reached(result.position)
      })
      await subscriber.stop()
      await idle.query('rollback')
      expect(subscriber.events()).toHaveLength(5)
    })
  })

  it('lets no append wait for ever: out of time it rejects, and sent again it is there exactly once', async () => {
    const writer = makeWriter(store)
    const { events } = makeEvents(writer.stream, writer.head(), [{}, {}])
    const request = { stream: writer.stream, expectedRevision: 'no_stream', events } as const
    await withClient(database, async (blocker) => {
      await blocker.query('select pg_advisory_lock($1)', [APPEND_LOCK])
      const started = performance.now()
      await expect(store.append(request)).rejects.toBeInstanceOf(EventStoreUnavailable)
      expect(performance.now() - started).toBeLessThan(2000)
      await blocker.query('select pg_advisory_unlock($1)', [APPEND_LOCK])
    })
    expect(await vi.waitFor(() => store.append(request))).toMatchObject({ outcome: 'appended', revision: 1 })
    expect(await collect(store.readStream(writer.stream))).toHaveLength(2)
  })

  it('tells its readers once of a hundred commands that are appended together', async () => {
    const stream = newStream()
    const { appends } = makeTogether(stream, emptyHead(stream), times(100, () => 1))
    await withClient(database, async (listener) => {
      const told: string[] = []
      listener.on('notification', ({ payload }) => told.push(payload ?? ''))
      await listener.query('listen kehu_log')
      const [last] = (await store.appendTogether(appends)).slice(-1)
      await vi.waitFor(() => expect(told).not.toEqual([]))
      await listener.query('select 1')
      expect(told).toHaveLength(1)
      expect(last?.outcome === 'appended' && last.position).toBe(await store.head())
    })
  })

  it('takes the appends of a process of the version before, through the function it knows', async () => {
    const writer = makeWriter(store)
    const { request } = await writer.append()
    const { events: [event] } = makeEvents(writer.stream, writer.head())
    const receipt = makeReceipt([writer.stream])
    if (!event) return expect.fail('no event')
    const key = (await database.pool.query<{ key: string }>('select stream_key as key from kehu.event where event_id = $1', [request.events[0]?.id])).rows[0]?.key
    const values = [
      [key], [0], [Buffer.from(event.metadata.prevHash, 'hex')], [1], [1],
      [receipt.commandId], [receipt.commandHash], [receipt.command], [receipt.streams.join(' ')], [receipt.status], [canonical(receipt.answer)], [receipt.recordedAt],
      [key], [1], [event.id], [writer.stream], [event.type], [canonical(event.data)], [canonical(event.metadata)], [Buffer.from(event.metadata.hash, 'hex')],
    ]
    const types = 'uuid integer bytea integer integer uuid text text text integer text timestamptz uuid integer uuid text text text text bytea'.split(' ')
    const { rows } = await database.pool.query(`select * from kehu.append_events(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})`, values)
    expect(rows).toEqual([{ outcome: 'a', first_position: String(await store.head()), actual: null }])
    expectWhole(await collect(store.readStream(writer.stream)))
    expect(await store.receipts.find(receipt.commandId)).toEqual({ ...receipt, position: await store.head() })
  })

  it('answers an append from the receipt another attempt was just then recording', async () => {
    const writer = makeWriter(store)
    const receipt = makeReceipt([writer.stream], { by: 'record' })
    await withClient(database, async (other) => {
      await other.query('begin')
      await other.query('insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, recorded_at) values ($1, $2, $3, $4, $5, $6, $7)',
        [receipt.commandId, receipt.commandHash, receipt.command, receipt.streams, receipt.status, canonical(receipt.answer), receipt.recordedAt])
      const appending = writer.append([{}], { ...receipt, answer: { by: 'append' } })
      const waits = async () => (await database.pool.query(`select from pg_stat_activity where datname = current_database() and application_name = 'kehu append' and wait_event_type = 'Lock'`)).rowCount
      await vi.waitFor(async () => expect(await waits()).toBe(1), { interval: 5 })
      await other.query('commit')
      expect((await appending).result).toEqual({ outcome: 'answered', receipt: { ...receipt, position: null } })
    })
    expect(await collect(store.readStream(writer.stream))).toEqual([])
  })

  it('keeps the refused attempt with the receipt that is kept, and with no other', async () => {
    const receipt = makeReceipt([])
    await Promise.all(times(10, (n) => store.receipts.record({ ...receipt, answer: { n } }, { ...makeAttempt(receipt.commandId), stream: `customer-${n}`, onBehalfOf: 'wang' })))
    const kept = await store.receipts.find(receipt.commandId)
    const { rows } = await database.pool.query('select actor, on_behalf_of, role, command, problem, stream, ran_into from kehu.refused_attempt where command_id = $1', [receipt.commandId])
    expect(rows).toEqual([{ actor: 'contract', on_behalf_of: 'wang', role: 'clerk', command: 'note', problem: 'not-permitted', stream: `customer-${String(kept?.answer['n'])}`, ran_into: { why: '无权' } }])

    const attempt = makeAttempt()
    await store.receipts.recordAttempt(attempt)
    const { rowCount } = await database.pool.query('select from kehu.refused_attempt where attempt_id = $1 and command_id = $2', [attempt.attemptId, attempt.commandId])
    expect(rowCount).toBe(1)
  })

  it('tells a subscriber at once of a kind that cannot be', async () => {
    const subscribing = collect(store.subscribe({ after: 0n, kinds: ['record-report'], signal: AbortSignal.timeout(2000) }))
    await expect(subscribing).rejects.toThrow('a stream kind is one word')
  })

  it('gives readers within moments what they are not told of: notifications are lost', async () => {
    const address = new URL(database.url)
    const proxy = await startProxy(Number(address.port))
    const deaf = makePostgresEventStore({ connectionString: Object.assign(address, { port: String(proxy.port) }).href, pool: database.pool })
    proxy.deafen(true)
    const subscriber = follow(deaf, { after: await store.head() })
    // Twice: the first may be found because it had just begun to listen.
    await inTurn(2, async () => {
      const { result } = await makeWriter(second).append()
      if (result.outcome === 'appended') await subscriber.reached(result.position)
    })
    expect(subscriber.events()).toHaveLength(2)
    await subscriber.stop()
    await deaf.close()
    await proxy.close()
  })

  it('goes on after an outage longer than a reader’s patience', async () => {
    const subscriber = follow(store, { after: await store.head() })
    const stop = performance.now() + 500
    while (performance.now() < stop) {
      await cut(database)
      await sleep(10)
    }
    const { result } = await vi.waitFor(() => makeWriter(store).append(), { timeout: 5000 })
    if (result.outcome === 'appended') await subscriber.reached(result.position)
    await subscriber.stop()
    expect(subscriber.events()).toHaveLength(1)
  })
})

/** A statement as the driver was handed it, written out or by itself. */
const Asked = z.union([z.object({ text: z.string(), values: z.array(z.unknown()) }), z.string().transform((text) => ({ text, values: [] }))])

describe('subscribers of a process that have read to the end', () => {
  it('look together: many cost no more looks than one, and each is given what it asked for', async () => {
    const database = await makeDatabase()
    const store = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
    const query = vi.spyOn(database.pool, 'query')
    const subscribers = times(12, (n) => follow(store, { after: 0n, ...(n % 3 === 0 ? {} : { kinds: [n % 3 === 1 ? 'alpha' : 'beta'] }), ...(n % 2 === 0 ? {} : { types: ['Told'] }) }))
    await until(() => subscribers.every(({ batches }) => batches.length > 0))
    query.mockClear()
    const began = performance.now()
    const writers = ['alpha', 'beta'].flatMap((kind) => ['Told', 'Noted'].map((type) => makeWriter(store, newStream(kind), type)))
    await inTurn(20, async (round) => {
      await writers[round % writers.length]?.append()
      await sleep(10)
    })
    const end = await store.head()
    for (const subscriber of subscribers) await subscriber.reached(end)
    // One look each 20 ms at the most, and now and then one of who has fallen behind the others.
    const looks = query.mock.calls.filter(([config]) => Asked.safeParse(config).data?.text.includes('log_end')).length
    expect(looks).toBeLessThan(((performance.now() - began) / 20) * 2 + 12)
    const told = await Promise.all(subscribers.map(async (subscriber) => {
      await subscriber.stop()
      return subscriber.events().length
    }))
    expect(told).toEqual(times(12, (n) => (n % 3 === 0 ? 20 : 10) / (n % 2 === 0 ? 1 : 2)))
    query.mockRestore()
    await store.close()
    await database.drop()
  })
})

describe('the configuration in a long log', () => {
  let database: TestDatabase
  let store: EventStore
  beforeAll(async () => {
    database = await makeDatabase()
    store = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
    const metadata = makeEvents('policy-stages', emptyHead('policy-stages')).events[0]?.metadata
    await database.pool.query(
      `insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
       select n, md5(n::text)::uuid, 0, gen_random_uuid(), case when n % 200 = 1 then (array['system', 'policy', 'category', 'department', 'employee'])[1 + (n / 200) % 5] else 'customer' end || '-' || n, 'Noted', '{}', $1, '\\x00'
       from generate_series(1, 20000) as n`,
      [canonical(metadata)],
    )
    await database.pool.query('analyze kehu.event')
  })
  afterAll(async () => {
    await store.close()
    await database.drop()
  })

  it('is found by its index, without reading the log', async () => {
    const query = vi.spyOn(database.pool, 'query')
    const events = await readLog(store, { after: 0n, kinds: organisationKinds })
    const asked = query.mock.calls.map(([config]) => Asked.parse(config)).filter(({ text }) => text.includes('split_part'))
    query.mockRestore()
    expect(events).toHaveLength(100)
    expect(asked.length).toBeGreaterThan(0)
    for (const { text, values } of asked) {
      const { rows } = await database.pool.query({ text: `explain (analyze, buffers off, timing off, format json) ${text}`, values })
      const plan = JSON.stringify(rows)
      expect(plan).toContain('"Index Name":"event_configuration"')
      expect(plan).not.toContain('Seq Scan')
    }
  })
})

describe('a hand in the table', () => {
  let database: TestDatabase
  let store: EventStore
  beforeAll(async () => {
    database = await makeDatabase()
    store = makePostgresEventStore({ connectionString: database.url, pool: database.pool })
  })
  afterAll(async () => {
    await store.close()
    await database.drop()
  })
  /** A stream of four events, changed behind the store's back. */
  const vandalised = async (change: string) => {
    const stream = newStream()
    const { events } = makeEvents(stream, emptyHead(stream), times(4, (n) => ({ n })), { policies: [{ name: 'stages', version: 1 }] })
    await store.append({ stream, expectedRevision: 'no_stream', events })
    await database.pool.query(`${change} where stream = $1 and revision = 2`, [stream])
    return stream
  }
  const firstFault = async (stream: string) => {
    let head = emptyHead(stream)
    for await (const event of store.readStream(stream)) {
      const fault = chainFault({ ...event, stream }, head)
      if (fault) return { revision: event.revision, fault }
      head = headAfter(event)
    }
    return undefined
  }

  it.each([
    ['text that is no JSON', `data = '{"n":'`],
    ['data that is no object', `data = '[]'`],
    ['metadata without a hash', `metadata = '{"schemaVersion":1}'`],
  ])('that leaves %s is reported with its place, and the rest stays readable', async (_what, change) => {
    const stream = await vandalised(`update kehu.event set ${change}`)
    const { rows: [row] } = await database.pool.query<{ position: string }>('select position from kehu.event where stream = $1 and revision = 2', [stream])
    const place = `the event at position ${row?.position} (${stream}, revision 2) cannot be read`
    await expect(collect(store.readStream(stream))).rejects.toThrow(place)
    await expect(readLog(store, { after: BigInt(row?.position ?? 0) - 1n })).rejects.toThrow(place)
    await expect(store.eventAt(BigInt(row?.position ?? 0))).rejects.toThrow(place)
    const subscriber = follow(store, { after: BigInt(row?.position ?? 0) - 1n })
    await subscriber.ended
    await expect(subscriber.stop()).rejects.toThrow(place)
    expect(await collect(store.readStream(stream, { fromRevision: 3 }))).toHaveLength(1)
  })

  it.each([
    ['changes the data', `update kehu.event set data = '{"n":7}'`, 2, 'its hash does not fit its content'],
    ['changes the type', `update kehu.event set type = 'Denied'`, 2, 'its hash does not fit its content'],
    ['changes the id', 'update kehu.event set event_id = gen_random_uuid()', 2, 'its hash does not fit its content'],
    ['changes who did it', `update kehu.event set metadata = replace(metadata, '"actor":"contract"', '"actor":"someone"')`, 2, 'its hash does not fit its content'],
    ['adds to the metadata', `update kehu.event set metadata = replace(metadata, '"schemaVersion"', '"added":[{"name":"x"}],"schemaVersion"')`, 2, 'its hash does not fit its content'],
    ['adds inside the policies', `update kehu.event set metadata = replace(metadata, '"version":1', '"version":1,"waived":true')`, 2, 'its hash does not fit its content'],
    ['takes an event out', 'delete from kehu.event', 3, 'revision 3 follows 1'],
    ['moves an event to another place', 'update kehu.event set revision = 9', 3, 'revision 3 follows 1'],
  ])('that %s is found by the chain', async (_what, change, revision, fault) => {
    expect(await firstFault(await vandalised(change))).toEqual({ revision, fault })
  })

  it('that takes an event out and closes the gap is found by the chain', async () => {
    const stream = await vandalised('delete from kehu.event')
    await database.pool.query('update kehu.event set revision = 2 where stream = $1 and revision = 3', [stream])
    expect(await firstFault(stream)).toEqual({ revision: 2, fault: 'prevHash is not the hash of the event before it' })
  })

  it('stops nobody from writing elsewhere', async () => {
    const subscriber = follow(store, { after: await store.head() })
    const { result } = await makeWriter(store).append()
    await until(() => subscriber.events().length === 1)
    await subscriber.stop()
    expect(result.outcome).toBe('appended')
  })
})
