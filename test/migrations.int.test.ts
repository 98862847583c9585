import { sql, type Kysely } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate } from '../migrations/index.ts'
import { kyselyOn } from '../src/projections/kysely.ts'
import { makeDatabase, openPool, type TestDatabase } from './support/database.ts'

describe('migrating', () => {
  let database: TestDatabase
  let db: Kysely<unknown>
  beforeEach(async () => {
    database = await makeDatabase()
    db = kyselyOn(openPool(database.url, { max: 8 }))
  })
  afterEach(async () => {
    await db.destroy()
    await database.drop()
  })

  it('does nothing where all is done, however many begin at once, and whatever read models come and go meanwhile', async () => {
    let over = false
    const comeAndGo = async (schema: string): Promise<void> => {
      while (!over) {
        await sql.raw(`create schema ${schema}; create table ${schema}.some (id bigint generated always as identity, name text); create table ${schema}.more (id bigint)`).execute(db)
        await sql.raw(`drop schema ${schema} cascade`).execute(db)
      }
    }
    const churn = Promise.all(['one_rebuild', 'other_rebuild'].map(comeAndGo))
    for (let round = 0; round < 10; round += 1) expect(await Promise.all([migrate(db), migrate(db), migrate(db)])).toEqual([[], [], []])
    over = true
    await churn
  })

  it('carries out what is missing', async () => {
    await sql`drop schema kehu cascade`.execute(db)
    await sql`drop schema kehu_migration cascade`.execute(db)
    const done = await migrate(db)
    expect(done[0]).toBe('0001-log')
    expect((await sql<{ name: string }>`select name from kehu_migration.kysely_migration order by name`.execute(db)).rows.map(({ name }) => name)).toEqual(done)
    expect(await migrate(db)).toEqual([])
  })

  it('refuses what a later version has migrated', async () => {
    await sql`insert into kehu_migration.kysely_migration (name, timestamp) values ('9999-later', '2100-01-01')`.execute(db)
    await expect(migrate(db)).rejects.toThrow('9999-later')
  })
})
