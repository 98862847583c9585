import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventStore } from '../../src/event-store/port.ts'
import { apply, prepare } from '../../src/projections/apply.ts'
import { readCheckpoint } from '../../src/projections/checkpoint.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { listCheckpoints, makeReadModels, type ReadModels } from '../../src/projections/read-models.ts'
import { compareWithReplay, rebuild } from '../../src/projections/rebuild.ts'
import type { Column, Table } from '../../src/projections/table.ts'
import { appendByHand, create, dump, everything, makeWorld, mobile, models, send, until, type World } from './world.ts'

const countCustomers = async (db: World['db'], schema: string): Promise<number> => Number((await sql<{ n: string }>`select count(*) as n from ${sql.table(`${schema}.customer`)}`.execute(db)).rows[0]?.n)

/** A gate: who comes to it waits until it is opened. */
const makeGate = () => {
  let open: () => void = () => undefined
  let arrived = false
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    open: () => open(),
    arrived: () => arrived,
    pass: async () => {
      arrived = true
      await opened
    },
  }
}

const moment = () => new Promise((resolve) => setTimeout(resolve, 10))

/** The log in small batches; before the batch that passes `position` the reader waits at the gate. */
const gatedAt = (store: EventStore, position: bigint, pass: () => Promise<void>): EventStore => ({
  ...store,
  readAll: async function* (options) {
    for await (const batch of store.readAll({ ...options, batchSize: 10 })) {
      if (batch.position > position) await pass()
      yield batch
    }
  },
})

