import { sql, type Transaction } from 'kysely'
import { complaints, dueOf, evolveFolded, load as loadComplaints, toRow as toComplaintRow, toTrail } from '../src/projections/complaints/project.ts'
import { connect as connectLookup, customerLookup, load as loadCustomers, projectOrganisation } from '../src/projections/customer-lookup/project.ts'
import { emptyRecord, evolveRecord, toRows } from '../src/projections/customer-lookup/record.ts'
import { duplicates } from '../src/projections/duplicates/project.ts'
import { connect as connectLifecycle, lifecycle, load as loadStandings } from '../src/projections/lifecycle/project.ts'
import { begin, step, type Stay } from '../src/projections/lifecycle/stays.ts'
import { loadCurrent, ownershipHistory, range, toRow as toPeriodRow } from '../src/projections/ownership-history/project.ts'
import { ownershipChange, withChange, type Period } from '../src/projections/ownership-history/timeline.ts'
import type { ProjectedEvent, Projection } from '../src/projections/projection.ts'

// The read models as one writes them straight away: the same tables, look-ups and folds, every row through multi-row
// INSERT … ON CONFLICT with a parameter for each value, and a statement for each row that is only changed.

const MOST_PARAMETERS = 30_000

const insert = async (trx: Transaction<unknown>, schema: string, table: string, rows: readonly object[], key?: readonly string[]): Promise<void> => {
  const columns = Object.keys(rows[0] ?? {})
  const size = Math.floor(MOST_PARAMETERS / Math.max(1, columns.length))
  const onConflict = key ? sql`on conflict (${sql.join(key.map((name) => sql.id(name)))}) do update set ${sql.join(columns.map((name) => sql`${sql.id(name)} = excluded.${sql.id(name)}`))}` : sql``
  for (let at = 0; at < rows.length; at += size) {
    const values = rows.slice(at, at + size).map((row) => {
      const cells = new Map(Object.entries(row))
      return sql`(${sql.join(columns.map((name) => cells.get(name)))})`
    })
    await sql`insert into ${sql.id(schema, table)} (${sql.join(columns.map((name) => sql.id(name)))}) values ${sql.join(values)} ${onConflict}`.execute(trx)
  }
}
const remove = (trx: Transaction<unknown>, schema: string, table: string, column: string, values: readonly string[]) =>
  sql`delete from ${sql.id(schema, table)} where ${sql.id(column)} = any(${values})`.execute(trx)

type Project = Projection['project']
const customerEvents = (events: readonly ProjectedEvent[]) => events.flatMap((one) => (one.kind === 'customer' ? [one] : []))

const lookup: Project = async (trx, schema, events) => {
  const db = connectLookup(trx, schema)
  const records = await loadCustomers(db, [...new Set(customerEvents(events).map((one) => one.id))])
  const changed = new Set<string>()
  for (const one of events) {
    if (one.kind !== 'customer') await projectOrganisation(db, one)
    else {
      records.set(one.id, evolveRecord(records.get(one.id) ?? emptyRecord(one.id), one.event, one.ordinal))
      changed.add(one.id)
    }
  }
  const rows = [...changed].flatMap((id) => {
    const record = records.get(id)
    return record ? [toRows(record)] : []
  })
  await insert(trx, schema, 'customer', rows.map((row) => row.customer), ['customer_id'])
  for (const table of ['identifier', 'contact', 'share']) await remove(trx, schema, table, 'customer_id', [...changed])
  await insert(trx, schema, 'identifier', rows.flatMap((row) => row.identifiers))
  await insert(trx, schema, 'contact', rows.flatMap((row) => row.contacts))
  await insert(trx, schema, 'share', rows.flatMap((row) => row.shares))
}

