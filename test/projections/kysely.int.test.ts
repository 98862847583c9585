import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { concurrently, kyselyOn, PREPARED, THEN, UNWAITED, unseen } from '../../src/projections/kysely.ts'
import { makeDatabase, openPool, type TestDatabase } from '../support/database.ts'

describe('Kysely on a pool', () => {
  let database: TestDatabase
  let db: ReturnType<typeof kyselyOn>
  beforeAll(async () => {
    database = await makeDatabase()
    // One session, as a command has it.
    db = kyselyOn(openPool(database.url, { max: 1, pipeline: true }))
  })
  afterAll(async () => {
    await db.destroy()
    await database.drop()
  })

  const prepared = async () => (await sql<{ statement: string; generic_plans: string; custom_plans: string }>`select statement, generic_plans, custom_plans from pg_prepared_statements`.execute(db)).rows

  it('prepares a marked statement once for a session, whatever it is asked with, and no other', async () => {
    for (const n of [1, 2, 3]) {
      expect((await sql<{ n: number }>`${PREPARED} select ${n}::integer as n`.execute(db)).rows).toEqual([{ n }])
      expect((await sql<{ n: number }>`select ${n}::integer + 1 as n`.execute(db)).rows).toEqual([{ n: n + 1 }])
    }
    const statements = await prepared()
    expect(statements.map(({ statement }) => statement)).toEqual(['/* prepared */ select $1::integer as n'])
    expect(statements.map((one) => Number(one.generic_plans) + Number(one.custom_plans))).toEqual([3])
  })

  it('sends statements ahead of a prepared one, and says what went wrong with them', async () => {
    await sql`create table ahead (n integer)`.execute(db)
    const counted = (n: number) => sql<{ of: number }>`insert into ahead values (1); insert into ahead values (2); ${THEN} ${PREPARED} select count(*)::integer + ${n} as of from ahead`
    expect((await counted(10).execute(db)).rows).toEqual([{ of: 12 }])
    expect((await counted(20).execute(db)).rows).toEqual([{ of: 24 }])
    expect((await prepared()).filter(({ statement }) => statement.includes('ahead'))).toMatchObject([{ statement: expect.stringContaining('select count(*)::integer + $1') }])
    await expect(sql`select 1/0; ${THEN} select 1`.execute(db)).rejects.toMatchObject({ code: '22012' })
    // As the first of a transaction it is a part of it.
    await expect(db.transaction().execute(async (trx) => {
      expect((await counted(0).execute(trx)).rows).toEqual([{ of: 6 }])
      throw new Error('given up')
    })).rejects.toThrow('given up')
    expect((await sql<{ of: number }>`select count(*)::integer as of from ahead`.execute(db)).rows).toEqual([{ of: 4 }])
  })

  it('plans a prepared statement once, however many values it is asked for, where they are unseen', async () => {
    await sql`create table looked_up (id text primary key)`.execute(db)
    await sql`insert into looked_up select n::text from generate_series(1, 50) as n`.execute(db)
    await sql`analyze looked_up`.execute(db)
    const ask = async (ids: string[]) => (await sql<{ id: string }>`${PREPARED} select id from looked_up where id = any(${unseen(ids, 'text')}) order by id`.execute(db)).rows.map(({ id }) => id)
    for (let n = 0; n < 12; n += 1) expect(await ask(Array.from({ length: n }, (_, at) => String(at + 1)))).toHaveLength(n)
    const [one] = (await prepared()).filter(({ statement }) => statement.includes('looked_up'))
    // Postgres tries five times before it settles on a plan.
    expect(one).toMatchObject({ custom_plans: '5', generic_plans: '7' })
  })

  it('answers the rows of the last of several statements', async () => {
    expect((await sql.raw<{ n: number }>('select 1 as n; select 2 as n union all select 3 order by n').execute(db)).rows).toEqual([{ n: 2 }, { n: 3 }])
    expect((await sql.raw('select 1 as n; select 2 as n where false').execute(db)).rows).toEqual([])
  })

  it('begins a transaction with its first statement, whatever that is, and one without statements not at all', async () => {
    await sql`create table kept (n integer)`.execute(db)
    const count = async () => (await sql<{ n: number }>`select n from kept order by n`.execute(db)).rows.map(({ n }) => n)
    for (const [n, first] of [sql.raw('select 1; insert into kept values (0)'), sql`insert into kept values (${1})`, sql`${PREPARED} insert into kept values (2)`].entries()) {
      const failing = db.transaction().execute(async (trx) => {
        await first.execute(trx)
        await sql`insert into kept values (${9})`.execute(trx)
        throw new Error('given up')
      })
      await expect(failing).rejects.toThrow('given up')
      expect(await count()).toEqual(Array.from({ length: n }, (_, index) => index))
      await db.transaction().execute((trx) => first.execute(trx))
      expect(await count()).toEqual(Array.from({ length: n + 1 }, (_, index) => index))
    }
    await db.transaction().execute(async () => undefined)
    await expect(db.transaction().execute((trx) => sql.raw('select 1/0').execute(trx))).rejects.toMatchObject({ code: '22012' })
    // Not in a transaction that was left open.
    expect((await sql<{ one: boolean }>`select now() = statement_timestamp() as one`.execute(db)).rows).toEqual([{ one: true }])
    expect(await count()).toEqual([0, 1, 2])
  })

  it('says what went wrong, in a prepared statement as in any', async () => {
    await expect(sql`${PREPARED} select ${'x'}::integer`.execute(db)).rejects.toMatchObject({ code: '22P02' })
    await expect(sql.raw('select 1; select 1/0').execute(db)).rejects.toMatchObject({ code: '22012' })
    expect((await sql<{ n: number }>`${PREPARED} select ${7}::integer as n`.execute(db)).rows).toEqual([{ n: 7 }])
  })

  describe('a statement that is not waited for', () => {
    const rows = async () => (await sql<{ n: number }>`select n from hurried order by n`.execute(db)).rows.map(({ n }) => n)
    const insert = (n: number) => sql`${PREPARED} ${UNWAITED} insert into hurried values (${n})`
    beforeAll(async () => {
      await sql`create table hurried (n integer primary key)`.execute(db)
    })

    it('is carried out before those behind it, and is there once the transaction is', async () => {
      const seen = await db.transaction().execute(async (trx) => {
        await sql.raw(`/* unwaited */ insert into hurried values (0); insert into hurried values (1)`).execute(trx)
        await insert(2).execute(trx)
        const { rows: found } = await sql<{ n: number }>`select n from hurried order by n`.execute(trx)
        await insert(3).execute(trx)
        return found.map(({ n }) => n)
      })
      expect(seen).toEqual([0, 1, 2])
      expect(await rows()).toEqual([0, 1, 2, 3])
    })

    it('fails the next one that is waited for, and the commit at the latest, with what it said itself', async () => {
      const failing = (then: 'select' | 'commit') => db.transaction().execute(async (trx) => {
        await insert(4).execute(trx)
        await insert(2).execute(trx)
        await insert(5).execute(trx)
        if (then === 'select') await sql`select n from hurried`.execute(trx)
      })
      for (const then of ['select', 'commit'] as const) await expect(failing(then)).rejects.toMatchObject({ code: '23505' })
      expect(await rows()).toEqual([0, 1, 2, 3])
    })

    it('is undone with a transaction that is given up', async () => {
      await expect(db.transaction().execute(async (trx) => {
        await insert(6).execute(trx)
        await insert(2).execute(trx)
        throw new Error('given up')
      })).rejects.toThrow('given up')
      expect(await rows()).toEqual([0, 1, 2, 3])
    })
  })

  describe('a transaction of which several may ask at once', () => {
    const ask = (n: number) => sql<{ n: number; now: string; id: string }>`select ${n}::integer as n, clock_timestamp()::text as now, pg_current_xact_id()::text as id`

    it('sends what is asked in one turn before the first of it is answered, and answers it together', async () => {
      const sent = vi.spyOn(pg.Client.prototype, 'query')
      try {
        await db.transaction().execute((trx) => concurrently(trx, async (shared) => {
          await sql`${UNWAITED} select`.execute(shared)
          sent.mockClear()
          const order: string[] = []
          const answered = [1, 2, 3].map(async (n) => {
            const { rows } = await ask(n).execute(shared)
            order.push(`answer ${n}`)
            await ask(n + 10).execute(shared)
            return rows[0]
          })
          await new Promise(setImmediate)
          expect(sent).toHaveBeenCalledTimes(3)
          const found = await Promise.all(answered)
          expect(found.map((row) => row?.n)).toEqual([1, 2, 3])
          expect(new Set(found.map((row) => row?.id)).size).toBe(1)
          expect(order).toEqual(['answer 1', 'answer 2', 'answer 3'])
        }))
      } finally {
        sent.mockRestore()
      }
    })

    it('takes nothing more once its work has come to an end: behind the rollback it would be kept', async () => {
      await sql`create table late (n integer primary key)`.execute(db)
      const insert = (n: number) => sql`${UNWAITED} insert into late values (${n})`
      let late: Promise<unknown> | undefined
      await expect(db.transaction().execute(async (trx) => {
        const working = concurrently(trx, async (shared) => {
          await insert(1).execute(shared)
          late = working.catch(() => insert(2).execute(shared)).catch((error: unknown) => error)
          throw new Error('given up')
        })
        await working
      })).rejects.toThrow('given up')
      expect(await late).toEqual(new Error('the transaction is over'))
      expect((await sql`select n from late`.execute(db)).rows).toEqual([])
    })

    it('fails each with what it said, and then as a whole', async () => {
      await sql`create table shared (n integer primary key)`.execute(db)
      const outcomes: string[] = []
      await expect(db.transaction().execute((trx) => concurrently(trx, async (shared) => {
        await sql`insert into shared values (1)`.execute(shared)
        const both = await Promise.allSettled([sql`select 1/${0}::integer`.execute(shared), ask(2).execute(shared)])
        outcomes.push(...both.map((one) => (one.status === 'rejected' && one.reason instanceof pg.DatabaseError ? (one.reason.code ?? '') : one.status)))
        for (const one of both) if (one.status === 'rejected') throw one.reason
      }))).rejects.toMatchObject({ code: '22012' })
      expect(outcomes).toEqual(['22012', '25P02'])
      expect((await sql`select n from shared`.execute(db)).rows).toEqual([])
    })
  })
})
