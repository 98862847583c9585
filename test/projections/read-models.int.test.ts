import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { customerById } from '../../src/projections/customer-lookup/queries.ts'
import type { Projection } from '../../src/projections/projection.ts'
import { makeReadModels, ModelBuilding, NotCaughtUp, type ReadModels } from '../../src/projections/read-models.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { create, makeWorld, send, until, type World } from './world.ts'

describe('a query of a read model', () => {
  let world: World
  const opened: ReadModels[] = []
  const releases: (() => void)[] = []
  const open = (waitMs: number): ReadModels => {
    const readModels = makeReadModels({ db: world.db, connectionString: world.database.url, head: world.store.head, waitMs })
    opened.push(readModels)
    return readModels
  }
  const countCustomers = async (db: World['db'], schema: string): Promise<number> => Number((await sql<{ n: string }>`select count(*) as n from ${sql.table(`${schema}.customer`)}`.execute(db)).rows[0]?.n)
  /** The customer lookup, which stands still while it is held. */
  const heldLookup = () => {
    let held: Promise<void> | undefined
    let release: () => void = () => undefined
    const projection: Projection = {
      ...customerLookup,
      project: async (trx, schema, events) => {
        await held
        await customerLookup.project(trx, schema, events)
      },
    }
    releases.push(() => release())
    return {
      projection,
      hold: () => {
        held = new Promise((resolve) => {
          release = resolve
        })
      },
      release: () => {
        held = undefined
        release()
      },
    }
  }

  beforeEach(async () => {
    world = await makeWorld()
  })
  afterEach(async () => {
    for (const release of releases.splice(0)) release()
    await Promise.all(opened.splice(0).map((readModels) => readModels.close()))
    await world.close()
  })

  it('sees one’s own writes: it waits for the position a command answered, and for no more', async () => {
    const { projection, hold, release } = heldLookup()
    const runner = world.run(projection)
    await runner.caughtUp()
    const readModels = open(20_000)
    hold()
    const { customerId, position } = await create(world.runtime, { name: '王小明' })
    const ask = (after?: bigint) => readModels.query(customerLookup, { after }, (db, schema) => customerById(db, schema, customerId, { all: true }, 1))
    let answered = false
    const waiting = ask(position).then((answer) => {
      answered = true
      return answer
    })
    // Whoever does not ask for it is answered from what there is, and told as of when that is.
    const now = await ask()
    expect(now.result).toBeUndefined()
    expect(now.asOf.position).toBeLessThan(position)
    expect((await ask(now.asOf.position)).asOf).toEqual(now.asOf)
    expect((await ask(0n)).asOf).toEqual(now.asOf)
    expect(answered).toBe(false)
    release()
    const { result, asOf } = await waiting
    expect(result).toMatchObject({ name: '王小明', revision: 1 })
    expect(asOf.position).toBeGreaterThanOrEqual(position)
    expect(asOf.time).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  it('waits hardly longer than the model needs, however many ask', async () => {
    const runner = world.run(customerLookup)
    await runner.caughtUp()
    const readModels = open(20_000)
    const started = performance.now()
    await Promise.all(Array.from({ length: 40 }, async () => {
      const { customerId, position } = await create(world.runtime)
      expect((await readModels.query(customerLookup, { after: position }, (db, schema) => customerById(db, schema, customerId, { all: true }, 1))).result?.customerId).toBe(customerId)
    }))
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('is told so, after a bounded wait, when the model does not get there', async () => {
    const { projection, hold, release } = heldLookup()
    const runner = world.run(projection)
    await runner.caughtUp()
    const { position: before } = runner.status()
    hold()
    const { position } = await create(world.runtime)
    const started = performance.now()
    const failure = await open(300).query(customerLookup, { after: position }, countCustomers).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(NotCaughtUp)
    expect(String(failure)).toContain(`customer-lookup stands at position ${before}`)
    expect(performance.now() - started).toBeGreaterThanOrEqual(300)
    expect(performance.now() - started).toBeLessThan(3000)
    release()
    await runner.reaches(position)
  })

  it('is told that the model is being built, and how far it is, until it is ready', async () => {
    const readModels = open(20_000)
    const ask = (after?: bigint) => readModels.query(customerLookup, { after }, countCustomers)
    const { position } = await create(world.runtime)
    // Not even begun.
    expect(await ask().catch((error: unknown) => error)).toMatchObject({ name: 'ModelBuilding', position: 0n })
    const { projection, hold, release } = heldLookup()
    hold()
    const runner = world.run(projection, { store: { ...world.store, subscribe: (options) => world.store.subscribe({ ...options, batchSize: 3 }) } })
    await until('it has begun', () => runner.status().position > 0n)
    for (const failure of [await ask().catch((error: unknown) => error), await open(200).query(customerLookup, { after: position }, countCustomers).catch((error: unknown) => error)]) {
      expect(failure).toBeInstanceOf(ModelBuilding)
      const at = failure instanceof ModelBuilding ? failure.position : 0n
      expect(at > 0n && at <= runner.status().position && at < position).toBe(true)
    }
    // Who names a position waits for it all the same.
    const waiting = ask(position)
    release()
    expect(await waiting).toMatchObject({ result: 1, asOf: { position } })
    await runner.reaches(position)
  })

  it('is told first that the model is not there yet, whatever became of what it asked; and what went wrong leaves nothing behind', async () => {
    const runner = world.run(customerLookup)
    await runner.caughtUp()
    const { position } = await create(world.runtime)
    await runner.reaches(position)
    const readModels = open(100)
    const inVain = (db: World['db']) => sql`select 1/0`.execute(db)
    const refusing = (): Promise<number> => {
      throw new Error('cannot be asked')
    }
    // More than there are connections, one of which each would have kept.
    for (let n = 0; n < 25; n += 1) {
      await expect(readModels.query(customerLookup, {}, inVain)).rejects.toMatchObject({ code: '22012' })
      await expect(readModels.query(customerLookup, {}, refusing)).rejects.toThrow('cannot be asked')
    }
    await expect(readModels.query(customerLookup, { after: position + 1n }, inVain)).rejects.toThrow(NotCaughtUp)
    await expect(readModels.query(customerLookup, { after: position + 1n }, refusing)).rejects.toThrow(NotCaughtUp)
    await expect(readModels.query({ ...customerLookup, version: 999 }, {}, inVain)).rejects.toThrow(ModelBuilding)
    expect((await readModels.query(customerLookup, { after: position }, countCustomers)).result).toBe(1)
    // Nobody waits for the end of a query: it is there in a moment.
    await until('no transaction is left open', async () => (await sql`select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`.execute(world.db)).rows.length === 0)
  })

  it('sees rows and position of one moment', async () => {
    const runner = world.run(customerLookup)
    await runner.caughtUp()
    const { result, asOf } = await open(5000).query(customerLookup, {}, async (db, schema) => {
      const before = await countCustomers(db, schema)
      await runner.reaches((await create(world.runtime)).position)
      return [before, await countCustomers(db, schema)]
    })
    expect(result).toEqual([0, 0])
    expect(asOf.position).toBeLessThan(runner.status().position)
  })

  it('waits as well when the log was restored from an older copy, and positions it had heard of come again', async () => {
    const readModels = open(20_000)
    const runner = world.run(customerLookup)
    for (let n = 0; n < 5; n += 1) await create(world.runtime)
    await runner.caughtUp()
    const high = await world.store.head()
    await readModels.query(customerLookup, { after: high }, countCustomers)
    await runner.stop()
    await world.database.pool.query('delete from kehu.event where position > $1', [high - 10n])
    await rebuild(world.rebuilding, customerLookup)
    const { projection, hold, release } = heldLookup()
    hold()
    const again = world.run(projection)
    const { position, customerId } = await create(world.runtime)
    expect(position).toBeLessThan(high)
    const waiting = readModels.query(customerLookup, { after: position }, (db, schema) => customerById(db, schema, customerId, { all: true }, 1))
    await send(world.runtime, 'change-profile', { customerId, name: '李四' })
    release()
    expect((await waiting).result).toBeDefined()
    await again.caughtUp()
  })
})
