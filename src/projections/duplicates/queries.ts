import type { Kysely } from 'kysely'
import type { DuplicatesTables } from './tables.ts'

/** Which customers hold these identities. */
export const holders = async (db: Kysely<unknown>, schema: string, identities: readonly string[]): Promise<{ identity: string; kind: string; customerId: string }[]> => {
  if (identities.length === 0) return []
  const rows = await db.withSchema(schema).withTables<DuplicatesTables>()
    .selectFrom('held_identifier').select(['identity', 'kind', 'customer_id']).where('identity', 'in', [...identities]).orderBy('identity').execute()
  return rows.map((row) => ({ identity: row.identity, kind: row.kind, customerId: row.customer_id }))
}
