import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Batch, EventStore } from '../../src/event-store/port.ts'
import { apply, prepare } from '../../src/projections/apply.ts'
import { readCheckpoint } from '../../src/projections/checkpoint.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { duplicates } from '../../src/projections/duplicates/project.ts'
import { UNWAITED } from '../../src/projections/kysely.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { schemaOf, type Projection } from '../../src/projections/projection.ts'
import { discard, rebuild } from '../../src/projections/rebuild.ts'
import { appendByHand, create, dump, everything, makeWorld, mobile, models, send, until, type World } from './world.ts'

const lifecycleCustomer = sql.table(`${schemaOf(lifecycle)}.customer`)

const inBatchesOf = (store: EventStore, batchSize: () => number): EventStore => ({ ...store, subscribe: (options) => store.subscribe({ ...options, batchSize: batchSize() }) })

describe('the rows of a read model', () => {
  let world: World
  let log: Batch['events']
  let neverCreated: string
  const replayed = new Map<string, Record<string, string[]>>()
  beforeAll(async () => {
    world = await makeWorld()
    neverCreated = (await everything(world)).neverCreated
    log = (await Array.fromAsync(world.store.readAll({ after: 0n, batchSize: 10_000 }))).flatMap((batch) => batch.events)
    for (const projection of models) {
      await rebuild(world.rebuilding, projection)
      replayed.set(projection.model, await dump(world.db, projection))
    }
  })
  afterAll(() => world.close())

  it('come from a log in which every table has rows', () => {
    for (const [model, tables] of replayed) for (const [table, rows] of Object.entries(tables)) expect(rows.length, `${model}.${table}`).toBeGreaterThan(0)
  })

  it.each(models)('of $model equal a replay whatever the sizes of the batches', async (projection) => {
    const { db, runtime: { codec }, placeId } = world
    const applyInBatches = async (sizes: readonly number[]) => {
      await discard(db, projection, 'rebuild')
      let checkpoint = await prepare(db, projection, 'rebuild', placeId)
      for (let at = 0, n = 0; at < log.length; n += 1) {
        const events = log.slice(at, at + (sizes[n % sizes.length] ?? 1))
        at += events.length
        checkpoint = (await apply({ db, codec, projection, build: 'rebuild' }, checkpoint, { events, position: events.at(-1)?.position ?? 0n, caughtUp: false }, { ready: false })).checkpoint
      }
      return dump(db, projection, 'rebuild')
    }
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), async (sizes) => {
      expect(await applyInBatches(sizes)).toEqual(replayed.get(projection.model))
    }), { seed: 20260303, numRuns: 4, examples: [[[1]], [[2, 3]]] })
    await discard(db, projection, 'rebuild')
  })

  it.each(models)('of $model equal a replay wherever it is interrupted', async (projection) => {
    const { db, database } = world
    await discard(db, projection, 'live')
    let calls = 0
    // Every other batch ends in the death of its own backend, before or after the rows are written, or of the one that holds the lead.
    const interrupted: Projection = {
      ...projection,
      project: async (trx, schema, events) => {
        calls += 1
        const kill = sql`select pg_terminate_backend(pg_backend_pid())`
        if (calls % 6 === 1) await kill.execute(trx)
        await projection.project(trx, schema, events)
        if (calls % 6 === 3) await kill.execute(trx)
        if (calls % 6 === 5) await database.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'kehu projection%'`)
      },
    }
    let size = 0
    const runner = world.run(interrupted, { store: inBatchesOf(world.store, () => 3 + ((size += 1) % 4)) })
    await runner.caughtUp(20_000)
    await runner.stop()
    expect(calls).toBeGreaterThan(6)
    expect(runner.reports.filter((report) => report.level === 'error')).toEqual([])
    expect(await dump(db, projection)).toEqual(replayed.get(projection.model))
  })

  it('name no customer that was fenced and never created', () => {
    for (const tables of replayed.values()) for (const rows of Object.values(tables)) expect(rows.filter((row) => new RegExp(`\\b${neverCreated}\\b`).test(row))).toEqual([])
  })
})

describe('the runner', () => {
  let world: World
  beforeEach(async () => {
    world = await makeWorld()
  })
  afterEach(() => world.close())

  const rowsEqualReplay = async (projection: Projection) => {
    const live = await dump(world.db, projection)
    await rebuild(world.rebuilding, projection)
    expect(live).toEqual(await dump(world.db, projection))
  }
  const stoppedOf = async (projection: Projection) => (await readCheckpoint(world.db, projection))?.stopped

  it('is active once for all processes; another stands by, and takes over within 5 s of its death', async () => {
    const first = world.run(customerLookup)
    await first.caughtUp()
    const second = world.run(customerLookup)
    await until('the second stands by', () => second.status().state === 'standby')
    const { position } = await create(world.runtime)
    await first.reaches(position)
    expect(second.status().state).toBe('standby')

    // As when its process dies: the connection with the lock goes, and it does not come back.
    const died = performance.now()
    const gone = first.stop()
    const next = await create(world.runtime)
    await second.reaches(next.position, 5000)
    expect(performance.now() - died).toBeLessThan(5000)
    await gone
    expect(second.reports).toEqual([])
    await second.stop()
    await rowsEqualReplay(customerLookup)
  })

  it('keeps the place of the last event, also where reading has got beyond it: at the next start it is found there', async () => {
    const beyond: EventStore = {
      ...world.store,
      subscribe: async function* (options) {
        for await (const batch of world.store.subscribe(options)) yield { ...batch, position: batch.position + 7n }
      },
    }
    const first = world.run(customerLookup, { store: beyond })
    const { position } = await create(world.runtime)
    await first.reaches(position)
    await first.stop()
    expect((await readCheckpoint(world.db, customerLookup))?.position).toBe(await world.store.head())
    const second = world.run(customerLookup)
    await second.reaches((await create(world.runtime)).position)
    expect([...first.reports, ...second.reports]).toEqual([])
    await rowsEqualReplay(customerLookup)
  })

  it('writes nothing once another has moved the checkpoint, and goes on from where that one is', async () => {
    let hold: Promise<void> | undefined
    let held: Batch | undefined
    const store: EventStore = {
      ...world.store,
      subscribe: async function* (options) {
        for await (const batch of world.store.subscribe(options)) {
          if (hold && batch.events.length > 0) {
            held = batch
            await hold
            hold = undefined
          }
          yield batch
        }
      },
    }
    const runner = world.run(lifecycle, { store })
    await runner.caughtUp()
    let go: () => void = () => undefined
    hold = new Promise((resolve) => {
      go = resolve
    })
    await create(world.runtime)
    await until('the runner holds the batch', () => held !== undefined)
    // Another runner that takes itself for the active one does the same batch.
    const checkpoint = await readCheckpoint(world.db, lifecycle)
    if (!checkpoint || !held) return expect.fail('nothing is held')
    await apply({ db: world.db, codec: world.runtime.codec, projection: lifecycle, build: 'live' }, checkpoint, held, { ready: true })
    go()
    const { position } = await create(world.runtime)
    await runner.reaches(position)
    expect(runner.reports.map((report) => report.message)).toEqual([expect.stringMatching(/^interrupted, goes on: AnotherRunner/)])
    await runner.stop()
    await rowsEqualReplay(lifecycle)
  })

  it('stops one projection alone at an event it cannot project, says which and why, tries again, and goes on when the cause is gone', async () => {
    const { runtime, db, store } = world
    const runners = models.map((projection) => ({ projection, ...world.run(projection) }))
    await Promise.all(runners.map((runner) => runner.caughtUp()))
    const poisoned = runners.find((runner) => runner.projection === lifecycle) ?? expect.fail('no runner')
    await sql`alter table ${lifecycleCustomer} add constraint nobody_is_premier check (tier <> 'premier')`.execute(db)

    const before = await create(runtime, { name: '王大锤', identifiers: [mobile(1)] })
    await send(runtime, 'upgrade-tier', { customerId: before.customerId, to: 'premier', basis: 'spend', evidence: '存款 100 万' })
    const poison = await store.head()
    const after = await create(runtime, { name: '李二狗' })
    const place = `TierUpgraded at position ${poison} (customer-${before.customerId}, revision 2)`
    await until('it stops', () => poisoned.status().state === 'stopped')
    expect(poisoned.status().detail).toBe(`${place}: error 23514 (nobody_is_premier)`)
    await until('the stop is on record', async () => (await stoppedOf(lifecycle)) === poisoned.status().detail)
    expect(poisoned.reports).toContainEqual({ model: 'lifecycle', level: 'error', message: `stopped: ${poisoned.status().detail ?? ''}` })
    for (const other of runners) if (other !== poisoned) await other.reaches(after.position)
    const rows = async () => (await sql<{ customer_id: string }>`select customer_id from ${lifecycleCustomer}`.execute(db)).rows.map((row) => row.customer_id)
    // What stands before it in the log is there, what stands behind it is not.
    expect(await rows()).toEqual([before.customerId])
    expect((await readCheckpoint(db, lifecycle))?.position).toBe(poison - 1n)

    await until('it is tried again', () => poisoned.reports.filter((report) => report.level === 'error').length > 1)
    expect(await stoppedOf(lifecycle)).toContain(place)
    await sql`alter table ${lifecycleCustomer} drop constraint nobody_is_premier`.execute(db)
    await poisoned.reaches(after.position)
    expect(await stoppedOf(lifecycle)).toBeNull()
    expect((await rows()).toSorted()).toEqual([before.customerId, after.customerId].toSorted())
    for (const other of runners) if (other !== poisoned) expect(other.reports).toEqual([])
    await Promise.all(runners.map((runner) => runner.stop()))
    await rowsEqualReplay(lifecycle)
  })

  it('stops at an event whose shape does not fit, and quotes nothing of it', async () => {
    const runner = world.run(duplicates)
    const { customerId } = await create(world.runtime)
    const position = await appendByHand(world, `customer-${customerId}`, 'IdentifierAdded', { kind: 'mobile', identity: 7, value: '13800138000' })
    await until('it stops', () => runner.status().state === 'stopped')
    expect(runner.status().detail).toBe(`IdentifierAdded at position ${position} (customer-${customerId}, revision 2): does not fit its schema in 2 place(s)`)
  })

  it('stops when the rows of a build break a constraint, which is made when it has caught up, and says which', async () => {
    const { customerId } = await create(world.runtime)
    await send(world.runtime, 'upgrade-tier', { customerId, to: 'premier', basis: 'spend', evidence: '存款 100 万' })
    const strict: Projection = { ...lifecycle, tables: lifecycle.tables.map((table) => (table.name === 'customer' ? { ...table, constraints: [...table.constraints, `constraint nobody_is_premier check (tier <> 'premier')`] } : table)) }
    const runner = world.run(strict)
    await until('it stops', () => runner.status().state === 'stopped')
    expect(runner.status().detail).toBe('the rows built do not fit the constraints of lifecycle: error 23514 (nobody_is_premier)')
    expect((await readCheckpoint(world.db, lifecycle))?.ready).toBe(false)
    await runner.stop()
    const fixed = world.run(lifecycle)
    await fixed.caughtUp()
    await fixed.stop()
    await rowsEqualReplay(lifecycle)
  })

  it('names the event whose rows fail although nobody waited for them, also in the batch that makes a build ready', async () => {
    const { customerId } = await create(world.runtime)
    await send(world.runtime, 'upgrade-tier', { customerId, to: 'premier', basis: 'spend', evidence: '存款 100 万' })
    const poison = await world.store.head()
    const runner = world.run({
      ...lifecycle,
      project: async (trx, schema, events) => {
        await lifecycle.project(trx, schema, events)
        if (events.some(({ event }) => event.type === 'TierUpgraded')) await sql`${UNWAITED} insert into kehu.checkpoint select * from kehu.checkpoint`.execute(trx)
      },
    })
    await until('it stops', () => runner.status().state === 'stopped')
    expect(runner.status().detail).toBe(`TierUpgraded at position ${poison} (customer-${customerId}, revision 2): error 23505 (checkpoint_pkey)`)
    await runner.stop()
  })

  it('takes a connection lost at an event for what it is, and not for a poison event', async () => {
    const { db } = world
    let calls = 0
    // A batch that fails is tried event by event: there the backend dies.
    const runner = world.run({
      ...lifecycle,
      project: async (trx, schema, events) => {
        calls += 1
        if (calls === 1) throw new Error('a batch that cannot be projected')
        if (calls === 2) await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx)
        await lifecycle.project(trx, schema, events)
      },
    })
    await create(world.runtime)
    await runner.caughtUp()
    expect(calls).toBeGreaterThan(2)
    expect(runner.reports.filter((report) => report.level === 'error')).toEqual([])
    expect((await readCheckpoint(db, lifecycle))?.stopped).toBeNull()
  })

  it('passes over event types it does not know, and says so once', async () => {
    const { customerId } = await create(world.runtime)
    const runner = world.run(customerLookup, { store: inBatchesOf(world.store, () => 1) })
    const type = 'CustomerBlessed'
    for (let n = 0; n < 3; n += 1) await appendByHand(world, `customer-${customerId}`, type, { by: 'a later version' })
    await runner.caughtUp()
    await runner.reaches(await appendByHand(world, `customer-${customerId}`, type, { by: 'a later version' }))
    expect(runner.reports).toEqual([{ model: 'customer-lookup', level: 'warn', message: `events of type ${type} are not known to this version and are passed over` }])
  })

  it('goes on at once after an interruption, however many there have been', async () => {
    let interrupt = false
    const runner = world.run({
      ...duplicates,
      project: async (trx, schema, events) => {
        if (interrupt) await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx).finally(() => {
          interrupt = false
        })
        await duplicates.project(trx, schema, events)
      },
    })
    await runner.caughtUp()
    for (let n = 0; n < 8; n += 1) {
      interrupt = true
      await runner.reaches((await create(world.runtime)).position, 2000)
    }
    expect(runner.reports.map((report) => report.level)).toEqual(new Array(8).fill('warn'))
  })

  it('notices a checkpoint of another log, and one that is ahead of a log restored from an older copy, until the model is built anew', async () => {
    const { db, runtime, database } = world
    const { customerId } = await create(runtime)
    const runner = world.run(ownershipHistory)
    await runner.caughtUp()
    await runner.stop()
    await sql`update kehu.checkpoint set place_id = 'elsewhere'`.execute(db)
    const elsewhere = world.run(ownershipHistory)
    await until('it stops', () => elsewhere.status().state === 'stopped')
    expect(elsewhere.status().detail).toContain('ownership-history was built from the log at place elsewhere')
    expect(elsewhere.status().detail).toContain('run kehu rebuild ownership-history')
    expect(elsewhere.reports[0]).toMatchObject({ level: 'error', message: expect.stringMatching(/^stopped: /) })
    await elsewhere.stop()
    await rebuild(world.rebuilding, ownershipHistory)

    // The log as an older copy has it, one event short; and then with another event in that place.
    const { rows: [last] } = await database.pool.query('delete from kehu.event where position = (select max(position) from kehu.event) returning *')
    const shorter = world.run(ownershipHistory)
    await until('it stops', () => shorter.status().state === 'stopped')
    expect(shorter.status().detail).toContain(`ownership-history has read up to position ${last.position}, where this log has another event or none`)
    await until('the stop is on record', async () => (await stoppedOf(ownershipHistory)) === shorter.status().detail)
    await shorter.stop()
    await appendByHand(world, `customer-${customerId}`, 'EntryAbandoned', { by: 'rival' })
    const longer = world.run(ownershipHistory)
    await until('it stops', () => longer.status().state === 'stopped')
    await longer.stop()

    await rebuild(world.rebuilding, ownershipHistory)
    const anew = world.run(ownershipHistory)
    await anew.caughtUp()
    expect(await stoppedOf(ownershipHistory)).toBeNull()
    expect(anew.reports).toEqual([])
  })

  it('builds the rows anew although the log is shorter than the checkpoint, as an older copy is', async () => {
    const { database } = world
    await create(world.runtime)
    const runner = world.run(lifecycle)
    await runner.caughtUp()
    await runner.stop()
    await database.pool.query('delete from kehu.event where position > (select max(position) - 2 from kehu.event)')
    const { position } = await rebuild(world.rebuilding, lifecycle)
    expect(position).toBe(await world.store.head())
    expect((await dump(world.db, lifecycle))['customer']).toEqual([])
  })

  it('builds a new version beside the old one, which goes on answering until the new one has caught up', async () => {
    const { db, runtime } = world
    await create(runtime, { name: '王小明' })
    const old = world.run(lifecycle)
    await old.caughtUp()
    let go: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      go = resolve
    })
    const version2: Projection = {
      ...lifecycle, version: lifecycle.version + 1,
      project: async (trx, schema, events) => {
        await gate
        await lifecycle.project(trx, schema, events)
      },
    }
    const fresh = world.run(version2, { store: inBatchesOf(world.store, () => 5) })
    await until('the new version has tables', async () => (await readCheckpoint(db, version2)) !== undefined)
    const shown = async () => Number((await sql<{ n: string }>`select count(*) as n from analytics.customer_lifecycle`.execute(db)).rows[0]?.n)
    const { position } = await create(runtime, { name: '李四' })
    await old.reaches(position)
    expect((await readCheckpoint(db, version2))?.ready).toBe(false)
    expect(await shown()).toBe(2)
    go()
    await fresh.reaches(position)
    expect((await readCheckpoint(db, version2))?.ready).toBe(true)
    expect(await shown()).toBe(2)
    await old.stop()
    await fresh.reaches((await create(runtime, { name: '赵六' })).position)
    expect(await shown()).toBe(3)
    expect((await sql`select from ${lifecycleCustomer}`.execute(db)).rows).toHaveLength(2)
  })
})
