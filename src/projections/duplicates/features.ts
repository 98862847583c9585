import { sql, type Kysely } from 'kysely'
import type { Features } from '../../domain/matching/features.ts'

const AT_ONCE = 5000

/** The features of every customer, in the order they were entered; how many there are with each batch. */
export async function* allFeatures(db: Kysely<unknown>, schema: string): AsyncIterable<{ features: Features[]; done: number; all: number }> {
  const table = sql.table(`${schema}.match_record`)
  const { rows: counted } = await sql<{ all: string }>`select count(*) as all from ${table}`.execute(db)
  const all = Number(counted[0]?.all ?? 0)
  let done = 0
  for (let after = '-1'; ; ) {
    const { rows } = await sql<{ record: string; features: Features }>`select record, features from ${table} where record > ${after}::bigint order by record limit ${AT_ONCE}`.execute(db)
    const last = rows.at(-1)
    if (!last) return
    after = last.record
    done += rows.length
    yield { features: rows.map((row) => row.features), done, all: Math.max(all, done) }
  }
}
