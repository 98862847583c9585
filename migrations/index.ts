import type { Kysely } from 'kysely'
import { Migrator, type MigrationProvider } from 'kysely/migration'
import * as log from './0001-log.ts'
import * as processes from './0002-processes.ts'
import * as pendingAppends from './0003-pending-appends.ts'
import * as appendTogether from './0004-append-together.ts'
import * as projectionPause from './0005-projection-pause.ts'
import * as appendBatch from './0006-append-batch.ts'
import * as duplicateScan from './0007-duplicate-scan.ts'
import * as roots from './0009-roots.ts'

// A new migration is one line here. What has been released never changes.
const provider: MigrationProvider = {
  getMigrations: async () => ({
    '0001-log': log,
    '0002-processes': processes,
    '0003-pending-appends': pendingAppends,
    '0004-append-together': appendTogether,
    '0005-projection-pause': projectionPause,
    '0006-append-batch': appendBatch,
    '0007-duplicate-scan': duplicateScan,
    '0009-roots': roots,
  }),
}

/** Brings a database to the newest schema. Two processes may call it at once: one migrates, the other waits. */
export const migrate = async (db: Kysely<unknown>): Promise<string[]> => {
  const migrator = new Migrator({ db, provider, migrationTableSchema: 'kehu_migration' })
  const { error, results } = await migrator.migrateToLatest()
  if (error) throw error
  return (results ?? []).map((result) => result.migrationName)
}
