import { sql, type Kysely, type Transaction } from 'kysely'
import type { Position } from '../event-store/port.ts'
import { PREPARED, THEN, UNWAITED } from './kysely.ts'
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

const select = ({ model, version }: Pick<Projection, 'model' | 'version'>, build: Build) =>
  sql`${PREPARED} select ${sql.raw(columns)} from kehu.checkpoint where model = ${model} and version = ${version} and build = ${build}`

export const readCheckpoint = async (db: Kysely<unknown>, projection: Pick<Projection, 'model' | 'version'>, build: Build = 'live'): Promise<Checkpoint | undefined> => {
  const { rows } = await sql<Row>`${select(projection, build)}`.execute(db)
  return checkpointOf(rows[0])
}

/** The same behind other statements, in one trip with them. */
export const readCheckpointAfter = async (db: Kysely<unknown>, statements: string, projection: Pick<Projection, 'model' | 'version'>): Promise<Checkpoint | undefined> => {
  const { rows } = await sql<Row>`${sql.raw(statements)}; ${THEN} ${select(projection, 'live')}`.execute(db)
  return checkpointOf(rows[0])
}

export const insertCheckpoint = (db: Kysely<unknown>, { model, version }: Projection, build: Build, placeId: string) =>
  sql`insert into kehu.checkpoint (model, version, build, position, ordinal, place_id, ready) values (${model}, ${version}, ${build}, 0, 0, ${placeId}, false)`.execute(db)

/** The checkpoint is not where this runner left it: another one is active. */
export class AnotherRunner extends Error {
  override name = 'AnotherRunner'
}
/** As kehu.move_checkpoints says it. */
export const isAnotherRunner = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'KH001'

/** From where a checkpoint was read to where it goes. */
export type Move = { projection: Pick<Projection, 'model' | 'version'>; build: Build; from: Pick<Checkpoint, 'position'>; to: Checkpoint }

/**
 * Moves checkpoints from where they were read and tells who waits for them, behind other statements and in one trip with
 * them. Nobody waits for the answer: where one is elsewhere by now the transaction fails (`isAnotherRunner`). All that is
 * written here is Kehu's own.
 */
export const moveCheckpointsAfter = async (trx: Transaction<unknown>, statements: readonly string[], moves: readonly Move[]): Promise<void> => {
  const listOf = (type: string, valueOf: (move: Move) => string | number | boolean | null) => sql`array[${sql.join(moves.map((move) => sql.lit(valueOf(move))))}]::${sql.raw(type)}[]`
  const moved = [
    listOf('text', ({ projection }) => projection.model), listOf('integer', ({ projection }) => projection.version), listOf('text', ({ build }) => build),
    listOf('bigint', ({ from }) => String(from.position)), listOf('bigint', ({ to }) => String(to.position)), listOf('bigint', ({ to }) => String(to.ordinal)),
    listOf('uuid', ({ to }) => to.eventId), listOf('text', ({ to }) => to.recordedMax), listOf('boolean', ({ to }) => to.ready),
  ]
  await sql`${UNWAITED} ${sql.raw(statements.join('; '))}; select kehu.move_checkpoints(${sql.join(moved)})`.execute(trx)
}

export const recordStop = (db: Kysely<unknown>, { model, version }: Projection, build: Build, stopped: string) =>
  sql`update kehu.checkpoint set stopped = ${stopped} where model = ${model} and version = ${version} and build = ${build}`.execute(db)
