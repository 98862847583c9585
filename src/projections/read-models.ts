import { sql, type Kysely } from 'kysely'
import { EventStoreUnavailable, type Position } from '../event-store/port.ts'
import { within } from '../event-store/waiting.ts'
import { readCheckpoint, readCheckpointAfter, type Checkpoint } from './checkpoint.ts'
import { concurrently } from './kysely.ts'
import { listen } from './listen.ts'
import { schemaOf, type Projection } from './projection.ts'
import { lockStatement } from './table.ts'

/** As of which position and time of the log an answer is. */
export type AsOf = { position: bigint; time: string | null }

/** The model is being built: how far it is, of how far the log goes. */
export class ModelBuilding extends Error {
  override name = 'ModelBuilding'
  readonly model: string
  readonly position: bigint
  readonly end: bigint
  constructor(model: string, position: bigint, end: bigint) {
    super(`${model} is being built and has read up to position ${position} of ${end}`)
    this.model = model
    this.position = position
    this.end = end
  }
}
/** The model has not reached the asked position in time. */
export class NotCaughtUp extends Error {
  override name = 'NotCaughtUp'
}

/** How queries reach a read model: ready, as late as asked for, rows and position of one moment. */
export type ReadModels = {
  query: <T>(projection: Projection, options: { after?: bigint | undefined }, ask: (db: Kysely<unknown>, schema: string) => Promise<T>) => Promise<{ result: T; asOf: AsOf }>
  close: () => Promise<void>
}

/** A lost notice delays by so much, and no more. */
const POLL_MS = 250

const tooLate = () => new EventStoreUnavailable('the read models did not answer in time')

export const makeReadModels = (options: { db: Kysely<unknown>; connectionString: string; head: () => Promise<Position>; waitMs: number; databaseWaitMs?: number }): ReadModels => {
  const { db, head, databaseWaitMs = 10_000 } = options
  const seenReady = new Set<string>()
  const waiting = new Set<{ model: string; version: number; position: bigint; wake: () => void }>()
  /** Where each model was last said to stand. */
  const heard = new Map<string, bigint>()
  const listener = listen(options.connectionString, 'kehu_projection', (payload) => {
    for (const [model, version, build, position] of noticesIn(payload)) {
      if (build !== 'live') continue
      heard.set(`${model} ${version}`, position)
      for (const one of waiting) if (one.model === model && one.version === version && one.position <= position) one.wake()
    }
  }, () => heard.clear())

  /** Listens from now on: `told` resolves when the model is said to have got there. Whether it has, its checkpoint tells. */
  const listenFor = ({ model, version }: Projection, position: bigint): { told: Promise<void>; forget: () => void } => {
    let forget: () => void = () => undefined
    const told = new Promise<void>((wake) => {
      const one = { model, version, position, wake }
      waiting.add(one)
      forget = () => waiting.delete(one)
    })
    return { told, forget: () => forget() }
  }

  /** Asks of one snapshot; or tells why not yet. */
  const look = async <T>(projection: Projection, after: bigint, ask: (db: Kysely<unknown>, schema: string) => Promise<T>) => {
    const building = async (position: bigint) => new ModelBuilding(projection.model, position, await head())
    // While its last indexes are made its tables are locked: until it is known to be ready nobody waits for them.
    if (!seenReady.has(schemaOf(projection))) {
      const checkpoint = await within(databaseWaitMs, tooLate, readCheckpoint(db, projection))
      if (!checkpoint?.ready) throw await building(checkpoint?.position ?? 0n)
      seenReady.add(schemaOf(projection))
    }
    const asOf = async (checkpoint: Checkpoint | undefined): Promise<AsOf> => {
      if (!checkpoint?.ready) throw await building(checkpoint?.position ?? 0n)
      const { position, recordedMax: time } = checkpoint
      if (position < after) throw new NotCaughtUp(`${projection.model} stands at position ${position}`)
      return { position, time }
    }
    return snapshot(projection, ask, asOf).catch(async (error: unknown) => {
      throw isNotThere(error) ? await building(0n) : error
    })
  }

  /**
   * Asks of one snapshot of a model's tables, taken once they are locked, and of its checkpoint, which says as of when
   * the answer is or that there is none. Beginning, locking, the checkpoint and what is asked first are one trip to
   * Postgres, which is waited for as long as for any of the log; nobody waits for the end, which changes nothing.
   */
  const snapshot = <T>(projection: Projection, ask: (trx: Kysely<unknown>, schema: string) => Promise<T>, asOf: (checkpoint: Checkpoint | undefined) => Promise<AsOf>): Promise<{ result: T; asOf: AsOf }> =>
    new Promise((resolve, reject) => {
      const impatience = setTimeout(() => reject(tooLate()), databaseWaitMs)
      db.connection().execute((connection) => concurrently(connection, async (trx) => {
        const looked = readCheckpointAfter(trx, `start transaction isolation level repeatable read read only; ${lockStatement(schemaOf(projection), projection.tables, 'access share')}`, projection)
        const asked = (async () => ask(trx, schemaOf(projection)))()
        // What the checkpoint says counts first.
        asked.catch(() => undefined)
        try {
          const checkpoint = await looked
          clearTimeout(impatience)
          resolve({ asOf: await asOf(checkpoint), result: await asked })
        } catch (error) {
          reject(error)
        } finally {
          await Promise.allSettled([asked])
          await sql`rollback`.execute(trx)
        }
      })).catch(reject).finally(() => clearTimeout(impatience))
    })

  return {
    query: async (projection, { after = 0n }, ask) => {
      const until = performance.now() + options.waitMs
      for (;;) {
        const notice = listenFor(projection, after)
        try {
          // It cannot be there yet: to look would be a trip in vain.
          if ((heard.get(`${projection.model} ${projection.version}`) ?? after) < after) await orAfter(notice.told, Math.min(POLL_MS, until - performance.now()))
          return await look(projection, after, ask)
        } catch (error) {
          // Who named a position waits for it, also while the model is being built.
          const left = until - performance.now()
          if (after === 0n || left <= 0 || !(error instanceof NotCaughtUp || error instanceof ModelBuilding)) throw error
          await orAfter(notice.told, Math.min(POLL_MS, left))
        } finally {
          notice.forget()
        }
      }
    },
    close: listener.close,
  }
}

/** As kehu.move_checkpoints tells them: model, version, build and position, one after the other. */
const noticesIn = (payload: string): [model: string, version: number, build: string, position: bigint][] => {
  const words = payload.split(' ')
  return Array.from({ length: Math.floor(words.length / 4) }, (_, at) => {
    const [model = '', version = '', build = '', position = ''] = words.slice(at * 4, at * 4 + 4)
    return [model, Number(version), build, BigInt(position)]
  })
}

/** No such schema, no such table. */
const isNotThere = (error: unknown): boolean => error instanceof Error && 'code' in error && (error.code === '3F000' || error.code === '42P01')

const orAfter = async (told: Promise<void>, ms: number): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms))
  })
  await Promise.race([told, late])
  clearTimeout(timer)
}

/** Every version of every model that Postgres holds. */
export const listCheckpoints = async (db: Kysely<unknown>) => {
  const { rows } = await sql<{ model: string; version: number; build: string; position: string; ready: boolean; stopped: string | null; recorded_max: string | null }>`
    select model, version, build, position, ready, stopped, recorded_max from kehu.checkpoint order by model, version, build`.execute(db)
  return rows.map((row) => ({ model: row.model, version: row.version, build: row.build, position: BigInt(row.position), ready: row.ready, stopped: row.stopped, time: row.recorded_max }))
}
