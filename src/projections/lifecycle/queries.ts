import { sql, type Kysely } from 'kysely'

export type Transition = { axis: 'stage' | 'tier'; from: string | null; to: string; at: string; kind: string; basis: string | null; actor: string; policyVersion: number | null; revision: number }

type Row = { axis: 'stage' | 'tier'; from_name: string | null; to_name: string; at: Date; kind: string; basis: string | null; actor: string; policy_version: number | null; revision: number }

/** Every move of one customer between stages and tiers, in the order of the log. */
export const customerTransitions = async (db: Kysely<unknown>, schema: string, customerId: string): Promise<Transition[]> => {
  const { rows } = await sql<Row>`
    select 'stage' as axis, from_stage as from_name, to_stage as to_name, at, move as kind, null as basis, actor, policy_version, revision
    from ${sql.table(`${schema}.stage_transition`)} where customer_id = ${customerId}
    union all
    select 'tier', from_tier, to_tier, at, direction, basis, actor, policy_version, revision
    from ${sql.table(`${schema}.tier_transition`)} where customer_id = ${customerId}
    order by revision, axis`.execute(db)
  return rows.map((row) => ({ axis: row.axis, from: row.from_name, to: row.to_name, at: row.at.toISOString(), kind: row.kind, basis: row.basis, actor: row.actor, policyVersion: row.policy_version, revision: row.revision }))
}

export type Cell = { from: string | null; to: string; customers: number; transitions: number }

/** How often customers moved from one stage or tier to another between two instants (the later one excluded). */
export const transitionMatrix = async (db: Kysely<unknown>, schema: string, axis: 'stage' | 'tier', period: { from?: string | undefined; to?: string | undefined }): Promise<Cell[]> => {
  const { rows } = await sql<{ from_name: string | null; to_name: string; customers: string; transitions: string }>`
    select ${sql.id(`from_${axis}`)} as from_name, ${sql.id(`to_${axis}`)} as to_name, count(distinct customer_id) as customers, count(*) as transitions
    from ${sql.table(`${schema}.${axis}_transition`)}
    where at >= coalesce(${period.from ?? null}::timestamptz, '-infinity') and at < coalesce(${period.to ?? null}::timestamptz, 'infinity')
    group by 1, 2 order by 1 nulls first, 2`.execute(db)
  return rows.map((row) => ({ from: row.from_name, to: row.to_name, customers: Number(row.customers), transitions: Number(row.transitions) }))
}

/** How many customers stand at each stage and tier now, by category. */
export const standing = async (db: Kysely<unknown>, schema: string): Promise<{ category: string; stage: string; tier: string; customers: number }[]> => {
  const { rows } = await sql<{ category: string; stage: string; tier: string; customers: string }>`
    select category, stage, tier, count(*) as customers from ${sql.table(`${schema}.customer`)} group by 1, 2, 3 order by 1, 2, 3`.execute(db)
  return rows.map((row) => ({ ...row, customers: Number(row.customers) }))
}
