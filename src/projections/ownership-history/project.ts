import { sql, type Transaction } from 'kysely'
import { PREPARED } from '../kysely.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed, updateRows } from '../rows.ts'
import { tables } from './tables.ts'
import { isEmpty, ownershipChange, withChange, type Period } from './timeline.ts'

export const range = (from: string, to: string | null) => `[${from},${to ?? ''})`

export const toRow = (customerId: string, period: Period) => ({
  customer_id: customerId,
  owner_id: period.ownerId,
  basis: period.basis,
  actor: period.actor,
  on_behalf_of: period.onBehalfOf,
  reason: period.reason,
  policy_version: period.policyVersion,
  effective_at: period.effectiveAt,
  recorded_at: period.recordedAt,
  revision: period.revision,
  place: period.place,
  ordinal: String(period.ordinal),
  valid: isEmpty(period) ? 'empty' : range(period.effectiveAt, period.to),
  known: range(String(period.knownFrom), period.knownTo === null ? null : String(period.knownTo)),
})

type CurrentRow = {
  customer_id: string; owner_id: string | null; basis: string; actor: string; on_behalf_of: string | null; reason: string | null; policy_version: number | null
  effective_at: Date; recorded_at: Date; revision: number; place: number; ordinal: string; valid_to: Date | null; empty: boolean; known_from: string
}

export const loadCurrent = async (trx: Transaction<unknown>, schema: string, customerIds: string[]): Promise<Map<string, Period[]>> => {
  const { rows } = await sql<CurrentRow>`${PREPARED}
    select customer_id, owner_id, basis, actor, on_behalf_of, reason, policy_version, effective_at, recorded_at, revision, place, ordinal,
           upper(valid) as valid_to, isempty(valid) as empty, lower(known)::text as known_from
    from ${sql.table(`${schema}.ownership_period`)}
    where customer_id = any(${customerIds}) and upper_inf(known)
    order by effective_at, place`.execute(trx)
  const current = new Map<string, Period[]>(customerIds.map((id) => [id, []]))
  for (const row of rows) {
    const effectiveAt = row.effective_at.toISOString()
    current.get(row.customer_id)?.push({
      ownerId: row.owner_id, basis: row.basis, actor: row.actor, onBehalfOf: row.on_behalf_of, reason: row.reason, policyVersion: row.policy_version,
      effectiveAt, recordedAt: row.recorded_at.toISOString(), revision: row.revision, place: row.place, ordinal: BigInt(row.ordinal),
      to: row.empty ? effectiveAt : (row.valid_to?.toISOString() ?? null), knownFrom: BigInt(row.known_from), knownTo: null,
    })
  }
  return current
}

const periodTable = tableNamed(tables, 'ownership_period')
const knownAtTable = tableNamed(tables, 'known_at')

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const changes = events.flatMap((one) => (one.kind === 'customer' && ownershipChange(one.event) ? [one] : []))
  if (changes.length === 0) return
  const histories = await loadCurrent(trx, schema, [...new Set(changes.map((change) => change.id))])
  const closed: { customerId: string; period: Period }[] = []
  const touched = new Set<string>()
  for (const { id, event, ordinal } of changes) {
    const after = withChange(histories.get(id) ?? [], event, ordinal)
    histories.set(id, after.current)
    closed.push(...after.closed.map((period) => ({ customerId: id, period })))
    touched.add(id)
  }
  // What was known before this batch and is not any more gets its end; what became known is written as it ends up.
  const first = changes[0]?.ordinal ?? 0n
  await updateRows(trx, schema, periodTable, closed.filter(({ period }) => period.knownFrom < first).map(({ customerId, period }) => (
    { customer_id: customerId, revision: period.revision, known: range(String(period.knownFrom), String(period.knownTo)) })), { key: ['customer_id', 'revision'], where: 'upper_inf(old.known)' })
  const fresh = [
    ...closed.filter(({ period }) => period.knownFrom >= first),
    ...[...touched].flatMap((customerId) => (histories.get(customerId) ?? []).filter((period) => period.knownFrom >= first).map((period) => ({ customerId, period }))),
  ]
  await insertRows(trx, schema, periodTable, fresh.map(({ customerId, period }) => toRow(customerId, period)))
  await insertRows(trx, schema, knownAtTable, changes.map((change) => ({ ordinal: String(change.ordinal), position: String(change.position), recorded_max: change.recordedMax })))
}

export const ownershipHistory: Projection = { model: 'ownership-history', version: 5, kinds: ['customer'], tables, project }
