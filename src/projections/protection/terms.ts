import { sql, type Kysely, type RawBuilder } from 'kysely'
import { milliseconds, protectionDays } from '../../domain/customer/protection.ts'
import type { Organisation } from '../../domain/organisation/organisation.ts'

export const standings = (schema: string): RawBuilder<unknown> => sql.table(`${schema}.standing`)
/** Those whose protection runs: held, and customers of their own. */
export const held = sql`s.owner_id is not null and s.absorbed_into is null`

/** How long the customers of a tier and category are protected. */
export type Term = { tier: string; category: string; ms: number }
/** The ownership policy in force, as queries take it: the rows know nothing of it. */
export type Terms = { terms: readonly Term[]; boughtMs: number | null; openComplaint: boolean; warnMs: number | null }

/** The terms of those tiers and categories in which anybody is held, found by skipping from one to the next. */
export const termsInForce = async (db: Kysely<unknown>, schema: string, organisation: Organisation): Promise<Terms> => {
  const { protection } = organisation.policies.ownership.value
  if (!protection) return { terms: [], boughtMs: null, openComplaint: false, warnMs: null }
  const { rows } = await sql<{ tier: string; category: string }>`
    with recursive pair as (
      (select s.tier, s.category from ${standings(schema)} s where ${held} order by s.tier, s.category limit 1)
      union all
      select following.tier, following.category from pair, lateral (
        select s.tier, s.category from ${standings(schema)} s where ${held} and (s.tier, s.category) > (pair.tier, pair.category) order by s.tier, s.category limit 1
      ) following
    ) select tier, category from pair`.execute(db)
  const { exempt: { openComplaint, recentPurchaseDays }, warnDays } = protection
  return {
    terms: rows.flatMap(({ tier, category }) => {
      const days = protectionDays(organisation, category, tier)
      return days === null ? [] : [{ tier, category, ms: milliseconds(days) }]
    }),
    boughtMs: recentPurchaseDays === null ? null : milliseconds(recentPurchaseDays), openComplaint, warnMs: warnDays === null ? null : milliseconds(warnDays),
  }
}

/** The terms as rows `t`. */
export const asRows = (terms: readonly Term[]): RawBuilder<unknown> =>
  sql`unnest(${terms.map((term) => term.tier)}::text[], ${terms.map((term) => term.category)}::text[], ${terms.map((term) => term.ms)}::float8[]) as t (tier, category, ms)`

/** So many milliseconds, as the database adds them to a time. */
export const span = (ms: RawBuilder<unknown> | number): RawBuilder<unknown> => sql`${typeof ms === 'number' ? sql`${ms}::float8` : ms} * interval '1 millisecond'`

/** When the protection of `s` under the terms `t` lapses, unless something keeps it from that without a known end. */
export const lapsesAt = ({ boughtMs }: Terms): RawBuilder<Date> => sql<Date>`greatest(s.since + ${span(sql`t.ms`)}, ${boughtMs === null ? sql`null` : sql`s.all_bought_at + ${span(boughtMs)}`}, s.lock_until)`
