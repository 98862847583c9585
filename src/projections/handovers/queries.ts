import { sql, type Kysely, type RawBuilder } from 'kysely'
import { z } from 'zod'
import { HandoverRule } from '../../domain/policy/kinds.ts'

const Time = z.date().transform((date) => date.toISOString())
const Row = z.object({
  handover_id: z.string(), ordinal: z.string(), from_id: z.string(), cause: z.enum(['departure', 'transfer']), rule: HandoverRule, rule_by: z.enum(['command', 'policy']),
  only_those: z.object({ customerIds: z.array(z.string()).optional(), tier: z.string().optional(), categories: z.array(z.string()).optional() }).nullable(), policy_version: z.number().nullable(),
  started_by: z.string(), reason: z.string().nullable(), started_at: Time, completed_at: Time.nullable(),
  held: z.number(), later: z.number(), moved: z.number(), pooled: z.number(), otherwise: z.number(), remaining: z.number(), revision: z.number(),
})

export type HandoverFilters = { handoverId?: string | undefined; from?: readonly string[] | undefined; cause?: string | undefined; status?: 'running' | 'completed' | undefined }

/** Handovers, the latest started first, after `before` (the ordinal a page ended with). */
export const findHandovers = async (db: Kysely<unknown>, schema: string, filters: HandoverFilters, page: { limit: number; before?: string | undefined }) => {
  const where: RawBuilder<unknown>[] = [sql`true`]
  if (filters.handoverId !== undefined) where.push(sql`handover_id = ${filters.handoverId}`)
  if (filters.from !== undefined) where.push(sql`from_id = any(${[...filters.from]}::text[])`)
  if (filters.cause !== undefined) where.push(sql`cause = ${filters.cause}`)
  if (filters.status !== undefined) where.push(filters.status === 'completed' ? sql`completed_at is not null` : sql`completed_at is null`)
  if (page.before !== undefined) where.push(sql`ordinal < ${page.before}`)
  const { rows } = await sql`select * from ${sql.table(`${schema}.handover`)} where ${sql.join(where, sql` and `)} order by ordinal desc limit ${page.limit}`.execute(db)
  return z.array(Row).parse(rows).map((row) => ({ place: row.ordinal, handover: {
    handoverId: row.handover_id, from: row.from_id, cause: row.cause, rule: row.rule, ruleBy: row.rule_by, only: row.only_those, policyVersion: row.policy_version,
    startedBy: row.started_by, reason: row.reason, startedAt: row.started_at, completedAt: row.completed_at,
    held: row.held, later: row.later, moved: row.moved, pooled: row.pooled, otherwise: row.otherwise, remaining: row.remaining, revision: row.revision,
  } }))
}

export const outcomes = ['pending', 'moved', 'otherwise'] as const
const LedgerRow = z.object({
  ordinal: z.string(), held_ordinal: z.string(), customer_id: z.string(), outcome: z.enum(outcomes), next_owner: z.string().nullable(), recorded_at: Time.nullable(), revision: z.number().nullable(), event_id: z.string().nullable(),
})

/** The ledger of a handover in order of entry, after `after` (the place a page ended with). */
export const handoverLedger = async (db: Kysely<unknown>, schema: string, { handoverId, outcome }: { handoverId: string; outcome?: string | undefined }, page: { limit: number; after?: string | undefined }) => {
  const [ordinal, heldOrdinal] = (page.after ?? '0-0').split('-')
  const { rows } = await sql`
    select ordinal, held_ordinal, customer_id, outcome, next_owner, recorded_at, revision, event_id from ${sql.table(`${schema}.handover_customer`)}
    where handover_id = ${handoverId} and (ordinal, held_ordinal) > (${ordinal}::bigint, ${heldOrdinal}::bigint) and (${outcome ?? null}::text is null or outcome = ${outcome ?? null})
    order by ordinal, held_ordinal limit ${page.limit}`.execute(db)
  return z.array(LedgerRow).parse(rows).map((row) => ({ place: `${row.ordinal}-${row.held_ordinal}`, entry: {
    customerId: row.customer_id, outcome: row.outcome, to: row.next_owner, recordedAt: row.recorded_at, revision: row.revision, eventId: row.event_id,
  } }))
}
