import { sql, type Kysely, type Transaction } from 'kysely'
import type { Codec } from '../event-store/codec.ts'
import { kindOf, type Batch, type EventStore } from '../event-store/port.ts'
import { AnotherRunner, insertCheckpoint, isAnotherRunner, moveCheckpointsAfter, readCheckpoint, type Checkpoint } from './checkpoint.ts'
import { openedEvent, openEvents } from './opened.ts'
import { createTables } from './table.ts'
import { schemaOf, type Build, type ProjectedEvent, type Projection } from './projection.ts'

/** The checkpoint does not belong to this log: it was restored from an older copy, or is another log. */
export class WrongLog extends Error {
  override name = 'WrongLog'
}
/** An event that cannot be projected. Its message names the event and never its content. */
export class PoisonEvent extends Error {
  override name = 'PoisonEvent'
}

/** Most events of a batch: what becomes of a customer within one is folded in memory, and read and written once. More take more memory, and little less time. */
export const BATCH = 3000

export type Progress = { checkpoint: Checkpoint; unknownTypes: ReadonlySet<string> }

/** Makes schema, tables and checkpoint of a build, in one transaction, unless they are there. */
export const prepare = async (db: Kysely<unknown>, projection: Projection, build: Build, placeId: string): Promise<Checkpoint> => {
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`prepare ${projection.model}`}, 0))`.execute(trx)
    if (await readCheckpoint(trx, projection, build)) return
    const schema = schemaOf(projection, build)
    await sql`drop schema if exists ${sql.id(schema)} cascade`.execute(trx)
    await sql`create schema ${sql.id(schema)}`.execute(trx)
    await createTables(trx, schema, projection.tables)
    await insertCheckpoint(trx, projection, build, placeId)
  })
  const checkpoint = await readCheckpoint(db, projection, build)
  if (!checkpoint) throw new AnotherRunner(`the checkpoint of ${projection.model} vanished`)
  return checkpoint
}

/** The checkpoint must name an event this log has at that place: a log restored from an older copy has not. */
export const checkLog = async (store: EventStore, checkpoint: Checkpoint, placeId: string, model: string): Promise<void> => {
  if (checkpoint.placeId !== placeId) throw new WrongLog(`${model} was built from the log at place ${checkpoint.placeId}, this one is ${placeId}: run kehu rebuild ${model}`)
  if (checkpoint.position === 0n) return
  const event = await store.eventAt(checkpoint.position)
  if (event?.id !== checkpoint.eventId) throw new WrongLog(`${model} has read up to position ${checkpoint.position}, where this log has another event or none: was it restored from an older copy? Then run kehu rebuild ${model}`)
}

/** The connection or the server went away, or another transaction was in the way: the events are not at fault. */
export const isPassing = (error: unknown): boolean => {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  return /^(08|57|53|40|55P03|25006|25P03|E[A-Z]+$)/.test(code) || (error instanceof Error && (error.name === 'EventStoreUnavailable' || /Connection terminated|timeout exceeded|timeout expired|Query read timeout|Client was closed|not queryable|connection has been discarded/i.test(error.message)))
}

/** A projection and everything applying needs. */
export type Application = { db: Kysely<unknown>; codec: Codec; projection: Projection; build: Build }
/** What a batch comes to: what is to be projected, and where the model then stands. */
export type Step = Application & { from: Checkpoint; to: Checkpoint; events: readonly ProjectedEvent[]; unknownTypes: ReadonlySet<string> }
export type ApplyOptions = { ready: boolean; onCommit?: (trx: Transaction<unknown>) => Promise<void> }

// A process that stands still in the midst of it holds up whoever takes its place, and rebuilds: for so long, then Postgres ends it.
const NOT_FOR_EVER = "set local idle_in_transaction_session_timeout = '10s'"
// Rows are looked up by key, but of a table that has just been filled the planner has no statistics yet, and would read all of it.
const BY_INDEX = 'set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off'
// So there is one way to do it, however many rows there are: what is prepared is planned once.
const PLANNED_ONCE = 'set local plan_cache_mode = force_generic_plan'
// A commit a crash undoes takes its checkpoint with it: what it held is read again, and nobody waits for the disk.
const QUICKLY = 'set local synchronous_commit = off'
/** How a transaction that applies begins. */
export const BEGINNING: readonly string[] = [NOT_FOR_EVER, BY_INDEX, PLANNED_ONCE, QUICKLY]

/** Opens the events of a batch and says what they come to. */
export const step = async (application: Application, from: Checkpoint, batch: Batch, ready: boolean): Promise<Step> => {
  const { codec, projection } = application
  const unknownTypes = new Set<string>()
  let { ordinal, recordedMax } = from
  await openEvents(codec, batch.events, projection.kinds)
  const events: ProjectedEvent[] = []
  for (const stored of batch.events) {
    ordinal += 1n
    recordedMax = recordedMax !== null && recordedMax > stored.metadata.recordedAt ? recordedMax : stored.metadata.recordedAt
    if (!projection.kinds.includes(kindOf(stored.stream))) continue
    const event = openedEvent(stored)
    if (event) events.push({ ...event, position: stored.position, ordinal, recordedMax, eventId: stored.id })
    else unknownTypes.add(stored.type)
  }
  const last = batch.events.at(-1)
  // The place of that event, not where reading has got to: at the next start it must be found there.
  const to: Checkpoint = { ...from, position: last?.position ?? from.position, ordinal, recordedMax, eventId: last?.id ?? from.eventId, ready, stopped: null }
  return { ...application, from, to, events, unknownTypes }
}

/** Writes the rows of a step whose checkpoint has been moved in this transaction. */
export const write = async (trx: Transaction<unknown>, { projection, build, events }: Step): Promise<void> => {
  if (events.length > 0) await projection.project(trx, schemaOf(projection, build), events)
}

/**
 * Applies a batch: rows and checkpoint in one transaction. `onCommit` runs in it as well, e.g. to swap views.
 * @throws AnotherRunner, PoisonEvent (only for a batch of one event; a larger batch throws what went wrong)
 */
export const apply = async (application: Application, from: Checkpoint, batch: Batch, { ready, onCommit }: ApplyOptions): Promise<Progress> =>
  applyStep(await step(application, from, batch, ready), onCommit)

/** The same for a step that has been taken already. */
export const applyStep = async (taken: Step, onCommit?: ApplyOptions['onCommit']): Promise<Progress> => {
  await taken.db.transaction().execute(async (trx) => {
    // Before anything is written: a runner that lost its place waits here, in Postgres, and then writes nothing.
    await moveCheckpointsAfter(trx, BEGINNING, [taken])
    await write(trx, taken)
    if (!onCommit) return
    // What was written and not waited for shall fail as what it is, and not as what is done now.
    await sql`select`.execute(trx)
    await onCommit(trx)
  }).catch((error: unknown) => {
    throw isAnotherRunner(error) ? new AnotherRunner(`another runner moved ${taken.projection.model}`, { cause: error }) : error
  })
  return { checkpoint: taken.to, unknownTypes: taken.unknownTypes }
}

/** The same for a batch that failed: event by event, up to the one that fails, which is named. */
export const applyOneByOne = async (application: Application, from: Checkpoint, batch: Batch, onApplied: (progress: Progress) => void): Promise<void> => {
  let checkpoint = from
  for (const event of batch.events) {
    try {
      const progress = await apply(application, checkpoint, { events: [event], position: event.position, caughtUp: false }, { ready: checkpoint.ready })
      checkpoint = progress.checkpoint
      onApplied(progress)
    } catch (error) {
      if (error instanceof AnotherRunner || isPassing(error)) throw error
      throw new PoisonEvent(`${event.type} at position ${event.position} (${event.stream}, revision ${event.revision}): ${explain(error)}`, { cause: error })
    }
  }
}

/** What went wrong, without quoting values: Postgres and zod messages may hold them. */
export const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown error'
  if ('issues' in error && Array.isArray(error.issues)) return `does not fit its schema in ${error.issues.length} place(s)`
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  const constraint = 'constraint' in error && typeof error.constraint === 'string' ? ` (${error.constraint})` : ''
  return code === '' ? `${error.name}: ${error.message}` : `${error.name}${code}${constraint}`
}
