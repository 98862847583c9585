import { sql, type Transaction } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import { z } from 'zod'
import { isOfProfile } from '../../domain/customer/of-profile.ts'
import { PREPARED } from '../kysely.ts'
import { StoredChanges, storedChanges } from '../owner-changes.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed } from '../rows.ts'
import { begin, step, type Standing, type Stay } from './stays.ts'
import { tables, type LifecycleTables } from './tables.ts'

// What the tables hold was written by this projection; times come back as dates, in lists as texts.
const Time = z.union([z.date(), z.string()]).transform((time) => new Date(time).toISOString())
const CustomerRow = z.object({
  customer_id: z.string(), category: z.string(), stage: z.string(), stage_since: Time, tier: z.string(), tier_since: Time, entered_at: Time, responsible_id: z.string().nullable(), responsible_since: Time.nullable(), entered_by: z.string().nullable(), ownership: StoredChanges, absorbed: z.boolean(),
})
const StayRow = z.object({
  customer_id: z.string(), axis: z.enum(['stage', 'tier']), revision: z.number(), name: z.string(), entered_at: Time, came_from: z.string().nullable(), came_by: z.string(),
  left_at: Time.nullable(), next: z.string().nullable(), move: z.string().nullable(), category: z.string(),
})
const StandingRow = CustomerRow.extend({ stays: z.array(StayRow) })

type Connection = ReturnType<typeof connect>
export const connect = (trx: Transaction<unknown>, schema: string) => trx.withSchema(schema).withTables<LifecycleTables>()

const customerTable = tableNamed(tables, 'customer')
const stayTable = tableNamed(tables, 'stay')
const stageTable = tableNamed(tables, 'stage_transition')
const tierTable = tableNamed(tables, 'tier_transition')

/** Where these customers stand, as the tables have it. */
export const load = async (db: Connection, ids: readonly string[]): Promise<Map<string, Standing>> => {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('customer as c').modifyFront(PREPARED).selectAll('c')
    .select((of) => jsonArrayFrom(of.selectFrom('stay as s').selectAll('s').whereRef('s.customer_id', '=', 'c.customer_id').where('s.left_at', 'is', null)).as('stays'))
    .where('c.customer_id', '=', sql<string>`any(${ids})`).execute()
  return new Map(z.array(StandingRow).parse(rows).flatMap(({ stays, ...customer }) => {
    const stage = stays.find(({ axis }) => axis === 'stage')
    const tier = stays.find(({ axis }) => axis === 'tier')
    return stage && tier ? [[customer.customer_id, { customer: { ...customer, ownership: storedChanges(customer.ownership) }, ownership: customer.ownership, stage, tier }]] : []
  }))
}

const save = async (trx: Transaction<unknown>, schema: string, standings: readonly Standing[], stays: readonly Stay[]): Promise<void> => {
  await insertRows(trx, schema, customerTable, standings.map((standing) => standing.customer), { key: ['customer_id'], update: ['category', 'stage', 'stage_since', 'tier', 'tier_since', 'responsible_id', 'responsible_since', 'ownership', 'absorbed'] })
  await insertRows(trx, schema, stayTable, stays, { key: ['customer_id', 'axis', 'revision'], update: ['left_at', 'next', 'move'] })
}

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = connect(trx, schema)
  const relevant = events.flatMap((one) => (one.kind === 'customer' && !isOfProfile(one.event) ? [one] : []))
  const standings = await load(db, [...new Set(relevant.map((one) => one.id))])
  const changed = new Set<string>()
  const stays = new Map<string, Stay>()
  const stages: LifecycleTables['stage_transition'][] = []
  const tiers: LifecycleTables['tier_transition'][] = []

  for (const { id, event, ordinal } of relevant) {
    const before = standings.get(id)
    const after = event.type === 'CustomerCreated' ? begin(id, event) : before && step(before, event)
    if (!after) continue
    const { customer, stage, tier } = after.standing
    standings.set(id, after.standing)
    changed.add(id)
    for (const stay of after.stays) stays.set(`${id} ${stay.axis} ${stay.revision}`, stay)

    const common = { customer_id: id, revision: event.revision, ordinal: String(ordinal), actor: event.actor }
    const versionOf = (policy: string) => event.policies.find((one) => one.name === policy)?.version ?? null
    const cause = event.type === 'StageChanged' ? event.data.cause : 'command'
    const basis = event.type === 'TierUpgraded' || event.type === 'TierDowngraded' ? event.data.basis : null
    if (stage !== before?.stage) stages.push({ ...common, at: customer.stage_since, from_stage: stage.came_from, to_stage: stage.name, move: stage.came_by, cause, policy_version: versionOf('stages') })
    if (tier !== before?.tier) tiers.push({ ...common, at: customer.tier_since, from_tier: tier.came_from, to_tier: tier.name, direction: tier.came_by, basis, policy_version: versionOf('tiers') })
  }

  await save(trx, schema, [...changed].flatMap((id) => standings.get(id) ?? []), [...stays.values()])
  await insertRows(trx, schema, stageTable, stages)
  await insertRows(trx, schema, tierTable, tiers)
}

export const lifecycle: Projection = { model: 'lifecycle', version: 3, kinds: ['customer'], tables, project }
