import { sql, type Kysely, type RawBuilder } from 'kysely'
import { z } from 'zod'
import type { Selection } from '../../domain/handover/handover.ts'
import { regionsAround } from '../../domain/handover/region.ts'
import type { Taker } from '../../domain/handover/spread.ts'
import { HandoverRule } from '../../domain/policy/kinds.ts'
import { ModelBuilding, NotCaughtUp, type ReadModels } from '../read-models.ts'
import { handovers } from './project.ts'

/** A customer with what a handover goes by; `place` is where to go on from. */
type HeldCustomer = { customerId: string; tier: string; region: string | null; heldSince: number; place: string }

const OpenRow = z.object({ handover_id: z.string(), from_id: z.string(), cause: z.enum(['departure', 'transfer']), rule: HandoverRule, completed: z.boolean(), remaining: z.number(), moved: z.number(), pooled: z.number() })

const openHandovers = async (db: Kysely<unknown>, schema: string) => {
  const { rows } = await sql`
    select handover_id, from_id, cause, rule, completed_at is not null as completed, remaining, moved, pooled from ${sql.table(`${schema}.handover`)}
    where completed_at is null or remaining > 0 order by ordinal`.execute(db)
  return z.array(OpenRow).parse(rows).map(({ handover_id: handoverId, from_id: from, ...row }) => ({ handoverId, from, ...row }))
}

type Page = { after: string | undefined; limit: number }
type CustomerRow = { customer_id: string; tier: string; region: string | null; held_since: number; ordinal: string; held_ordinal: string }

/** Rows of either table in order of entry; of two holdings of one customer, the earlier first. */
const pageOf = async (db: Kysely<unknown>, table: RawBuilder<unknown>, where: RawBuilder<unknown>, { after, limit }: Page): Promise<HeldCustomer[]> => {
  const [ordinal, heldOrdinal] = (after ?? '0-0').split('-')
  const { rows } = await sql<CustomerRow>`
    select customer_id, tier, region, held_since, ordinal, held_ordinal from ${table}
    where ${where} and ordinal >= ${ordinal}::bigint and (ordinal, held_ordinal) > (${ordinal}::bigint, ${heldOrdinal}::bigint) order by ordinal, held_ordinal limit ${limit}`.execute(db)
  return rows.map((row) => ({ customerId: row.customer_id, tier: row.tier, region: row.region, heldSince: row.held_since, place: `${row.ordinal}-${row.held_ordinal}` }))
}

const heldBy = (db: Kysely<unknown>, schema: string, from: string, only: Selection | undefined, page: Page) => {
  const { customerIds, tier, categories } = only ?? {}
  const where = sql.join([
    sql`owner_id = ${from}`,
    ...(customerIds ? [sql`customer_id = any(${customerIds}::text[])`] : []), ...(tier === undefined ? [] : [sql`tier = ${tier}`]), ...(categories ? [sql`category = any(${categories}::text[])`] : []),
  ], sql` and `)
  return pageOf(db, sql.table(`${schema}.holding`), where, page)
}

/** Nobody holds none: who is asked about is answered for. */
const takersAmong = async (db: Kysely<unknown>, schema: string, employeeIds: readonly string[]): Promise<Taker[]> => {
  const { rows } = await sql<{ owner_id: string; tier: string; region: string | null; n: string }>`
    select owner_id, tier, region, count(*) as n from ${sql.table(`${schema}.holding`)} where owner_id = any(${[...employeeIds]}::text[]) group by owner_id, tier, region`.execute(db)
  const takers = new Map(employeeIds.map((employeeId) => [employeeId, { employeeId, total: 0, byTier: new Map<string, number>(), byRegion: new Map<string, number>() }]))
  for (const { owner_id: owner, tier, region, n } of rows) {
    const taker = takers.get(owner)
    if (!taker) continue
    const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + Number(n))
    taker.total += Number(n)
    add(taker.byTier, tier)
    for (const around of region === null ? [] : regionsAround(region)) add(taker.byRegion, around)
  }
  return [...takers.values()]
}

const ruleOf = async (db: Kysely<unknown>, schema: string, employeeId: string) => {
  const { rows: [row] } = await sql<{ rule: unknown }>`select rule from ${sql.table(`${schema}.handover`)} where from_id = ${employeeId} and cause = 'departure'`.execute(db)
  return row && HandoverRule.parse(row.rule)
}

/** What handovers read, from this read model: as commands want it handed in. */
export const makeHandoverBook = (readModels: ReadModels) => {
  const ask = async <T>(work: (db: Kysely<unknown>, schema: string) => Promise<T>, after?: bigint): Promise<T> => (await readModels.query(handovers, { after }, work)).result
  return {
    open: async (after: bigint) => {
      try {
        return await ask(openHandovers, after)
      } catch (error) {
        if (error instanceof NotCaughtUp || error instanceof ModelBuilding) return undefined
        throw error
      }
    },
    pending: (handoverId: string, page: Page) => ask((db, schema) => pageOf(db, sql.table(`${schema}.handover_customer`), sql`handover_id = ${handoverId} and outcome = 'pending'`, page)),
    takers: (employeeIds: readonly string[]) => ask((db, schema) => takersAmong(db, schema, employeeIds)),
    ruleOfDeparture: (employeeId: string) => ask((db, schema) => ruleOf(db, schema, employeeId)),
    held: (from: string, only: Selection | undefined, page: Page) => ask((db, schema) => heldBy(db, schema, from, only, page)),
  }
}
