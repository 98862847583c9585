import { sql, type Kysely, type RawBuilder } from 'kysely'
import { z } from 'zod'
import { standingOf, type Exemption } from '../../domain/customer/protection.ts'
import type { Instant } from '../../domain/decider.ts'
import type { Organisation } from '../../domain/organisation/organisation.ts'
import { protectionOf, Row } from './fold.ts'
import { asRows, held, lapsesAt, standings, termsInForce } from './terms.ts'

export type ProtectionStanding = {
  customerId: string
  ownerId: string
  /** When the period began. */
  protectedSince: Instant
  /** When it ends; null: without end. */
  protectedUntil: Instant | null
  exemptions: Exemption[]
  /** When it lapses as things stand; null: no such time is known. */
  lapsesAt: Instant | null
  /** Whether the owner was warned of that. */
  warned: boolean
  lock: { until: Instant | null } | null
}

/** What the rows say, by the policy in force. */
const toStanding = (row: z.output<typeof Row>, organisation: Organisation, now: Instant): ProtectionStanding[] => {
  const protection = protectionOf(row)
  const ownerId = row.owner_id
  // Since when it is protected the row has worked out already, over all that were absorbed.
  const standing = standingOf({ category: row.category, tier: row.tier, protection }, { followedUpAt: row.since, boughtAt: row.all_bought_at, openComplaint: row.all_open_complaints > 0 }, organisation, now)
  if (ownerId === null || !standing) return []
  const { since, until, exemptions, lapsesAt: at } = standing
  return [{ customerId: row.customer_id, ownerId, protectedSince: since, protectedUntil: until, exemptions, lapsesAt: at, warned: row.warned, lock: protection.lock }]
}

export type ProtectionFilters = {
  /** Only what these hold; all, unless told. */
  ownerIds?: readonly string[] | undefined
  /** Only what lapses before. */
  before?: Instant | undefined
}
/** Where a page ended: when that customer lapses, `infinity` where no time is known. */
export type ProtectionCursor = { at: string; customerId: string }

/** How the protection of customers stands, the first to lapse first; those that do not at the end. */
export const protections = async (
  db: Kysely<unknown>, schema: string, organisation: Organisation, filters: ProtectionFilters, page: { now: Instant; limit: number; after?: ProtectionCursor | undefined },
): Promise<ProtectionStanding[]> => {
  const terms = await termsInForce(db, schema, organisation)
  const withoutEnd = sql`t.ms is null or (s.locked and s.lock_until is null) ${terms.openComplaint ? sql`or s.all_open_complaints > 0` : sql``}`
  const at = sql`case when ${withoutEnd} then 'infinity'::timestamptz else ${lapsesAt(terms)} end`
  const where: RawBuilder<unknown>[] = [held]
  if (filters.ownerIds !== undefined) where.push(sql`s.owner_id = any(${[...filters.ownerIds]}::text[])`)
  if (filters.before !== undefined) where.push(sql`${at} < ${filters.before}::timestamptz`)
  if (page.after !== undefined) where.push(sql`(${at}, s.customer_id) > (${page.after.at}::timestamptz, ${page.after.customerId})`)
  const { rows } = await sql`
    select s.* from ${standings(schema)} s left join ${asRows(terms.terms)} on t.tier = s.tier and t.category = s.category
    where ${sql.join(where, sql` and `)} order by ${at}, s.customer_id limit ${page.limit}`.execute(db)
  return z.array(Row).parse(rows).flatMap((row) => toStanding(row, organisation, page.now))
}

/** The protection of one customer; null for one that nobody holds. */
export const protectionOfCustomer = async (db: Kysely<unknown>, schema: string, organisation: Organisation, customerId: string, now: Instant): Promise<ProtectionStanding | null> => {
  const { rows } = await sql`select s.* from ${standings(schema)} s where s.customer_id = ${customerId} and ${held}`.execute(db)
  return z.array(Row).parse(rows).flatMap((row) => toStanding(row, organisation, now))[0] ?? null
}
