import { sql, type Kysely } from 'kysely'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { EventStoreUnavailable } from '../src/event-store/port.ts'
import { isConnectionError } from '../src/event-store/postgres/connection.ts'
import { customerLookup } from '../src/projections/customer-lookup/project.ts'
import { makeReadModels, ModelBuilding } from '../src/projections/read-models.ts'
import { openStorage, type Storage } from '../src/storage.ts'
import { collect } from './event-store/contract.ts'
import { makeDatabase, type TestDatabase } from './support/database.ts'
import { startProxy, type Proxy } from './torture/proxy.ts'

const WAIT_MS = 1500

let database: TestDatabase
let proxy: Proxy
let connectionString: string
let storage: Storage
beforeEach(async () => {
  database = await makeDatabase()
  proxy = await startProxy(Number(new URL(database.url).port))
  connectionString = Object.assign(new URL(database.url), { port: String(proxy.port) }).href
  storage = await openStorage({ connectionString, masterKeys: [Buffer.alloc(32)], eventStoreUrl: undefined, eventStorePrefix: undefined, databaseWaitMs: WAIT_MS })
})
afterEach(async () => {
  proxy.freeze(false)
  await storage.close()
  await proxy.close()
  await database.drop()
})

it('what a command reads is waited for as long as told; what a query or a build reads, longer', async () => {
  await vi.waitFor(() => storage.pool.query('select 1'), { timeout: 20_000 })
  const slow = 'select pg_sleep(2)'
  const on = (db: Kysely<unknown>) => sql.raw(slow).execute(db)
  const [short, query, build] = await Promise.allSettled([storage.pool.query(slow), on(storage.queries), on(storage.db)])
  expect(short).toMatchObject({ status: 'rejected', reason: { message: 'Query read timeout' } })
  expect([query.status, build.status]).toEqual(['fulfilled', 'fulfilled'])
  // Its connection is not used again.
  expect((await storage.pool.query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }])
})

it('nothing that a command or a query asks waits for ever for a network that has fallen silent; it is answered when that speaks again', async () => {
  const { store, keyring, queries } = storage
  const readModels = makeReadModels({ db: queries, connectionString, head: store.head, waitMs: 0, databaseWaitMs: WAIT_MS })
  // One that was asked for a moment ago is known.
  let subjects = 0
  const asked = () => [
    collect(store.readStream('customer-none')), store.head(), store.eventAt(1n), collect(store.readAll({ after: 0n })),
    store.receipts.find('0190a0a0-0000-7000-8000-000000000000'), keyring.find(['nobody']), keyring.ensure([`somebody ${(subjects += 1)}`]),
    // None has been built here: whoever gets as far as to ask is told so.
    readModels.query(customerLookup, {}, () => Promise.resolve('an answer')).catch((error: unknown) => {
      if (!(error instanceof ModelBuilding)) throw error
    }),
  ]
  await vi.waitFor(() => Promise.all(asked()), { timeout: 20_000 })
  proxy.freeze(true)
  const started = performance.now()
  // More at once than there are connections.
  const silent = await Promise.allSettled([1, 2, 3, 4].flatMap(asked))
  expect(performance.now() - started).toBeLessThan(10 * WAIT_MS)
  for (const outcome of silent) expect(outcome.status === 'rejected' && (outcome.reason instanceof EventStoreUnavailable || isConnectionError(outcome.reason)), String(outcome.status === 'rejected' && outcome.reason)).toBe(true)
  proxy.freeze(false)
  await vi.waitFor(() => Promise.all(asked()), { timeout: 20_000 })
  await readModels.close()
})
