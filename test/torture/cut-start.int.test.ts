import pg from 'pg'
import { expect, it } from 'vitest'
import { migrate } from '../../migrations/index.ts'
import { isConnectionError } from '../../src/event-store/postgres/connection.ts'
import { makeDatabase } from '../support/database.ts'
import { startProxy } from './proxy.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'

it('a start that is cut off, at whatever answer of PostgreSQL, takes that for what it is: one waits for it, and starts', async () => {
  const database = await makeDatabase()
  const url = new URL(database.url)
  const proxy = await startProxy(Number(url.port))
  url.port = String(proxy.port)
  const start = async (): Promise<unknown> => {
    const pool = new pg.Pool({ connectionString: url.href, max: 1 })
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    const db = kyselyOn(pool)
    return migrate(db).then(() => undefined, (error: unknown) => error).finally(() => db.destroy())
  }
  let cut = 0
  for (let error: unknown = ''; error !== undefined; cut += 1) {
    proxy.loseAnswers(1, cut)
    error = await start()
    if (error !== undefined) expect(isConnectionError(error), `cut off at answer ${cut}: ${String(error)}`).toBe(true)
  }
  expect(cut).toBeGreaterThan(5)
  await proxy.close()
  await database.drop()
})
