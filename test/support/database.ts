import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

export type TestDatabase = { url: string; pool: pg.Pool; drop: () => Promise<void> }

/** A pool whose sessions a test may cut, also as they end: one that dies is not an error of its own. */
export const openPool = (connectionString: string, more: pg.PoolConfig = {}): pg.Pool => {
  const pool = new pg.Pool({ connectionString, ...more })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** A migrated database of its own. */
export const makeDatabase = async (): Promise<TestDatabase> => {
  const name = `kehu_${randomBytes(6).toString('hex')}`
  const server = inject('postgresUrl')
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: server })
    await client.connect()
    await client.query(sql).finally(() => client.end())
  }
  await admin(`create database ${name} template ${inject('templateDatabase')}`)
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  const pool = openPool(url, { max: 10 })
  return {
    url,
    pool,
    drop: async () => {
      await pool.end()
      await admin(`drop database if exists ${name} with (force)`)
    },
  }
}
