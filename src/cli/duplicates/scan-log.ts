import { sql, type Kysely } from 'kysely'
import { v7 as uuidv7 } from 'uuid'

/** A scan as it stands: through which blocking key it has come, and what it has found so far. */
export type Scan = { scanId: string; throughKey: string | null; compared: number; found: number }

/** What a scan is of: the same again goes on with one that was interrupted. */
export type ScanOf = { modelVersion: number; weightsVersion: number }

/** The scan to go on with, or a new one: where the last has finished, where the weights are others by now, or where `anew` says so. */
export const beginScan = async (db: Kysely<unknown>, { modelVersion, weightsVersion }: ScanOf, anew: boolean, now: Date): Promise<Scan> => {
  const { rows } = await sql<{ scan_id: string; through_key: string | null; compared: string; found: string }>`
    select scan_id, through_key, compared, found from kehu.duplicate_scan
    where finished_at is null and model_version = ${modelVersion} and weights_version = ${weightsVersion} order by scan_id desc limit 1`.execute(db)
  const [open] = anew ? [] : rows
  if (open) return { scanId: open.scan_id, throughKey: open.through_key, compared: Number(open.compared), found: Number(open.found) }
  const scan: Scan = { scanId: uuidv7(), throughKey: null, compared: 0, found: 0 }
  await sql`
    insert into kehu.duplicate_scan (scan_id, model_version, weights_version, compared, found, started_at)
    values (${scan.scanId}, ${modelVersion}, ${weightsVersion}, 0, 0, ${now.toISOString()})`.execute(db)
  return scan
}

export const recordProgress = (db: Kysely<unknown>, { scanId, throughKey, compared, found }: Scan) =>
  sql`update kehu.duplicate_scan set through_key = ${throughKey}::bigint, compared = ${compared}, found = ${found} where scan_id = ${scanId}`.execute(db)

export const finishScan = (db: Kysely<unknown>, { scanId }: Scan, now: Date) =>
  sql`update kehu.duplicate_scan set finished_at = ${now.toISOString()} where scan_id = ${scanId}`.execute(db)
