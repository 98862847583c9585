import { sql, type Kysely } from 'kysely'
import { z } from 'zod'
import type { Holdings } from '../../domain/portfolio/limits.ts'

const Counts = z.array(z.object({ tier: z.string(), count: z.number().int() }))
const Held = z.array(z.object({ customer_id: z.string() }))

/** Customers an employee owns, by tier, without those at certain stages; and which of some they own. */
export const holdingsOf = async (db: Kysely<unknown>, schema: string, employeeId: string, { uncountedStages, among }: { uncountedStages: readonly string[]; among: readonly string[] }): Promise<Holdings> => {
  const owned = sql`from ${sql.table(`${schema}.customer`)} where owner_id = ${employeeId} and absorbed_into is null`
  const counts = await sql`select tier, count(*)::int as count ${owned} and stage <> all(${[...uncountedStages]}::text[]) group by tier`.execute(db)
  const held = among.length === 0 ? { rows: [] } : await sql`select customer_id ${owned} and customer_id = any(${[...among]}::text[])`.execute(db)
  return {
    byTier: Object.fromEntries(Counts.parse(counts.rows).map(({ tier, count }) => [tier, count])),
    held: new Set(Held.parse(held.rows).map((row) => row.customer_id)),
  }
}
