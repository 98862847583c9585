import { expect, it } from 'vitest'
import { migrate } from '../../migrations/index.ts'
import { isConnectionError } from '../../src/event-store/postgres/connection.ts'
import { makeDatabase, openPool } from '../support/database.ts'
import { startProxy } from './proxy.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'

it('a start that is cut off, at whatever answer of PostgreSQL, takes that for what it is: one waits for it, and starts', async () => {
  const database = await makeDatabase()
  const url = new URL(database.url)
  const proxy = await startProxy(Number(url.port))
  url.port = String(proxy.port)
  const start = async (): Promise<unknown> => {
    const pool = openPool(url.href, { max: 1 })
    const db = kyselyOn(pool)
    return migrate(db).then(() => undefined, (error: unknown) => error).finally(() => db.destroy())
  }
  /** Cut off at each of so many answers: how often that was noticed. Who lost no more than the word that something was done goes on. */
  const cutOff = async (answers: number, before: () => Promise<unknown>): Promise<number> => {
    let noticed = 0
    for (let cut = 0; cut < answers; cut += 1) {
      await before()
      proxy.loseAnswers(1, cut)
      const error = await start()
      if (error === undefined) continue
      noticed += 1
      expect(isConnectionError(error), `cut off at answer ${cut}: ${String(error)}`).toBe(true)
    }
    proxy.loseAnswers(0)
    return noticed
  }
  expect(await cutOff(10, async () => undefined)).toBeGreaterThan(2)
  // With everything to do.
  expect(await cutOff(30, () => database.pool.query('drop schema if exists kehu cascade; drop schema if exists kehu_migration cascade'))).toBeGreaterThan(15)
  expect(await start()).toBe(undefined)
  await proxy.close()
  await database.drop()
})
