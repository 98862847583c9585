import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Config } from './config.ts'
import { makeCodec, type Codec } from './event-store/codec.ts'
import { makeKeyring, type Keyring } from './event-store/keyring.ts'
import type { EventStore } from './event-store/port.ts'
import { makePostgresEventStore } from './event-store/postgres/store.ts'

/** What every thread of a process has of its own: connections to Postgres, the log, and the keys to open it with. */
export type Storage = { pool: pg.Pool; db: Kysely<unknown>; store: EventStore; keyring: Keyring; codec: Codec; close: () => Promise<void> }

export type StorageOptions = Pick<Config, 'eventStoreUrl' | 'eventStorePrefix'> & { connectionString: string; masterKeys: readonly [Buffer, ...Buffer[]] }

export const openStorage = async ({ connectionString, masterKeys, eventStoreUrl, eventStorePrefix }: StorageOptions): Promise<Storage> => {
  // Sessions keep settings they began with: one from a time when the database was read-only does not outlive it for long.
  const pool = new pg.Pool({ connectionString, max: 20, application_name: 'kehu', connectionTimeoutMillis: 5000, keepAlive: true, maxLifetimeSeconds: 60, pipeline: true })
  // A connection that dies, idle or between two statements of a transaction, is an error of its next use only:
  // unheard, it would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const keyring = makeKeyring(pool, masterKeys)
  // The log is in EventStoreDB where one is named, else in Postgres: then its client need not be loaded.
  const store = eventStoreUrl === undefined
    ? makePostgresEventStore({ connectionString, pool })
    : (await import('./event-store/eventstoredb/store.ts')).makeEventStoreDbEventStore({ url: eventStoreUrl, pool, ...(eventStorePrefix === undefined ? {} : { prefix: eventStorePrefix }) })
  return {
    pool, db, store, keyring,
    codec: makeCodec(keyring),
    close: async () => {
      await store.close()
      await db.destroy()
    },
  }
}
