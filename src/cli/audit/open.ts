import type { Pool } from 'pg'
import type { Config } from '../../config.ts'
import { auditedThrough, type AuditedLog } from '../../event-store/log-entry.ts'
import { auditedRows } from '../../event-store/postgres/entries.ts'
import { openStorage } from '../../storage.ts'
import { withDatabase } from '../core.ts'

/** A log to be looked at and nothing else: it is neither opened nor migrated, for it may have been tampered with. */
export const withAuditedLog = <T>(config: Config, work: (log: AuditedLog, pool: Pool) => Promise<T>): Promise<T> =>
  withDatabase(config, async (connectionString) => {
    // No sealed value is opened: whoever verifies a log needs no key.
    const { pool, store, close } = await openStorage({ ...config, connectionString, masterKeys: [Buffer.alloc(32)] })
    return work(config.eventStoreUrl === undefined ? auditedRows(pool) : auditedThrough(store), pool).finally(close)
  })
