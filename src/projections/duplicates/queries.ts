import { sql, type Kysely } from 'kysely'
import type { Features } from '../../domain/matching/features.ts'
import { PREPARED, unseen } from '../kysely.ts'
import type { DuplicatesTables } from './tables.ts'

/** Which customers hold these identities, and who stands for each. */
export const holders = async (db: Kysely<unknown>, schema: string, identities: readonly string[]): Promise<{ identity: string; customerId: string; survivorId: string }[]> => {
  if (identities.length === 0) return []
  const { rows } = await sql<{ identity: string; customer_id: string; absorbed_into: string | null }>`${PREPARED}
    select h.identity, h.customer_id, r.absorbed_into from unnest(${unseen([...new Set(identities)], 'text')}) as wanted (identity)
    cross join lateral (select identity, customer_id from ${sql.table(`${schema}.held_identifier`)} where identity = wanted.identity limit 1) as h
    left join lateral (select absorbed_into from ${sql.table(`${schema}.match_record`)} where customer_id = h.customer_id limit 1) as r on true
    order by h.identity`.execute(db)
  const survivors = await survivorsOf(db, schema, rows)
  return rows.map((row) => ({ identity: row.identity, customerId: row.customer_id, survivorId: survivors.get(row.customer_id) ?? row.customer_id }))
}

/** A block with more records than this tells nothing: it is passed over, at entry and by the scan. */
export const LARGEST_BLOCK = 100
/** Most records one look compares with, those that share most keys first. */
const MOST_COMPARED = 400

/** A record, and the customer that stands for it: itself, or the one it has been merged into. */
export type Comparable = { record: string; customerId: string; survivorId: string; features: Features }

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
  const { rows } = await sql<{ look: number; record: string; customer_id: string; absorbed_into: string | null; features: Features }>`${PREPARED}
    select candidate.look, r.record, r.customer_id, r.absorbed_into, r.features
    from (
      select look, record, row_number() over (partition by look order by count(*) desc, record) as place
      from (
        select wanted.look, block.record, count(*) over (partition by wanted.look, wanted.key) as size
        from unnest(${unseen(wanted.map(({ look }) => look), 'integer')}, ${unseen(wanted.map(({ key }) => key), 'text')}) as wanted (look, key)
        cross join lateral (select record from ${matchKey} where key = hashtextextended(wanted.key, 0) limit ${sql.lit(LARGEST_BLOCK + 1)}) as block
      ) as found
      where size <= ${sql.lit(LARGEST_BLOCK)}
      group by look, record
    ) as candidate
    cross join lateral (select record, customer_id, absorbed_into, features from ${matchRecord} where record = candidate.record limit 1) as r
    where candidate.place <= ${sql.lit(MOST_COMPARED)}`.execute(db)
  const survivors = await survivorsOf(db, schema, rows)
  for (const row of rows) found[row.look]?.push({ record: row.record, customerId: row.customer_id, survivorId: survivors.get(row.customer_id) ?? row.customer_id, features: row.features })
  return found
}

/** What of customers is compared, by customer; one who is not in this model is missing. */
export const comparablesOf = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]): Promise<Map<string, Comparable>> => {
  const { rows } = await sql<Pick<DuplicatesTables['match_record'], 'record' | 'customer_id' | 'absorbed_into' | 'features'>>`${PREPARED}
    select record, customer_id, absorbed_into, features from ${sql.table(`${schema}.match_record`)} where customer_id = any(${unseen(customerIds, 'text')})`.execute(db)
  const survivors = await survivorsOf(db, schema, rows)
  return new Map(rows.map((row) => [row.customer_id, { record: row.record, customerId: row.customer_id, survivorId: survivors.get(row.customer_id) ?? row.customer_id, features: row.features }]))
}

/** Who stands for those among these that have been merged, at the end of however many merges. Asks nothing where none has. */
export const survivorsOf = async (db: Kysely<unknown>, schema: string, rows: readonly { customer_id: string; absorbed_into: string | null }[]): Promise<Map<string, string>> => {
  const absorbed = [...new Set(rows.flatMap((row) => (row.absorbed_into === null ? [] : [row.customer_id])))]
  if (absorbed.length === 0) return new Map()
  const found = await sql<{ customer_id: string; survivor_id: string }>`${PREPARED}
    with recursive above as (
      select customer_id, absorbed_into as at from ${sql.table(`${schema}.match_record`)} where customer_id = any(${absorbed}::text[])
      union all
      select above.customer_id, r.absorbed_into from above join ${sql.table(`${schema}.match_record`)} r on r.customer_id = above.at where r.absorbed_into is not null
    ) cycle customer_id, at set met using path
    select above.customer_id, above.at as survivor_id from above
    where not met and not exists (select from ${sql.table(`${schema}.match_record`)} r where r.customer_id = above.at and r.absorbed_into is not null)`.execute(db)
  return new Map(found.rows.map((row) => [row.customer_id, row.survivor_id]))
}