describe('a rebuild', () => {
  let world: World
  let readModels: ReadModels
  beforeEach(async () => {
    world = await makeWorld()
    readModels = makeReadModels({ db: world.db, connectionString: world.database.url, head: world.store.head, waitMs: 5000 })
  })
  afterEach(async () => {
    await readModels.close()
    await world.close()
  })
  const blocked = async () => (await world.database.pool.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).rows.length > 0

  it('shows nobody a half-built model and lets nobody step back, while commands go on', async () => {
    const { runtime } = world
    const runner = world.run(customerLookup)
    await runner.caughtUp()
    const entered: bigint[] = []
    let done = false
    const write = async (writer: number) => {
      for (let n = 0; !done; n += 1) {
        const { position } = await create(runtime, { identifiers: [mobile(writer * 1_000_000 + n)] })
        // Its two events: the customer is there from the first on.
        entered.push(position - 1n)
        await moment()
      }
    }
    const seen: { position: bigint; count: number }[] = []
    const read = async () => {
      for (let last = 0n; !done; ) {
        const { result, asOf } = await readModels.query(customerLookup, { after: last }, countCustomers)
        expect(asOf.position).toBeGreaterThanOrEqual(last)
        last = asOf.position
        seen.push({ position: asOf.position, count: result })
        await moment()
      }
    }
    const working = [write(1), write(2), read(), read()]
    for (let n = 0; n < 3; n += 1) {
      await until('there is more to read', () => entered.length > (n + 1) * 12)
      await rebuild({ ...world.rebuilding, store: gatedAt(world.store, 0n, async () => undefined) }, customerLookup)
    }
    done = true
    await Promise.all(working)
    expect(seen.length).toBeGreaterThan(10)
    for (const { position, count } of seen) expect(count).toBe(entered.filter((one) => one <= position).length)
    await runner.caughtUp()
    expect(runner.reports.filter((report) => report.level === 'error')).toEqual([])
    expect(await compareWithReplay(world.rebuilding, customerLookup)).toEqual([])
  })

  it('waits for a query that has begun, which sees the old rows to its end', async () => {
    const runner = world.run(customerLookup)
    for (let n = 0; n < 20; n += 1) await create(world.runtime, { identifiers: [mobile(n)] })
    await runner.caughtUp()
    const gate = makeGate()
    let built = false
    const building = rebuild({ ...world.rebuilding, store: gatedAt(world.store, (await world.store.head()) - 20n, gate.pass) }, customerLookup).then(() => {
      built = true
    })
    await until('half of it is built', gate.arrived)
    // Begins with half of the new rows there, reads when all are, and the tables may be swapped.
    const { result } = await readModels.query(customerLookup, {}, async (db, schema) => {
      gate.open()
      await until('it is built, or waits', async () => built || (await blocked()))
      const counts = [await countCustomers(db, schema)]
      for (const { name } of customerLookup.tables.toReversed()) await sql`select from ${sql.table(`${schema}.${name}`)}`.execute(db)
      counts.push(await countCustomers(db, schema))
      return counts
    })
    expect(result).toEqual([20, 20])
    await building
    expect((await readModels.query(customerLookup, {}, countCustomers)).result).toBe(20)
  })

  it('of a query with several statements makes no deadlock', async () => {
    const runner = world.run(customerLookup)
    await everything(world)
    await runner.caughtUp()
    for (const { name } of customerLookup.tables) {
      let built = false
      let building: Promise<void> | undefined
      await readModels.query(customerLookup, {}, async (db, schema) => {
        await sql`select from ${sql.table(`${schema}.${name}`)}`.execute(db)
        building = rebuild(world.rebuilding, customerLookup).then(() => {
          built = true
        })
        await until('it is built, or waits', async () => built || (await blocked()))
        for (const other of customerLookup.tables) await sql`select from ${sql.table(`${schema}.${other.name}`)}`.execute(db)
      })
      await building
    }
  })

  it('lets queries pass while an analyst’s long one is in its way', async () => {
    const { db, database } = world
    const runner = world.run(customerLookup)
    await create(world.runtime)
    await runner.caughtUp()
    const analyst = await database.pool.connect()
    await analyst.query('begin')
    await analyst.query('select from analytics.customer')
    let built = false
    const building = rebuild(world.rebuilding, customerLookup).then(() => {
      built = true
    })
    await until('it waits', blocked)
    const started = performance.now()
    expect((await readModels.query(customerLookup, {}, countCustomers)).result).toBe(1)
    expect(performance.now() - started).toBeLessThan(4000)
    expect(built).toBe(false)
    await analyst.query('commit')
    analyst.release()
    await building
    expect(await countCustomers(db, schemaOf(customerLookup))).toBe(1)
  })

  it('is strict: an event that cannot be projected ends it, is named, and leaves what is in use as it was', async () => {
    const { db, runtime } = world
    const runner = world.run(lifecycle)
    const { customerId } = await create(runtime)
    await runner.caughtUp()
    const before = await dump(db, lifecycle)
    const position = await appendByHand(world, `customer-${customerId}`, 'StageChanged', { to: 7 })
    await until('it stops', () => runner.status().state === 'stopped')
    const place = `StageChanged at position ${position} (customer-${customerId}, revision 2): does not fit its schema in`
    await expect(rebuild(world.rebuilding, lifecycle)).rejects.toThrow(place)
    expect(await dump(db, lifecycle)).toEqual(before)
    expect((await listCheckpoints(db)).map((row) => [row.model, row.build, row.position])).toEqual([['lifecycle', 'live', position - 1n]])
    expect((await readModels.query(lifecycle, {}, countCustomers)).result).toBe(1)
    // What is in use can be compared up to where it stands.
    expect(await compareWithReplay(world.rebuilding, lifecycle)).toEqual([])
  })

  it('is refused while another one, or a comparison, of the same model runs', async () => {
    const runner = world.run(lifecycle)
    for (let n = 0; n < 5; n += 1) await create(world.runtime)
    await runner.caughtUp()
    const gate = makeGate()
    const gated = { ...world.rebuilding, store: gatedAt(world.store, 10n, gate.pass) }
    const first = rebuild(gated, lifecycle)
    await until('the first is half-way', gate.arrived)
    for (const second of [rebuild, compareWithReplay]) await expect(second(world.rebuilding, lifecycle)).rejects.toThrow('lifecycle is being built anew or compared by another process: wait until that is done')
    await rebuild(world.rebuilding, ownershipHistory)
    gate.open()
    await first
    expect((await readModels.query(lifecycle, {}, countCustomers)).result).toBe(5)
    expect(await compareWithReplay(world.rebuilding, lifecycle)).toEqual([])
  })

  it('that was killed half-way is made good by the next', async () => {
    const runner = world.run(lifecycle)
    await create(world.runtime)
    await runner.caughtUp()
    // What a process killed in the middle leaves behind.
    const { db, runtime: { codec }, placeId } = world
    const started = await prepare(db, lifecycle, 'rebuild', placeId)
    for await (const batch of world.store.readAll({ after: 0n })) await apply({ db, codec, projection: lifecycle, build: 'rebuild' }, started, batch, { ready: false })
    await rebuild(world.rebuilding, lifecycle)
    expect(await countCustomers(world.db, schemaOf(lifecycle))).toBe(1)
  })
})

/** Another value of the column's type. */
const otherValue = ({ name, type }: Column) => {
  const column = sql.id(name)
  switch (type.split(' ')[0]) {
    case 'text': return sql`coalesce(${column}, '') || 'x'`
    case 'integer': case 'bigint': return sql`coalesce(${column}, 0) + 1`
    case 'bigint[]': return sql`${column} || 1::bigint`
    case 'boolean': return sql`${column} is not true`
    case 'timestamptz': return sql`coalesce(${column}, '1970-01-01') + interval '1 microsecond'`
    case 'jsonb': return sql`case jsonb_typeof(${column}) when 'array' then ${column} || '[1]' else coalesce(${column}, '{}') || '{"x": 1}' end`
    case 'tstzrange': return sql`case when isempty(${column}) then tstzrange('1970-01-01', '1970-01-02') else 'empty' end`
    case 'int8range': return sql`case when isempty(${column}) then int8range(1, 2) else 'empty' end`
    default: return expect.fail(`what is another value of the type ${type}?`)
  }
}
const compared = (table: Table) => table.columns.filter((column) => !column.type.includes('generated'))

