import { sql, type Kysely } from 'kysely'
import type { Instant } from '../../domain/decider.ts'
import type { Organisation } from '../../domain/organisation/organisation.ts'
import { asRows, held, lapsesAt, span, standings, termsInForce, type Terms } from './terms.ts'

/** A period of protection, as the command that ends it or warns of its end names it. */
export type DuePeriod = { customerId: string; ownerId: string; since: Instant; lapsesAt: Instant }
export type DuePeriods = { due: DuePeriod[]; next: Instant | null }

/** Periods that are over by `now`, the longest idle first, and from when on to look again. */
export const dueLapses = async (db: Kysely<unknown>, schema: string, organisation: Organisation, now: Instant, limit: number): Promise<DuePeriods> =>
  endingBy(db, schema, await termsInForce(db, schema, organisation), { now, leadMs: 0, limit })

/** Periods whose owner is to be warned by `now`, and has not been. */
export const dueWarnings = async (db: Kysely<unknown>, schema: string, organisation: Organisation, now: Instant, limit: number): Promise<DuePeriods> => {
  const terms = await termsInForce(db, schema, organisation)
  return terms.warnMs === null ? { due: [], next: null } : endingBy(db, schema, terms, { now, leadMs: terms.warnMs, limit })
}

/**
 * The periods that end within `leadMs` from now; with a lead, only those that have not ended and were not warned of. Each tier and
 * category is read from an index, the longest idle first, up to where nothing can have ended. What is exempt is passed over there.
 */
const endingBy = async (db: Kysely<unknown>, schema: string, terms: Terms, { now, leadMs, limit }: { now: Instant; leadMs: number; limit: number }): Promise<DuePeriods> => {
  if (terms.terms.length === 0) return { due: [], next: null }
  const { boughtMs, openComplaint } = terms
  const by = sql`(${now}::timestamptz + ${span(leadMs)})`
  const warning = leadMs > 0
  // Nobody can lapse who bought or was followed up within the shorter of the two.
  const idle = boughtMs === null ? sql`s.since` : sql`s.idle_since`
  const least = boughtMs === null ? sql`t.ms` : sql`least(t.ms, ${boughtMs}::float8)`
  const ofTerm = sql`${held} and s.tier = t.tier and s.category = t.category ${warning ? sql`and not s.warned` : sql``}`
  const { rows } = await sql<{ customer_id: string; owner_id: string; since: Date; lapses_at: Date }>`
    select ended.* from ${asRows(terms.terms)}, lateral (
      select s.customer_id, s.owner_id, s.since, ${lapsesAt(terms)} as lapses_at from ${standings(schema)} s
      where ${ofTerm} and ${idle} <= ${by} - ${span(least)} and s.since <= ${by} - ${span(sql`t.ms`)}
        ${boughtMs === null ? sql`` : sql`and (s.all_bought_at is null or s.all_bought_at <= ${by} - ${span(boughtMs)})`}
        and (not s.locked or s.lock_until <= ${by}) ${openComplaint ? sql`and s.all_open_complaints = 0` : sql``}
        ${warning ? sql`and ${lapsesAt(terms)} > ${now}::timestamptz` : sql``}
      order by ${idle} limit ${limit}
    ) ended order by lapses_at, customer_id limit ${limit}`.execute(db)
  const next = await sql<{ at: Date | null }>`
    select min(first.at) as at from ${asRows(terms.terms)}, lateral (
      select ${idle} + ${span(least)} - ${span(leadMs)} as at from ${standings(schema)} s where ${ofTerm} and ${idle} > ${by} - ${span(least)} order by ${idle} limit 1
    ) first`.execute(db)
  return {
    due: rows.map((row) => ({ customerId: row.customer_id, ownerId: row.owner_id, since: row.since.toISOString(), lapsesAt: row.lapses_at.toISOString() })),
    next: next.rows[0]?.at?.toISOString() ?? null,
  }
}
