import { type Kysely } from 'kysely'
import pg from 'pg'
import type { Config } from './config.ts'
import { makeCodec, type Codec } from './event-store/codec.ts'
import { makeKeyring, type Keyring } from './event-store/keyring.ts'
import type { EventStore } from './event-store/port.ts'
import { BY_KEY, connecting } from './event-store/postgres/connection.ts'
import { makePostgresEventStore } from './event-store/postgres/store.ts'
import { kyselyOn } from './projections/kysely.ts'

/**
 * What every thread of a process has of its own: connections to Postgres, the log, and the keys to open it with.
 * Each pool by how long it waits for an answer: `pool`, for what is short (pages of the log, receipts, keys), as long as
 * a command waits; `queries`, which ask read models, a minute; `db`, which builds and migrates, for ever.
 */
export type Storage = { pool: pg.Pool; db: Kysely<unknown>; queries: Kysely<unknown>; store: EventStore; keyring: Keyring; codec: Codec; close: () => Promise<void> }

export type StorageOptions = Pick<Config, 'eventStoreUrl' | 'eventStorePrefix' | 'databaseWaitMs'> & { connectionString: string; masterKeys: readonly [Buffer, ...Buffer[]] }

/** The longest statement of a query: the figures of an analyst over all customers. */
const QUERY_MS = 60_000

export const openStorage = async ({ connectionString, masterKeys, eventStoreUrl, eventStorePrefix, databaseWaitMs }: StorageOptions): Promise<Storage> => {
  const poolOf = (more: pg.PoolConfig): pg.Pool => {
    // Sessions keep settings they began with: one from a time when the database was read-only does not outlive it for long.
    const pool = new pg.Pool({ connectionString, application_name: 'kehu', ...connecting(), maxLifetimeSeconds: 60, pipeline: true, ...more })
    // A connection that dies, idle or between two statements of a transaction, is an error of its next use only:
    // unheard, it would end the process.
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    return pool
  }
  const pool = poolOf({ max: 12, ...connecting(databaseWaitMs), query_timeout: databaseWaitMs, options: BY_KEY })
  // A plan that must read a whole table although it was told not to has, before PostgreSQL 18, a price at which it is compiled first.
  const db = kyselyOn(poolOf({ max: 20, options: '-c jit=off' }))
  const queries = kyselyOn(poolOf({ max: 12, query_timeout: QUERY_MS }))
  const keyring = makeKeyring(pool, masterKeys)
  // The log is in EventStoreDB where one is named, else in Postgres: then its client need not be loaded.
  const store = eventStoreUrl === undefined
    ? makePostgresEventStore({ connectionString, pool, timeoutMs: databaseWaitMs })
    : (await import('./event-store/eventstoredb/store.ts')).makeEventStoreDbEventStore({ url: eventStoreUrl, pool, ...(eventStorePrefix === undefined ? {} : { prefix: eventStorePrefix }) })
  return {
    pool, db, queries, store, keyring,
    codec: makeCodec(keyring),
    close: async () => {
      await store.close()
      await Promise.all([pool.end(), db.destroy(), queries.destroy()])
    },
  }
}
