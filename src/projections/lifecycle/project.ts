import type { Transaction } from 'kysely'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { tables, type LifecycleTables } from './tables.ts'

type Customer = LifecycleTables['customer']

const CHUNK = 500

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = trx.withSchema(schema).withTables<LifecycleTables>()
  const relevant = events.flatMap((one) => (one.kind === 'customer' ? [one] : []))
  const ids = [...new Set(relevant.map((one) => one.id))]
  const customers = new Map<string, Customer>()
  if (ids.length > 0) for (const row of await db.selectFrom('customer').selectAll().where('customer_id', 'in', ids).execute()) customers.set(row.customer_id, row)
  const changed = new Set<string>()
  const stages: LifecycleTables['stage_transition'][] = []
  const tiers: LifecycleTables['tier_transition'][] = []

  for (const { id, event, ordinal } of relevant) {
    const at = event.effectiveAt
    const common = { customer_id: id, revision: event.revision, ordinal: String(ordinal), at, actor: event.actor }
    const versionOf = (policy: string) => event.policies.find((one) => one.name === policy)?.version ?? null
    const before = customers.get(id)
    if (event.type === 'CustomerCreated') {
      const { category, stage, tier } = event.data
      customers.set(id, { customer_id: id, category, stage, stage_since: at, tier, tier_since: at, entered_at: at })
      stages.push({ ...common, from_stage: null, to_stage: stage, move: 'entry', cause: 'command', policy_version: versionOf('stages') })
      tiers.push({ ...common, from_tier: null, to_tier: tier, direction: 'entry', basis: null, policy_version: versionOf('tiers') })
    } else if (before && event.type === 'CustomerRecategorised') {
      customers.set(id, { ...before, category: event.data.to })
    } else if (before && event.type === 'StageChanged') {
      customers.set(id, { ...before, stage: event.data.to, stage_since: at })
      stages.push({ ...common, from_stage: event.data.from, to_stage: event.data.to, move: event.data.move, cause: event.data.cause, policy_version: versionOf('stages') })
    } else if (before && (event.type === 'TierUpgraded' || event.type === 'TierDowngraded')) {
      customers.set(id, { ...before, tier: event.data.to, tier_since: at })
      tiers.push({ ...common, from_tier: event.data.from, to_tier: event.data.to, direction: event.type === 'TierUpgraded' ? 'up' : 'down', basis: event.data.basis, policy_version: versionOf('tiers') })
    } else continue
    changed.add(id)
  }

  const rows = [...changed].flatMap((id) => customers.get(id) ?? [])
  for (let at = 0; at < rows.length; at += CHUNK) {
    await db.insertInto('customer').values(rows.slice(at, at + CHUNK))
      .onConflict((conflict) => conflict.column('customer_id').doUpdateSet((eb) => ({
        category: eb.ref('excluded.category'), stage: eb.ref('excluded.stage'), stage_since: eb.ref('excluded.stage_since'), tier: eb.ref('excluded.tier'), tier_since: eb.ref('excluded.tier_since'),
      })))
      .execute()
  }
  for (let at = 0; at < stages.length; at += CHUNK) await db.insertInto('stage_transition').values(stages.slice(at, at + CHUNK)).execute()
  for (let at = 0; at < tiers.length; at += CHUNK) await db.insertInto('tier_transition').values(tiers.slice(at, at + CHUNK)).execute()
}

export const lifecycle: Projection = { model: 'lifecycle', version: 1, kinds: ['customer'], tables, project }
