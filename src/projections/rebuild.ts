import { sql, type Kysely } from 'kysely'
import type { Codec } from '../event-store/codec.ts'
import type { EventStore } from '../event-store/port.ts'
import { apply, prepare } from './apply.ts'
import { readCheckpoint, type Checkpoint } from './checkpoint.ts'
import { schemaOf, type Build, type Projection } from './projection.ts'
import { swapViews } from './views.ts'

export type RebuildDependencies = { db: Kysely<unknown>; store: EventStore; codec: Codec; placeId: string; analystRole: string | null }
export type OnProgress = (position: bigint, end: bigint) => void

const BATCH = 1000

/** Reads the log from zero into the rebuild's own tables, strictly: an event that cannot be projected ends it. */
const replay = async (dependencies: RebuildDependencies, projection: Projection, onProgress?: OnProgress): Promise<Checkpoint> => {
  const { db, store, codec, placeId } = dependencies
  await discard(db, projection, 'rebuild')
  const start = await prepare(db, projection, 'rebuild', placeId)
  return readOn(dependencies, { db, codec, projection, build: 'rebuild' }, start, await store.head(), onProgress)
}

const readOn = async ({ store }: RebuildDependencies, application: Parameters<typeof apply>[0], from: Checkpoint, end: bigint, onProgress?: OnProgress): Promise<Checkpoint> => {
  let checkpoint = from
  for await (const batch of store.readAll({ after: checkpoint.position, batchSize: BATCH })) {
    if (batch.events.length > 0) checkpoint = (await apply(application, checkpoint, batch, { ready: false })).checkpoint
    onProgress?.(checkpoint.position, end > checkpoint.position ? end : checkpoint.position)
  }
  return checkpoint
}

export const discard = async (db: Kysely<unknown>, projection: Projection, build: Build): Promise<void> => {
  await db.transaction().execute(async (trx) => {
    await sql`drop schema if exists ${sql.id(schemaOf(projection, build))} cascade`.execute(trx)
    await sql`delete from kehu.checkpoint where model = ${projection.model} and version = ${projection.version} and build = ${build}`.execute(trx)
  })
}

/**
 * Builds a read model anew from the log, beside the one in use, and puts it in its place in one transaction: queries
 * see the old rows or the new ones. A running service goes on from where the new one stands.
 */
export const rebuild = async (dependencies: RebuildDependencies, projection: Projection, onProgress?: OnProgress): Promise<{ position: bigint }> => {
  const { db, codec } = dependencies
  let checkpoint = await replay(dependencies, projection, onProgress)
  for (;;) {
    const swapped = await swap(dependencies, projection, checkpoint)
    if (swapped) return { position: checkpoint.position }
    // The one in use had got further meanwhile: read on, so that nobody's queries step back.
    checkpoint = await readOn(dependencies, { db, codec, projection, build: 'rebuild' }, checkpoint, await dependencies.store.head(), onProgress)
  }
}

const swap = ({ db, analystRole, placeId }: RebuildDependencies, projection: Projection, checkpoint: Checkpoint): Promise<boolean> =>
  db.transaction().execute(async (trx) => {
    const { model, version } = projection
    // Locks the live checkpoint: a runner in the middle of a batch finishes first, the next finds another position.
    await sql`select from kehu.checkpoint where model = ${model} and version = ${version} and build = 'live' for update`.execute(trx)
    const live = await readCheckpoint(trx, projection)
    if (live && live.placeId === placeId && live.position > checkpoint.position) return false
    const liveSchema = schemaOf(projection)
    await sql`drop schema if exists ${sql.id(liveSchema)} cascade`.execute(trx)
    await sql`alter schema ${sql.id(schemaOf(projection, 'rebuild'))} rename to ${sql.id(liveSchema)}`.execute(trx)
    await sql`delete from kehu.checkpoint where model = ${model} and version = ${version} and build = 'live'`.execute(trx)
    await sql`update kehu.checkpoint set build = 'live', ready = true where model = ${model} and version = ${version} and build = 'rebuild'`.execute(trx)
    await swapViews(trx, projection, liveSchema, analystRole)
    await sql`select pg_notify('kehu_projection', ${`${model} ${version} live ${checkpoint.position}`})`.execute(trx)
    return true
  })

export type Difference = { table: string; onlyLive: number; onlyReplayed: number; examples: string[] }

/**
 * Replays the log into fresh tables and compares every column of every row with the ones in use, at the same
 * position. Columns that only name a row within a build (generated identities) are left out.
 */
export const compareWithReplay = async (dependencies: RebuildDependencies, projection: Projection, onProgress?: OnProgress): Promise<Difference[]> => {
  const { db, codec } = dependencies
  let checkpoint = await replay(dependencies, projection, onProgress)
  try {
    for (;;) {
      const differences = await db.transaction().setIsolationLevel('repeatable read').execute(async (trx) => {
        const live = await readCheckpoint(trx, projection)
        if (!live || live.position !== checkpoint.position) return undefined
        const found: Difference[] = []
        for (const table of projection.tables) found.push(...(await compareTable(trx, projection, table.name)))
        return found
      })
      if (differences) return differences
      await new Promise((resolve) => setTimeout(resolve, 50))
      checkpoint = await readOn(dependencies, { db, codec, projection, build: 'rebuild' }, checkpoint, await dependencies.store.head(), onProgress)
    }
  } finally {
    await discard(db, projection, 'rebuild')
  }
}

const compareTable = async (db: Kysely<unknown>, projection: Projection, name: string): Promise<Difference[]> => {
  const table = projection.tables.find((one) => one.name === name)
  const columns = (table?.columns ?? []).filter((column) => !column.type.includes('generated')).map((column) => `"${column.name}"`).join(', ')
  const rowsOf = (build: Build) => sql`select ${sql.raw(columns)} from ${sql.table(`${schemaOf(projection, build)}.${name}`)}`
  const keys = (table?.columns ?? []).slice(0, 1).map((column) => column.name)
  const only = async (one: Build, other: Build) => {
    const { rows } = await sql<{ n: string; examples: string[] | null }>`
      select count(*) as n, (array_agg(${sql.ref(keys[0] ?? '')}::text order by ${sql.ref(keys[0] ?? '')}))[1:5] as examples
      from (${rowsOf(one)} except all ${rowsOf(other)}) as difference`.execute(db)
    return { count: Number(rows[0]?.n ?? 0), examples: rows[0]?.examples ?? [] }
  }
  const live = await only('live', 'rebuild')
  const replayed = await only('rebuild', 'live')
  return live.count + replayed.count === 0 ? [] : [{ table: name, onlyLive: live.count, onlyReplayed: replayed.count, examples: [...new Set([...live.examples, ...replayed.examples])] }]
}
