import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { migrate } from '../../../migrations/index.ts'
import { CopyFault } from '../../event-store/copy.ts'
import { makeEventStoreDbEventStore } from '../../event-store/eventstoredb/store.ts'
import { EventStoreUnavailable, type EventStore } from '../../event-store/port.ts'
import { isConnectionError } from '../../event-store/postgres/connection.ts'
import { makePostgresEventStore } from '../../event-store/postgres/store.ts'
import type { Address } from './address.ts'
import { kyselyOn } from '../../projections/kysely.ts'

/** A log to copy from or to. `pool` where it is in Postgres. */
export type OpenLog = { side: 'source' | 'target'; shown: string; store: EventStore; pool?: pg.Pool; prefix?: string; close: () => Promise<void> }

/** A server that is away for less than this ends no copy. */
const TIMEOUT_MS = 60_000

/** Connections told apart from those of a service. */
export const openPool = (connectionString: string): pg.Pool => {
  const pool = new pg.Pool({ connectionString, max: 4, application_name: 'kehu log copy', connectionTimeoutMillis: 5000, keepAlive: true })
  // A connection that dies is an error of its next use only: unheard, it would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** Opens a log and asks it something, so that one that cannot be reached is named at once. */
export const openLog = async (side: OpenLog['side'], address: Exclude<Address, { kind: 'installation' }>): Promise<OpenLog> => {
  const { shown } = address
  if (address.kind === 'postgres') {
    const pool = openPool(address.url)
    const store = makePostgresEventStore({ connectionString: address.url, pool, timeoutMs: TIMEOUT_MS })
    const close = async () => {
      await store.close()
      await pool.end()
    }
    return reaching({ side, shown, store, pool, close }, () => pool.query('select 1'))
  }
  // Receipts are not copied, and those of another installation are not to be settled: this pool leads nowhere.
  const nowhere = new pg.Pool({ host: '127.0.0.1', port: 1 })
  const store = makeEventStoreDbEventStore({ url: address.url, pool: nowhere, timeoutMs: TIMEOUT_MS, ...(address.prefix === undefined ? {} : { prefix: address.prefix }) })
  const close = async () => {
    await store.close()
    await nowhere.end()
  }
  return reaching({ side, shown, store, close, ...(address.prefix === undefined ? {} : { prefix: address.prefix }) }, () => store.head())
}

const reaching = async (log: OpenLog, ask: () => Promise<unknown>): Promise<OpenLog> => {
  try {
    await ask()
    return log
  } catch (error) {
    await log.close()
    throw unreachable(`The ${log.side}, ${log.shown},`, error)
  }
}

/** Says who cannot be reached, and why. Neither pg nor the client of EventStoreDB puts a password into a message. */
export const unreachable = (who: string, error: unknown): CopyFault => {
  const away = error instanceof EventStoreUnavailable || isConnectionError(error)
  const reason = error instanceof Error && error.message !== '' ? `: ${error.message}` : ''
  return new CopyFault(`${who} ${away ? 'does not answer' : 'cannot be opened'}${reason}`, { cause: error })
}

/** Whether a Postgres holds a log at all, be it empty. */
export const holdsTable = async (pool: pg.Pool): Promise<boolean> => (await pool.query<{ there: boolean }>(`select to_regclass('kehu.event') is not null as there`)).rows[0]?.there ?? false

export const migrateTarget = async (pool: pg.Pool): Promise<void> => {
  // Not destroyed: it would end the pool, which is in use.
  await migrate(kyselyOn(pool))
}

/** Whether two pools reach one database, under whatever names: a lock taken in one is then held in the other. */
export const isSameDatabase = async (one: pg.Pool, other: pg.Pool): Promise<boolean> => {
  const key = randomInt(2 ** 47)
  const client = await one.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [key])
    const { rows } = await other.query<{ got: boolean }>('select pg_try_advisory_xact_lock($1) as got', [key])
    await client.query('select pg_advisory_unlock($1)', [key])
    return rows[0]?.got === false
  } finally {
    client.release()
  }
}

/** Services at work on this database: their read models and processes each hold a connection of that name. */
export const hasService = async (pool: pg.Pool): Promise<boolean> => {
  const { rows } = await pool.query<{ runs: boolean }>(
    `select exists (select from pg_stat_activity where datname = current_database() and (application_name like 'kehu projection %' or application_name like 'kehu process %')) as runs`)
  return rows[0]?.runs ?? false
}

/** Positions in Postgres are without gaps: how many events are missing. */
export const missingEvents = async (pool: pg.Pool): Promise<number> => {
  const { rows } = await pool.query<{ missing: string }>('select coalesce(max(position), 0) - count(*) as missing from kehu.event')
  return Number(rows[0]?.missing ?? 0)
}

/**
 * What a service that died left on its way to the source (EventStoreDB) is settled before the log moves: afterwards
 * nobody could tell any more whether it got there. Waits until the server cannot take it any longer. Only where these
 * receipts are of this log.
 */
export const settlePending = async (pool: pg.Pool, address: Extract<Address, { kind: 'eventstoredb' }>, place: string, say: (message: string) => void): Promise<void> => {
  const { rows: [known] } = await pool.query<{ here: boolean }>(`select to_regclass('kehu.pending_append') is not null and to_regclass('kehu.place') is not null as here`)
  if (!known?.here || (await pool.query('select from kehu.place where place_id = $1', [place])).rowCount === 0) return
  const pending = async () => (await pool.query<{ command_id: string }>('select distinct command_id from kehu.pending_append')).rows
  if ((await pending()).length === 0) return
  const store = makeEventStoreDbEventStore({ url: address.url, pool, ...(address.prefix === undefined ? {} : { prefix: address.prefix }) })
  try {
    for (let told = false; ; told = true) {
      for (const { command_id } of await pending()) await store.receipts.find(command_id)
      const left = (await pending()).length
      if (left === 0) return
      if (!told) say(`Waiting, a minute and a half at most, for ${left} append(s) that a service left on their way when it ended`)
      await sleep(1000)
    }
  } finally {
    await store.close()
  }
}
