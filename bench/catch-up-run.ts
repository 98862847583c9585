import { sql } from 'kysely'
import { readConfig } from '../src/config.ts'
import type { DomainEvent } from '../src/domain/events.ts'
import { kindOf, type RecordedEvent } from '../src/event-store/port.ts'
import { openCore, type Core } from '../src/main.ts'
import { projectionNamed, projections } from '../src/projections/all.ts'
import type { ProjectedEvent, Projection } from '../src/projections/projection.ts'
import { discard, rebuild } from '../src/projections/rebuild.ts'
import { runProjection } from '../src/projections/runner.ts'
import { shareLog } from '../src/projections/shared-log.ts'
import { completeTables, createTables } from '../src/projections/table.ts'
import { plainly } from './plain-models.ts'

// One measurement in a process of its own: node catch-up-run.ts <url> <data folder> <work> <model>
// Prints one line of JSON: { events, seconds, megabytes }, the last being the most memory the process had.

const PLAIN_BATCH = 1000

/** The read models as the service builds them, all in one process, until each is ready. */
const catchUp = async (core: Core, chosen: readonly Projection[]): Promise<void> => {
  const { db, runtime: { store, codec }, placeId, connectionString } = core
  const shared = shareLog(store, codec, [...new Set(chosen.flatMap(({ kinds }) => kinds))])
  for (const projection of chosen) await discard(db, projection, 'live')
  await Promise.all(chosen.map(async (projection) => {
    const stop = new AbortController()
    const failed = Promise.withResolvers<never>()
    const { done } = runProjection({
      db, connectionString, store: shared, codec, placeId, analystRole: null, report: ({ message }) => failed.reject(new Error(message)),
      onProgress: (_model, checkpoint) => {
        if (checkpoint.ready) stop.abort()
      },
    }, projection, stop.signal)
    await Promise.race([done, failed.promise])
  }))
}

// The data has been checked before it was written, by this program: it is trusted here, which Kehu never does.
const trusted = ({ stream, type, data, revision, metadata }: RecordedEvent): DomainEvent =>
  ({ kind: kindOf(stream), id: stream.slice(stream.indexOf('-') + 1), event: { type, data, revision, recordedAt: metadata.recordedAt, effectiveAt: metadata.effectiveAt ?? metadata.recordedAt, actor: metadata.actor, onBehalfOf: metadata.onBehalfOf ?? null, commandId: metadata.commandId, policies: metadata.policies ?? [] } }) as unknown as DomainEvent

type Row = { position: string; revision: number; event_id: string; stream: string; type: string; data: string; metadata: string }

/** Read a page, open its values, fold, write its rows and where it ends, commit; again. */
const plainLoop = async ({ db, runtime: { codec } }: Core, projection: Projection): Promise<void> => {
  const schema = `plain_${projection.model.replaceAll('-', '_')}`
  await sql`drop schema if exists ${sql.id(schema)} cascade`.execute(db)
  await sql`create schema ${sql.id(schema)}`.execute(db)
  await createTables(db, schema, projection.tables)
  await completeTables(db, schema, projection.tables)
  await sql`create table ${sql.id(schema, 'place')} (position bigint)`.execute(db)
  await sql`insert into ${sql.id(schema, 'place')} values (0)`.execute(db)
  let position = '0'
  let ordinal = 0n
  let recordedMax = ''
  for (;;) {
    const { rows } = await sql<Row>`select position, revision, event_id, stream, type, data, metadata from kehu.event where position > ${position} order by position limit ${PLAIN_BATCH}`.execute(db)
    if (rows.length === 0) return
    const events = rows.map((row): RecordedEvent => ({ id: row.event_id, type: row.type, stream: row.stream, revision: row.revision, position: BigInt(row.position), data: JSON.parse(row.data), metadata: JSON.parse(row.metadata) }))
    const opened = new Map((await codec.decode(events.filter((event) => projection.kinds.includes(kindOf(event.stream))))).map((event) => [event.position, event]))
    const projected: ProjectedEvent[] = []
    for (const event of events) {
      ordinal += 1n
      if (event.metadata.recordedAt > recordedMax) recordedMax = event.metadata.recordedAt
      const one = opened.get(event.position)
      if (one) projected.push({ ...trusted(one), position: event.position, ordinal, recordedMax, eventId: event.id })
    }
    position = rows.at(-1)?.position ?? position
    await db.transaction().execute(async (trx) => {
      // Without it the planner, who has no statistics of tables just filled, reads them whole: that is not what is compared.
      await sql`set local enable_seqscan = off`.execute(trx)
      await projection.project(trx, schema, projected)
      await sql`update ${sql.id(schema, 'place')} set position = ${position}`.execute(trx)
    })
  }
}

const read = async ({ runtime: { store } }: Core): Promise<void> => {
  let events = 0
  for await (const batch of store.readAll({ after: 0n, batchSize: PLAIN_BATCH })) events += batch.events.length
  if (events === 0) throw new Error('there is nothing to read')
}

const [url = '', dataDir = '', work = '', model = ''] = process.argv.slice(2)
const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir }), url, () => undefined)
const projection = projectionNamed(model)
const { db, runtime: { store, codec }, placeId } = core
const works: Record<string, () => Promise<unknown>> = {
  'catch-up': () => catchUp(core, projection ? [projection] : projections),
  rebuild: async () => projection && rebuild({ db, store, codec, placeId, analystRole: null }, projection),
  'plain-loop': async () => projection && plainLoop(core, plainly(projection)),
  read: () => read(core),
}
const started = performance.now()
await works[work]?.()
const seconds = (performance.now() - started) / 1000
process.stdout.write(`${JSON.stringify({ events: Number(await store.head()), seconds, megabytes: process.resourceUsage().maxRSS / 1024 })}\n`)
await core.close()
