import { sql, type Kysely } from 'kysely'
import { lead } from '../event-store/leadership.ts'
import { readCheckpoint } from './checkpoint.ts'
import { RUNNER, runnerName, schemaOf, type Projection } from './projection.ts'
import { swapViews } from './views.ts'

type Version = { model: string; version: number }

/** Versions of these models that Postgres holds and this program does not run: earlier ones, and later ones after a step back. */
const otherVersions = async (db: Kysely<unknown>, projections: readonly Projection[]): Promise<Version[]> => {
  const { rows } = await sql<Version>`select model, version from kehu.checkpoint where build = 'live' order by model, version`.execute(db)
  return rows.filter((row) => !projections.some((one) => one.model === row.model && one.version === row.version))
}

/**
 * Models that are being built here while another process answers from another version of them: until they are ready,
 * requests are better sent there.
 */
export const answeredElsewhere = async (db: Kysely<unknown>, projections: readonly Projection[]): Promise<string[]> => {
  const { rows } = await sql<Version & { ready: boolean; led: boolean }>`
    select model, version, ready, exists (
      select from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) | objid::bigint = hashtextextended(${RUNNER} || ' ' || model || ' ' || version, 0)) as led
    from kehu.checkpoint where build = 'live'`.execute(db)
  return projections.flatMap(({ model, version }) => {
    const built = rows.some((row) => row.model === model && row.version === version && row.ready)
    return !built && rows.some((row) => row.model === model && row.version !== version && row.ready && row.led) ? [model] : []
  })
}

/**
 * Drops versions that this program does not run and no other process does, once this program's own is ready, and
 * points the analysts' views at that. Answers what was dropped.
 */
export const pruneVersions = async ({ db, connectionString, analystRole }: { db: Kysely<unknown>; connectionString: string; analystRole: string | null }, projections: readonly Projection[]): Promise<Version[]> => {
  const dropped: Version[] = []
  for (const other of await otherVersions(db, projections)) {
    const current = projections.find((one) => one.model === other.model)
    if (current && !(await readCheckpoint(db, current))?.ready) continue
    const leader = await lead(connectionString, runnerName(other))
    if (!leader) continue
    try {
      await db.transaction().execute(async (trx) => {
        await sql`drop schema if exists ${sql.id(schemaOf(other))} cascade`.execute(trx)
        await sql`delete from kehu.checkpoint where model = ${other.model} and version = ${other.version} and build = 'live'`.execute(trx)
        if (current) await swapViews(trx, current, schemaOf(current), analystRole)
      })
    } finally {
      await leader.resign()
    }
    dropped.push(other)
  }
  return dropped
}
