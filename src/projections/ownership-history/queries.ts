import { sql, type Kysely, type RawBuilder } from 'kysely'

export type OwnershipPeriod = {
  ownerId: string | null
  from: string
  to: string | null
  basis: string
  actor: string
  onBehalfOf: string | null
  reason: string | null
  policyVersion: number | null
  recordedAt: string
  revision: number
}

type Row = {
  owner_id: string | null; basis: string; actor: string; on_behalf_of: string | null; reason: string | null; policy_version: number | null
  effective_at: Date; valid_to: Date | null; recorded_at: Date; revision: number
}

/** What the log knew: all of it now, or only its events up to a position, or those recorded by a time. */
export type KnownAt = { position: bigint } | { time: string } | undefined

/** The condition for rows that the log knew. */
export const knownPart = (schema: string, knownAt: KnownAt): RawBuilder<unknown> => {
  if (knownAt === undefined) return sql`upper_inf(known)`
  const table = sql.table(`${schema}.known_at`)
  const upTo = 'position' in knownAt ? sql`position <= ${knownAt.position}` : sql`recorded_max <= ${knownAt.time}::timestamptz`
  return sql`known @> coalesce((select max(ordinal) from ${table} where ${upTo}), 0)`
}

/**
 * Periods of ownership in order of effective time. `asOf`: only the one that contains that instant.
 * Periods in which no instant lies are left out.
 */
export const ownershipPeriods = async (db: Kysely<unknown>, schema: string, customerId: string, options: { asOf?: string | undefined; knownAt?: KnownAt } = {}): Promise<OwnershipPeriod[]> => {
  const { asOf, knownAt } = options
  const at = asOf === undefined ? sql`not isempty(valid)` : sql`valid @> ${asOf}::timestamptz`
  const { rows } = await sql<Row>`
    select owner_id, basis, actor, on_behalf_of, reason, policy_version, effective_at, upper(valid) as valid_to, recorded_at, revision
    from ${sql.table(`${schema}.ownership_period`)}
    where customer_id = ${customerId} and ${knownPart(schema, knownAt)} and ${at}
    order by effective_at, revision`.execute(db)
  return rows.map((row) => ({
    ownerId: row.owner_id, from: row.effective_at.toISOString(), to: row.valid_to?.toISOString() ?? null, basis: row.basis, actor: row.actor,
    onBehalfOf: row.on_behalf_of, reason: row.reason, policyVersion: row.policy_version, recordedAt: row.recorded_at.toISOString(), revision: row.revision,
  }))
}
