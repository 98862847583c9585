import { sql, type Kysely, type Transaction } from 'kysely'
import type { Codec } from '../event-store/codec.ts'
import type { Batch, EventStore } from '../event-store/port.ts'
import { ahead } from '../event-store/waiting.ts'
import { apply, applyOneByOne, BATCH, checkLog, isPassing, prepare, WrongLog, type Application } from './apply.ts'
import { AnotherRunner, readCheckpoint, type Checkpoint } from './checkpoint.ts'
import { openEvents } from './opened.ts'
import { schemaOf, type Build, type Projection } from './projection.ts'
import { completeTables, lockTables } from './table.ts'
import { swapViews } from './views.ts'

export type RebuildDependencies = { db: Kysely<unknown>; store: EventStore; codec: Codec; placeId: string; analystRole: string | null }
export type OnProgress = (position: bigint, end: bigint) => void

/** The model is being built anew or compared already. */
export class RebuildRunning extends Error {
  override name = 'RebuildRunning'
}

const SWAP_AGAIN_MS = 100

/** A rebuild and a comparison use the same tables beside those in use: one at a time, and nothing is left of them. */
const alone = <T>({ db }: RebuildDependencies, projection: Projection, work: () => Promise<T>): Promise<T> =>
  db.connection().execute(async (connection) => {
    const lock = sql`hashtextextended(${`rebuild ${projection.model} ${projection.version}`}, 0)`
    const { rows } = await sql<{ got: boolean }>`select pg_try_advisory_lock(${lock}) as got`.execute(connection)
    if (!rows[0]?.got) throw new RebuildRunning(`${projection.model} is being built anew or compared by another process: wait until that is done`)
    try {
      return await work()
    } finally {
      await discard(db, projection, 'rebuild').catch(() => undefined)
      await sql`select pg_advisory_unlock(${lock})`.execute(connection).catch(() => undefined)
    }
  })

/** Empty tables beside those in use. */
const begin = async ({ db, placeId }: RebuildDependencies, projection: Projection): Promise<Checkpoint> => {
  await discard(db, projection, 'rebuild')
  return prepare(db, projection, 'rebuild', placeId)
}

/** Opens the events of each batch before it is asked for. One that cannot be opened is named when it comes to it. */
async function* opened({ codec }: RebuildDependencies, { kinds }: Projection, batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  for await (const batch of batches) {
    await openEvents(codec, batch.events, kinds).catch(() => undefined)
    yield batch
  }
}

/** Reads the log on up to `end`, strictly: an event that cannot be projected ends it, named. */
const readOn = async (dependencies: RebuildDependencies, projection: Projection, from: Checkpoint, end: bigint, onProgress?: OnProgress): Promise<Checkpoint> => {
  const { db, codec, store } = dependencies
  const application: Application = { db, codec, projection, build: 'rebuild' }
  let checkpoint = from
  for await (const batch of ahead(opened(dependencies, projection, store.readAll({ after: checkpoint.position, batchSize: BATCH })))) {
    const events = batch.events.filter((event) => event.position <= end)
    const last = events.at(-1)
    if (!last) break
    checkpoint = await applyStrictly(application, checkpoint, { events, position: last.position, caughtUp: false })
    onProgress?.(checkpoint.position, end)
    if (events.length < batch.events.length) break
  }
  return checkpoint
}

const applyStrictly = async (application: Application, from: Checkpoint, batch: Batch): Promise<Checkpoint> => {
  try {
    return (await apply(application, from, batch, { ready: false })).checkpoint
  } catch (error) {
    if (error instanceof AnotherRunner || isPassing(error)) throw error
    let checkpoint = from
    await applyOneByOne(application, from, batch, (progress) => {
      checkpoint = progress.checkpoint
    })
    return checkpoint
  }
}

export const discard = async (db: Kysely<unknown>, projection: Projection, build: Build): Promise<void> => {
  await db.transaction().execute(async (trx) => {
    await sql`drop schema if exists ${sql.id(schemaOf(projection, build))} cascade`.execute(trx)
    await sql`delete from kehu.checkpoint where model = ${projection.model} and version = ${projection.version} and build = ${build}`.execute(trx)
  })
}

/** Locks the checkpoint in use: a runner in the middle of a batch finishes first, the next batch waits. */
const holdStill = async (trx: Transaction<unknown>, projection: Projection): Promise<Checkpoint | undefined> => {
  await sql`select from kehu.checkpoint where model = ${projection.model} and version = ${projection.version} and build = 'live' for update`.execute(trx)
  return readCheckpoint(trx, projection)
}

/**
 * Builds a read model anew from the log, beside the one in use, and puts it in its place in one transaction: queries
 * see the old rows or the new ones. A running service goes on from where the new one stands.
 */