describe('the comparison with a replay', () => {
  let world: World
  beforeAll(async () => {
    world = await makeWorld()
    await everything(world)
  })
  afterAll(() => world.close())

  it('covers every column but the generated key that names a row within a build', () => {
    const left = models.flatMap((projection) => projection.tables.flatMap((table) => table.columns.filter((column) => !compared(table).includes(column)).map((column) => `${table.name}.${column.name}`)))
    expect(left).toEqual(['ownership_period.period_id'])
  })

  it.each(models)('finds a cell of $model changed by hand, in any column of any table, and nothing otherwise', async (projection) => {
    const { db } = world
    const runner = world.run(projection)
    await runner.caughtUp()
    const schema = schemaOf(projection)
    const compare = () => compareWithReplay(world.rebuilding, projection)
    expect(await compare()).toEqual([])
    // In each round one column of each table; the next round begins with the rows as they were.
    for (const table of projection.tables) await sql`create table ${sql.id('public', `kept_${projection.model}_${table.name}`)} as table ${sql.id(schema, table.name)}`.execute(db)
    const rounds = Math.max(...projection.tables.map((table) => compared(table).length))
    for (let round = 0; round < rounds; round += 1) {
      const changed: { table: string; column: string }[] = []
      for (const table of projection.tables) {
        const column = compared(table)[round]
        if (!column) continue
        const name = sql.id(schema, table.name)
        const { numAffectedRows } = await sql`update ${name} set ${sql.id(column.name)} = ${otherValue(column)} where ctid = (select ctid from ${name} order by ctid desc limit 1)`.execute(db)
        expect(numAffectedRows, `${table.name}.${column.name}`).toBe(1n)
        changed.push({ table: table.name, column: column.name })
      }
      const found = await compare()
      expect(found.map(({ table, onlyLive, onlyReplayed }) => ({ table, onlyLive, onlyReplayed })), JSON.stringify(changed)).toEqual(changed.map(({ table }) => ({ table, onlyLive: 1, onlyReplayed: 1 })))
      for (const table of projection.tables) {
        await sql`delete from ${sql.id(schema, table.name)}`.execute(db)
        await sql`insert into ${sql.id(schema, table.name)} overriding system value table ${sql.id('public', `kept_${projection.model}_${table.name}`)}`.execute(db)
      }
    }
    expect(await compare()).toEqual([])
    const [first] = projection.tables
    if (!first) return expect.fail('no table')
    await sql`delete from ${sql.id(schema, first.name)} where ctid = (select min(ctid) from ${sql.id(schema, first.name)})`.execute(db)
    expect(await compare()).toMatchObject([{ table: first.name, onlyLive: 0, onlyReplayed: 1 }])
    await runner.stop()
  })

  it('ends, and reports nothing, while commands go on', async () => {
    await rebuild(world.rebuilding, customerLookup)
    const runner = world.run(customerLookup)
    await runner.caughtUp()
    let done = false
    const write = async () => {
      while (!done) await create(world.runtime)
    }
    const writing = [write(), write(), write()]
    for (let n = 0; n < 3; n += 1) expect(await compareWithReplay(world.rebuilding, customerLookup)).toEqual([])
    done = true
    await Promise.all(writing)
    await runner.stop()
  })

  it('compares what stands behind the log with the log up to there, and says when there is nothing to compare', async () => {
    await create(world.runtime)
    const there = await readCheckpoint(world.db, customerLookup)
    expect(there?.position).toBeLessThan(await world.store.head())
    expect(await compareWithReplay(world.rebuilding, customerLookup)).toEqual([])
    expect(await readCheckpoint(world.db, customerLookup)).toEqual(there)
    await expect(compareWithReplay(world.rebuilding, { ...customerLookup, version: 9 })).rejects.toThrow('customer-lookup version 9 has not been built yet')
  })

  it('leaves nothing behind', async () => {
    const { rows } = await sql`select from pg_namespace where nspname like '%rebuild%'`.execute(world.db)
    expect(rows).toEqual([])
    expect((await listCheckpoints(world.db)).map((row) => row.build)).not.toContain('rebuild')
    await send(world.runtime, 'register-department', { departmentId: 'last', name: '最后' })
  })
})
