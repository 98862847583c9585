import { sql, type Kysely } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator, type MigrationProvider } from 'kysely/migration'
import * as log from './0001-log.ts'
import * as processes from './0002-processes.ts'
import * as pendingAppends from './0003-pending-appends.ts'
import * as appendTogether from './0004-append-together.ts'
import * as projectionPause from './0005-projection-pause.ts'
import * as appendBatch from './0006-append-batch.ts'
import * as duplicateScan from './0007-duplicate-scan.ts'
import * as roots from './0009-roots.ts'
import * as moveCheckpoint from './0010-move-checkpoint.ts'
import * as moveCheckpoints from './0011-move-checkpoints.ts'

// A new migration is one line here. What has been released never changes.
const migrations = {
  '0001-log': log,
  '0002-processes': processes,
  '0003-pending-appends': pendingAppends,
  '0004-append-together': appendTogether,
  '0005-projection-pause': projectionPause,
  '0006-append-batch': appendBatch,
  '0007-duplicate-scan': duplicateScan,
  '0009-roots': roots,
  '0010-move-checkpoint': moveCheckpoint,
  '0011-move-checkpoints': moveCheckpoints,
}
const provider: MigrationProvider = { getMigrations: async () => migrations }
const SCHEMA = 'kehu_migration'

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
/** No such schema, no such table. */
const isNotThere = (error: unknown): boolean => ['3F000', '42P01'].includes(String(codeOf(error)))

/** Exactly these have been carried out. The migrator looks at every table there is, and this at one. */
const isNewest = async (db: Kysely<unknown>): Promise<boolean> => {
  try {
    const { rows } = await sql<{ name: string }>`select name from ${sql.table(`${SCHEMA}.${DEFAULT_MIGRATION_TABLE}`)} order by name`.execute(db)
    return rows.map((row) => row.name).join() === Object.keys(migrations).sort().join()
  } catch (error) {
    if (isNotThere(error)) return false
    throw error
  }
}

const MOST_TRIES = 5

/** Brings a database to the newest schema. Two processes may call it at once: one migrates, the other waits. */
export const migrate = async (db: Kysely<unknown>): Promise<string[]> => {
  const migrator = new Migrator({ db, provider, migrationTableSchema: SCHEMA })
  for (let tries = 1; ; tries += 1) {
    if (await isNewest(db)) return []
    const { error, results } = await migrator.migrateToLatest()
    if (!error) return (results ?? []).map((result) => result.migrationName)
    // A table it was looking at went away, with a rebuild that ended: nothing has been changed yet.
    if (!isNotThere(error) || tries === MOST_TRIES) throw error
  }
}