export const rebuild = async (dependencies: RebuildDependencies, projection: Projection, onProgress?: OnProgress): Promise<{ position: bigint }> =>
  alone(dependencies, projection, async () => {
    let checkpoint = await readOn(dependencies, projection, await begin(dependencies, projection), await dependencies.store.head(), onProgress)
    await dependencies.db.transaction().execute((trx) => completeTables(trx, schemaOf(projection, 'rebuild'), projection.tables))
    for (;;) {
      checkpoint = await readOn(dependencies, projection, checkpoint, await dependencies.store.head(), onProgress)
      try {
        return await swap(dependencies, projection, checkpoint)
      } catch (error) {
        // A query, an analyst's perhaps, is still reading: the others shall not queue up behind this.
        if (!(error instanceof Error && 'code' in error && error.code === '55P03')) throw error
        await new Promise((resolve) => setTimeout(resolve, SWAP_AGAIN_MS))
      }
    }
  })

const swap = (dependencies: RebuildDependencies, projection: Projection, built: Checkpoint): Promise<{ position: bigint }> =>
  dependencies.db.transaction().execute(async (trx) => {
    const { model, version } = projection
    await sql`set local lock_timeout = '1s'`.execute(trx)
    const live = await holdStill(trx, projection)
    // What is in use may have got further meanwhile: read on to there, so that nobody's queries step back.
    const further = live && live.ordinal > built.ordinal && (await belongsToLog(dependencies, projection, live))
    const checkpoint = further ? await readOn(dependencies, projection, built, live.position) : built
    const liveSchema = schemaOf(projection)
    if (live) await lockTables(trx, liveSchema, projection.tables, 'access exclusive')
    await sql`drop schema if exists ${sql.id(liveSchema)} cascade`.execute(trx)
    await sql`alter schema ${sql.id(schemaOf(projection, 'rebuild'))} rename to ${sql.id(liveSchema)}`.execute(trx)
    await sql`delete from kehu.checkpoint where model = ${model} and version = ${version} and build = 'live'`.execute(trx)
    const { numAffectedRows } = await sql`
      update kehu.checkpoint set build = 'live', ready = true
      where model = ${model} and version = ${version} and build = 'rebuild' and position = ${checkpoint.position}`.execute(trx)
    if (numAffectedRows !== 1n) throw new AnotherRunner(`another process took over the rebuild of ${model}`)
    await swapViews(trx, projection, liveSchema, dependencies.analystRole)
    await sql`select pg_notify('kehu_projection', ${`${model} ${version} live ${checkpoint.position}`})`.execute(trx)
    return { position: checkpoint.position }
  })

const belongsToLog = ({ store, placeId }: RebuildDependencies, projection: Projection, checkpoint: Checkpoint): Promise<boolean> =>
  checkLog(store, checkpoint, placeId, projection.model).then(() => true, (error: unknown) => {
    if (error instanceof WrongLog) return false
    throw error
  })

export type Difference = { table: string; onlyLive: number; onlyReplayed: number; examples: string[] }

/**
 * Replays the log into fresh tables, as far as the ones in use have read it, and compares every column of every row.
 * Columns that only name a row within a build (generated identities) are left out.
 */
export const compareWithReplay = async (dependencies: RebuildDependencies, projection: Projection, onProgress?: OnProgress): Promise<Difference[]> =>
  alone(dependencies, projection, async () => {
    const { db, store, placeId } = dependencies
    const inUse = (live: Checkpoint | undefined): Checkpoint => {
      if (live) return live
      throw new Error(`${projection.model} version ${projection.version} has not been built yet: start the service`)
    }
    const live = inUse(await readCheckpoint(db, projection))
    await checkLog(store, live, placeId, projection.model)
    const replayed = await readOn(dependencies, projection, await begin(dependencies, projection), live.position, onProgress)
    return db.transaction().setIsolationLevel('repeatable read').execute(async (trx) => {
      await db.transaction().execute(async (held) => {
        await readOn(dependencies, projection, replayed, inUse(await holdStill(held, projection)).position)
        // With its first statement this one sees what is there now, to its end: both stand at one place.
        await sql`select`.execute(trx)
      })
      const found: Difference[] = []
      for (const table of projection.tables) found.push(...(await compareTable(trx, projection, table.name)))
      return found
    })
  })

const compareTable = async (db: Kysely<unknown>, projection: Projection, name: string): Promise<Difference[]> => {
  const table = projection.tables.find((one) => one.name === name)
  const compared = (table?.columns ?? []).filter((column) => !column.type.includes('generated'))
  const columns = sql.join(compared.map((column) => sql.id(column.name)))
  const rowsOf = (build: Build) => sql`select ${columns} from ${sql.table(`${schemaOf(projection, build)}.${name}`)}`
  const key = sql.id(compared[0]?.name ?? '')
  const only = async (one: Build, other: Build) => {
    const { rows } = await sql<{ n: string; examples: string[] | null }>`
      select count(*) as n, (array_agg(${key}::text order by ${key}))[1:5] as examples
      from (${rowsOf(one)} except all ${rowsOf(other)}) as difference`.execute(db)
    return { count: Number(rows[0]?.n ?? 0), examples: rows[0]?.examples ?? [] }
  }
  const live = await only('live', 'rebuild')
  const replayed = await only('rebuild', 'live')
  return live.count + replayed.count === 0 ? [] : [{ table: name, onlyLive: live.count, onlyReplayed: replayed.count, examples: [...new Set([...live.examples, ...replayed.examples])] }]
}
