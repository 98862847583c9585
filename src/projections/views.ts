import { sql, type Transaction } from 'kysely'
import type { Projection } from './projection.ts'
import { viewsOf } from './table.ts'

/** The schema analysts query: views without personal columns, over the version in use. */
export const ANALYTICS = 'analytics'

/**
 * Points the analysts' views of a model at a version, in the caller's transaction: a query sees the old one or the
 * new one. Once a newer version is ready an older one, still running elsewhere, does not take them back. The views run with their owner's rights; the analysts' role reads them and nothing else.
 */
export const swapViews = async (trx: Transaction<unknown>, projection: Projection, schema: string, analystRole: string | null): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended('analytics views', 0))`.execute(trx)
  const { rows: newer } = await sql`select from kehu.checkpoint where model = ${projection.model} and version > ${projection.version} and build = 'live' and ready`.execute(trx)
  if (newer.length > 0) return
  await sql`create schema if not exists ${sql.id(ANALYTICS)}`.execute(trx)
  for (const view of viewsOf(schema, projection.tables)) {
    await sql`drop view if exists ${sql.id(ANALYTICS, view.name)} cascade`.execute(trx)
    await sql`create view ${sql.id(ANALYTICS, view.name)} as ${sql.raw(view.select)}`.execute(trx)
    await sql`comment on view ${sql.id(ANALYTICS, view.name)} is ${sql.lit(view.comment)}`.execute(trx)
    for (const column of view.columns) await sql`comment on column ${sql.id(ANALYTICS, view.name, column.name)} is ${sql.lit(column.comment)}`.execute(trx)
    if (analystRole !== null) await sql`grant select on ${sql.id(ANALYTICS, view.name)} to ${sql.id(analystRole)}`.execute(trx)
  }
  if (analystRole !== null) await sql`grant usage on schema ${sql.id(ANALYTICS)} to ${sql.id(analystRole)}`.execute(trx)
}
