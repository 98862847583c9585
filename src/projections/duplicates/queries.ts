import { sql, type Kysely } from 'kysely'
import type { Features } from '../../domain/matching/features.ts'
import type { DuplicatesTables } from './tables.ts'

/** Which customers hold these identities. */
export const holders = async (db: Kysely<unknown>, schema: string, identities: readonly string[]): Promise<{ identity: string; kind: string; customerId: string }[]> => {
  if (identities.length === 0) return []
  const rows = await db.withSchema(schema).withTables<DuplicatesTables>()
    .selectFrom('held_identifier').select(['identity', 'kind', 'customer_id']).where('identity', 'in', [...identities]).orderBy('identity').execute()
  return rows.map((row) => ({ identity: row.identity, kind: row.kind, customerId: row.customer_id }))
}

/** A block with more records than this tells nothing: it is passed over, at entry and by the scan. */
export const LARGEST_BLOCK = 100
/** Most records one look compares with, those that share most keys first. */
const MOST_COMPARED = 400

export type Comparable = { record: string; customerId: string; features: Features }

/**
 * The records that share a block with these keys. Of a block that is too large no more is read than it takes to see
 * that. Which records come does not depend on any order: a block is in whole or not at all.
 */
export const sharingKeys = async (db: Kysely<unknown>, schema: string, keys: readonly string[]): Promise<Comparable[]> => {
  if (keys.length === 0) return []
  const [matchRecord, matchKey] = ['match_record', 'match_key'].map((name) => sql.table(`${schema}.${name}`))
  const { rows } = await sql<{ record: string; customer_id: string; features: Features }>`
    select r.record, r.customer_id, r.features
    from (
      select record, count(*) as shared
      from (
        select block.record, count(*) over (partition by wanted.key) as size
        from unnest(${[...keys]}::text[]) as wanted (key)
        cross join lateral (select record from ${matchKey} where key = hashtextextended(wanted.key, 0) limit ${LARGEST_BLOCK + 1}) as block
      ) as found
      where size <= ${LARGEST_BLOCK}
      group by record order by shared desc, record limit ${MOST_COMPARED}
    ) as candidate
    join ${matchRecord} r on r.record = candidate.record`.execute(db)
  return rows.map((row) => ({ record: row.record, customerId: row.customer_id, features: row.features }))
}

/** What of one customer is compared; undefined for one who is not in this model. */
export const comparableOf = async (db: Kysely<unknown>, schema: string, customerId: string): Promise<Comparable | undefined> => {
  const row = await db.withSchema(schema).withTables<DuplicatesTables>()
    .selectFrom('match_record').select(['record', 'customer_id', 'features']).where('customer_id', '=', customerId).executeTakeFirst()
  return row && { record: row.record, customerId: row.customer_id, features: row.features }
}
