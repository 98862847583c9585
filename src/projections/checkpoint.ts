import { sql, type Kysely, type Transaction } from 'kysely'
import type { Position } from '../event-store/port.ts'
import { PREPARED } from './kysely.ts'
import type { Build, Projection } from './projection.ts'

/** How far a build of a read model has read, and by what it recognises its log. */
export type Checkpoint = {
  position: Position
  ordinal: bigint
  eventId: string | null
  placeId: string
  recordedMax: string | null
  ready: boolean
  stopped: string | null
}

type Row = { position: string; ordinal: string; event_id: string | null; place_id: string; recorded_max: string | null; ready: boolean; stopped: string | null }

const columns = 'position, ordinal, event_id, place_id, recorded_max, ready, stopped'

const checkpointOf = (row: Row | undefined): Checkpoint | undefined =>
  row && {
    position: BigInt(row.position), ordinal: BigInt(row.ordinal), eventId: row.event_id, placeId: row.place_id,
    recordedMax: row.recorded_max, ready: row.ready, stopped: row.stopped,
  }

export const readCheckpoint = async (db: Kysely<unknown>, { model, version }: Pick<Projection, 'model' | 'version'>, build: Build = 'live'): Promise<Checkpoint | undefined> => {
  const { rows } = await sql<Row>`${PREPARED} select ${sql.raw(columns)} from kehu.checkpoint where model = ${model} and version = ${version} and build = ${build}`.execute(db)
  return checkpointOf(rows[0])
}

/** The same behind other statements, in one trip with them. Names of models are Kehu's own. */
export const readCheckpointAfter = async (db: Kysely<unknown>, statements: string, { model, version }: Pick<Projection, 'model' | 'version'>): Promise<Checkpoint | undefined> => {
  const { rows } = await sql.raw<Row>(`${statements}; select ${columns} from kehu.checkpoint where model = '${model}' and version = ${version} and build = 'live'`).execute(db)
  return checkpointOf(rows[0])
}

export const insertCheckpoint = (db: Kysely<unknown>, { model, version }: Projection, build: Build, placeId: string) =>
  sql`insert into kehu.checkpoint (model, version, build, position, ordinal, place_id, ready) values (${model}, ${version}, ${build}, 0, 0, ${placeId}, false)`.execute(db)

/**
 * Moves the checkpoint from where it was read and tells who waits for it, behind other statements and in one trip with
 * them. False: it is elsewhere by now, another runner is active. All that is written here is Kehu's own.
 */
export const moveCheckpointAfter = async (trx: Transaction<unknown>, statements: readonly string[], { model, version }: Projection, build: Build, from: Position, to: Checkpoint): Promise<boolean> => {
  const { numAffectedRows } = await sql`${sql.raw(statements.join('; '))};
    select pg_notify('kehu_projection', ${sql.lit(`${model} ${version} ${build} ${to.position}`)});
    update kehu.checkpoint
    set position = ${sql.lit(String(to.position))}, ordinal = ${sql.lit(String(to.ordinal))}, event_id = ${sql.lit(to.eventId)}, recorded_max = ${sql.lit(to.recordedMax)}, ready = ${sql.lit(to.ready)}, stopped = null
    where model = ${sql.lit(model)} and version = ${sql.lit(version)} and build = ${sql.lit(build)} and position = ${sql.lit(String(from))}`.execute(trx)
  return numAffectedRows === 1n
}

export const recordStop = (db: Kysely<unknown>, { model, version }: Projection, build: Build, stopped: string) =>
  sql`update kehu.checkpoint set stopped = ${stopped} where model = ${model} and version = ${version} and build = ${build}`.execute(db)