const ownership: Project = async (trx, schema, events) => {
  const changes = customerEvents(events).filter((one) => ownershipChange(one.event))
  const histories = await loadCurrent(trx, schema, [...new Set(changes.map((change) => change.id))])
  const first = changes[0]?.ordinal ?? 0n
  const fresh: { id: string; period: Period }[] = []
  for (const { id, event, ordinal } of changes) {
    const { current, closed } = withChange(histories.get(id) ?? [], event, ordinal)
    histories.set(id, current)
    for (const period of closed) {
      if (period.knownFrom >= first) fresh.push({ id, period })
      else {
        await sql`update ${sql.id(schema, 'ownership_period')} set known = ${range(String(period.knownFrom), String(period.knownTo))}::int8range
                  where customer_id = ${id} and revision = ${period.revision} and upper_inf(known)`.execute(trx)
      }
    }
  }
  for (const [id, current] of histories) fresh.push(...current.filter((period) => period.knownFrom >= first).map((period) => ({ id, period })))
  await insert(trx, schema, 'ownership_period', fresh.map(({ id, period }) => toPeriodRow(id, period)))
  await insert(trx, schema, 'known_at', changes.map((change) => ({ ordinal: String(change.ordinal), position: String(change.position), recorded_max: change.recordedMax })))
}

const lifecycleModel: Project = async (trx, schema, events) => {
  const relevant = customerEvents(events)
  const standings = await loadStandings(connectLifecycle(trx, schema), [...new Set(relevant.map((one) => one.id))])
  const changed = new Set<string>()
  const stays = new Map<string, Stay>()
  const moves = { stage: new Array<object>(), tier: new Array<object>() }
  for (const { id, event, ordinal } of relevant) {
    const before = standings.get(id)
    const after = event.type === 'CustomerCreated' ? begin(id, event) : before && step(before, event)
    if (!after) continue
    standings.set(id, after.standing)
    changed.add(id)
    for (const stay of after.stays) stays.set(`${id} ${stay.axis} ${stay.revision}`, stay)
    const { stage, tier, customer } = after.standing
    const common = { customer_id: id, revision: event.revision, ordinal: String(ordinal), actor: event.actor, policy_version: event.policies[0]?.version ?? null }
    if (stage !== before?.stage) moves.stage.push({ ...common, at: customer.stage_since, from_stage: stage.came_from, to_stage: stage.name, move: stage.came_by, cause: 'command' })
    if (tier !== before?.tier) moves.tier.push({ ...common, at: customer.tier_since, from_tier: tier.came_from, to_tier: tier.name, direction: tier.came_by, basis: null })
  }
  await insert(trx, schema, 'customer', [...changed].flatMap((id) => standings.get(id)?.customer ?? []), ['customer_id'])
  await insert(trx, schema, 'stay', [...stays.values()], ['customer_id', 'axis', 'revision'])
  await insert(trx, schema, 'stage_transition', moves.stage)
  await insert(trx, schema, 'tier_transition', moves.tier)
}

const complaintsModel: Project = async (trx, schema, events) => {
  const relevant = events.flatMap((one) => (one.kind === 'complaint' ? [one] : []))
  const ids = [...new Set(relevant.map((one) => one.id))]
  const folded = await loadComplaints(trx, schema, ids)
  for (const { id, event, ordinal } of relevant) {
    const after = evolveFolded(folded.get(id), event, ordinal)
    if (after) folded.set(id, after)
  }
  await insert(trx, schema, 'complaint', [...folded].map(([id, one]) => toComplaintRow(id, one)), ['complaint_id'])
  await remove(trx, schema, 'due', 'complaint_id', ids)
  await insert(trx, schema, 'due', [...folded].flatMap(([id, one]) => dueOf(id, one.state)))
  await insert(trx, schema, 'trail', relevant.map((one) => toTrail(one.id, one.event)))
}

/** Each read model with a plain way of writing it; one that is not here is measured with its own. */
export const plainly = (projection: Projection): Projection => ({ ...projection, project: projects.get(projection.model) ?? projection.project })

const projects = new Map<string, Project>([[customerLookup.model, lookup], [ownershipHistory.model, ownership], [lifecycle.model, lifecycleModel], [complaints.model, complaintsModel], [duplicates.model, duplicates.project]])
