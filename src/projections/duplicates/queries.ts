import { sql, type Kysely } from 'kysely'
import type { Features } from '../../domain/matching/features.ts'
import { PREPARED } from '../kysely.ts'
import type { DuplicatesTables } from './tables.ts'

/** Which customers hold these identities. */
export const holders = async (db: Kysely<unknown>, schema: string, identities: readonly string[]): Promise<{ identity: string; kind: string; customerId: string }[]> => {
  if (identities.length === 0) return []
  const { rows } = await sql<DuplicatesTables['held_identifier']>`${PREPARED}
    select identity, kind, customer_id from ${sql.table(`${schema}.held_identifier`)} where identity = any(${identities}::text[]) order by identity`.execute(db)
  return rows.map((row) => ({ identity: row.identity, kind: row.kind, customerId: row.customer_id }))
}

/** A block with more records than this tells nothing: it is passed over, at entry and by the scan. */
export const LARGEST_BLOCK = 100
/** Most records one look compares with, those that share most keys first. */
const MOST_COMPARED = 400

export type Comparable = { record: string; customerId: string; features: Features }

/**
 * For each of several looks, the records that share a block with its keys. Of a block that is too large no more is read
 * than it takes to see that. Which records come does not depend on any order, nor on the other looks: a block is in whole or not at all.
 */
export const sharingKeys = async (db: Kysely<unknown>, schema: string, looks: readonly (readonly string[])[]): Promise<Comparable[][]> => {
  const found = looks.map((): Comparable[] => [])
  const wanted = looks.flatMap((keys, look) => keys.map((key) => ({ look, key })))
  if (wanted.length === 0) return found
  const [matchRecord, matchKey] = ['match_record', 'match_key'].map((name) => sql.table(`${schema}.${name}`))
  // Records one by one, by their key: the planner does not know how few they are.
  const { rows } = await sql<{ look: number; record: string; customer_id: string; features: Features }>`${PREPARED}
    select candidate.look, r.record, r.customer_id, r.features
    from (
      select look, record, row_number() over (partition by look order by count(*) desc, record) as place
      from (
        select wanted.look, block.record, count(*) over (partition by wanted.look, wanted.key) as size
        from unnest(${wanted.map(({ look }) => look)}::integer[], ${wanted.map(({ key }) => key)}::text[]) as wanted (look, key)
        cross join lateral (select record from ${matchKey} where key = hashtextextended(wanted.key, 0) limit ${sql.lit(LARGEST_BLOCK + 1)}) as block
      ) as found
      where size <= ${sql.lit(LARGEST_BLOCK)}
      group by look, record
    ) as candidate
    cross join lateral (select record, customer_id, features from ${matchRecord} where record = candidate.record limit 1) as r
    where candidate.place <= ${sql.lit(MOST_COMPARED)}`.execute(db)
  for (const row of rows) found[row.look]?.push({ record: row.record, customerId: row.customer_id, features: row.features })
  return found
}

/** What of customers is compared, by customer; one who is not in this model is missing. */
export const comparablesOf = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]): Promise<Map<string, Comparable>> => {
  const { rows } = await sql<DuplicatesTables['match_record']>`${PREPARED}
    select record, customer_id, features from ${sql.table(`${schema}.match_record`)} where customer_id = any(${customerIds}::text[])`.execute(db)
  return new Map(rows.map((row) => [row.customer_id, { record: row.record, customerId: row.customer_id, features: row.features }]))
}
