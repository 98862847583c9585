import { sql, type Kysely, type RawBuilder } from 'kysely'
import { knownPart, type KnownAt } from './queries.ts'

/** A customer somebody holds, since when and on what basis. */
export type Holding = { customerId: string; ownerId: string; since: string; basis: string }
/** What became of a customer between two times; `from` and `to`: who of those asked about held it then. */
export type PortfolioChange = { customerId: string; change: 'gained' | 'lost' | 'kept'; from: string | null; to: string | null }
export type PortfolioCounts = { gained: number; lost: number; kept: number }

type At = { owners: readonly string[]; at: string }
type Page = { limit: number; after?: string | undefined }

/** The periods of these owners that contain an instant, as the log knew it. By owner and start, so only what they ever held is looked at. */
const heldAt = (schema: string, { owners, at }: At, knownAt: KnownAt): RawBuilder<unknown> => sql`
  select customer_id, owner_id, effective_at, basis from ${sql.table(`${schema}.ownership_period`)}
  where owner_id = any(${[...owners]}::text[]) and effective_at <= ${at}::timestamptz and valid @> ${at}::timestamptz and ${knownPart(schema, knownAt)}`

/** Who these owners held at an instant, by customer. */
export const holdings = async (db: Kysely<unknown>, schema: string, held: At, knownAt: KnownAt, page: Page): Promise<Holding[]> => {
  const { rows } = await sql<{ customer_id: string; owner_id: string; effective_at: Date; basis: string }>`
    select customer_id, owner_id, effective_at, basis from (${heldAt(schema, held, knownAt)}) held
    where ${page.after ?? ''} < customer_id collate "C" order by customer_id collate "C" limit ${page.limit}`.execute(db)
  return rows.map((row) => ({ customerId: row.customer_id, ownerId: row.owner_id, since: row.effective_at.toISOString(), basis: row.basis }))
}

export const countHoldings = async (db: Kysely<unknown>, schema: string, held: At, knownAt: KnownAt): Promise<number> => {
  const { rows: [row] } = await sql<{ n: string }>`select count(*) as n from (${heldAt(schema, held, knownAt)}) held`.execute(db)
  return Number(row?.n ?? 0)
}

const changes = (schema: string, from: At, to: At, knownAt: KnownAt): RawBuilder<unknown> => sql`
  select coalesce(one.customer_id, other.customer_id) as customer_id, one.owner_id as from_owner, other.owner_id as to_owner,
         case when one.customer_id is null then 'gained' when other.customer_id is null then 'lost' else 'kept' end as change
  from (${heldAt(schema, from, knownAt)}) one full join (${heldAt(schema, to, knownAt)}) other using (customer_id)`

/** What these owners gained, lost and kept from one instant to another, by customer. */
export const portfolioChanges = async (db: Kysely<unknown>, schema: string, from: At, to: At, knownAt: KnownAt, change: PortfolioChange['change'] | undefined, page: Page): Promise<PortfolioChange[]> => {
  const { rows } = await sql<{ customer_id: string; change: PortfolioChange['change']; from_owner: string | null; to_owner: string | null }>`
    select customer_id, change, from_owner, to_owner from (${changes(schema, from, to, knownAt)}) changed
    where ${page.after ?? ''} < customer_id collate "C" and (${change ?? null}::text is null or change = ${change ?? null}) order by customer_id collate "C" limit ${page.limit}`.execute(db)
  return rows.map((row) => ({ customerId: row.customer_id, change: row.change, from: row.from_owner, to: row.to_owner }))
}

export const countChanges = async (db: Kysely<unknown>, schema: string, from: At, to: At, knownAt: KnownAt): Promise<PortfolioCounts> => {
  const { rows } = await sql<{ change: PortfolioChange['change']; n: string }>`select change, count(*) as n from (${changes(schema, from, to, knownAt)}) changed group by change`.execute(db)
  const count = (change: PortfolioChange['change']) => Number(rows.find((row) => row.change === change)?.n ?? 0)
  return { gained: count('gained'), lost: count('lost'), kept: count('kept') }
}
