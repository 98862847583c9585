import { sql, type Kysely } from 'kysely'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStorage, type Storage } from '../src/storage.ts'
import { makeDatabase, type TestDatabase } from './support/database.ts'

let database: TestDatabase
let storage: Storage
beforeAll(async () => {
  database = await makeDatabase()
  storage = await openStorage({ connectionString: database.url, masterKeys: [Buffer.alloc(32)], eventStoreUrl: undefined, eventStorePrefix: undefined, databaseWaitMs: 500 })
})
afterAll(async () => {
  await storage.close()
  await database.drop()
})

it('what a command reads is waited for as long as told; what a query or a build reads, longer', async () => {
  const slow = 'select pg_sleep(0.8)'
  const on = (db: Kysely<unknown>) => sql.raw(slow).execute(db)
  const [short, query, build] = await Promise.allSettled([storage.pool.query(slow), on(storage.queries), on(storage.db)])
  expect(short).toMatchObject({ status: 'rejected', reason: { message: 'Query read timeout' } })
  expect([query.status, build.status]).toEqual(['fulfilled', 'fulfilled'])
  // Its connection is not used again.
  expect((await storage.pool.query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }])
})
