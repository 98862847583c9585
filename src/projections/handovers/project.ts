import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import type { CustomerEvent } from '../../domain/customer/events.ts'
import { reveal, type Recorded } from '../../domain/decider.ts'
import type { HandoverEvent } from '../../domain/handover/handover.ts'
import { sameValue } from '../../domain/values.ts'
import { PREPARED } from '../kysely.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed, updateRows } from '../rows.ts'
import { evolveHolding, isOfHoldings, loadHoldings, toHoldingRow, type Holding } from './holding.ts'
import { tables, type HandoverTables } from './tables.ts'

type Ledger = HandoverTables['handover_customer']
type OfCustomer = Extract<ProjectedEvent, { kind: 'customer' }>
/** A customer came to be held by somebody else, or anew by the same. */
type Change = { event: OfCustomer; before: Holding | undefined; after: Holding }
type Counts = { later: number; moved: number; pooled: number; otherwise: number }

const holdingTable = tableNamed(tables, 'holding')
const handoverTable = tableNamed(tables, 'handover')
const ledgerTable = tableNamed(tables, 'handover_customer')
const changing = (table: typeof holdingTable, ...fixed: string[]) => table.columns.map((column) => column.name).filter((name) => !fixed.includes(name))
const holdingChanges = changing(holdingTable, 'customer_id', 'ordinal')
const ledgerKey = ['handover_id', 'ordinal', 'held_ordinal']

const LedgerRow = z.object({
  handover_id: z.string(), ordinal: z.string(), held_ordinal: z.string(), customer_id: z.string(), held_since: z.number(), tier: z.string(), region: z.string().nullable(), outcome: z.string(),
})

/** The holdings that handovers still have to move, by customer. */
const loadPending = async (trx: Transaction<unknown>, schema: string, customerIds: readonly string[]): Promise<Map<string, Ledger[]>> => {
  if (customerIds.length === 0) return new Map()
  const { rows } = await sql`${PREPARED}
    select handover_id, ordinal, held_ordinal, customer_id, held_since, tier, region, outcome from ${sql.table(`${schema}.handover_customer`)}
    where outcome = 'pending' and customer_id = any(${[...customerIds]}::text[])`.execute(trx)
  return Map.groupBy(z.array(LedgerRow).parse(rows).map((row): Ledger => ({ ...row, ...nothingYet })), (row) => row.customer_id)
}
const nothingYet = { next_owner: null, recorded_at: null, revision: null, event_id: null }

/** The handovers of those of these employees who have departed: whatever comes to be theirs goes on by them. */
const loadDepartures = async (trx: Transaction<unknown>, schema: string, employeeIds: readonly string[]): Promise<Map<string, string>> => {
  if (employeeIds.length === 0) return new Map()
  const { rows } = await sql<{ from_id: string; handover_id: string }>`${PREPARED}
    select from_id, handover_id from ${sql.table(`${schema}.handover`)} where cause = 'departure' and from_id = any(${[...employeeIds]}::text[])`.execute(trx)
  return new Map(rows.map((row) => [row.from_id, row.handover_id]))
}

const handedOverBy = (event: Recorded<CustomerEvent>): string | undefined => (event.type === 'OwnershipTransferred' || event.type === 'OwnershipReleased' ? event.data.handoverId : undefined)

const projectChanges = async (trx: Transaction<unknown>, schema: string, changes: readonly Change[]): Promise<void> => {
  const left = changes.flatMap(({ before }) => (before && before.ownerId !== null ? [before.customerId] : []))
  const gained = changes.flatMap(({ after }) => after.ownerId ?? [])
  const pending = await loadPending(trx, schema, [...new Set(left)])
  const departures = await loadDepartures(trx, schema, [...new Set(gained)])
  if (pending.size === 0 && departures.size === 0) return
  const rows = new Map<string, Ledger>()
  const counts = new Map<string, Counts>()
  const write = (row: Ledger) => rows.set(`${row.handover_id} ${row.ordinal} ${row.held_ordinal}`, row)
  const count = (handoverId: string, what: keyof Counts) => {
    const before = counts.get(handoverId) ?? { later: 0, moved: 0, pooled: 0, otherwise: 0 }
    counts.set(handoverId, { ...before, [what]: before[what] + 1 })
  }
  for (const { event: { event, eventId }, after } of changes) {
    const { customerId, ownerId } = after
    for (const row of pending.get(customerId) ?? []) {
      const isMoved = handedOverBy(event) === row.handover_id
      write({ ...row, outcome: isMoved ? 'moved' : 'otherwise', next_owner: ownerId, recorded_at: event.recordedAt, revision: event.revision, event_id: eventId })
      count(row.handover_id, isMoved ? (ownerId === null ? 'pooled' : 'moved') : 'otherwise')
    }
    pending.delete(customerId)
    const departure = ownerId === null ? undefined : departures.get(ownerId)
    if (departure === undefined) continue
    const row: Ledger = { handover_id: departure, ordinal: String(after.ordinal), held_ordinal: String(after.heldOrdinal), customer_id: customerId, held_since: after.heldSince, tier: after.state.tier, region: after.region, outcome: 'pending', ...nothingYet }
    write(row)
    count(departure, 'later')
    pending.set(customerId, [row])
  }
  await insertRows(trx, schema, ledgerTable, [...rows.values()], { key: ledgerKey, update: changing(ledgerTable, ...ledgerKey) })
  for (const [handoverId, { later, moved, pooled, otherwise }] of counts) {
    await sql`
      update ${sql.table(`${schema}.handover`)} set later = later + ${later}, moved = moved + ${moved}, pooled = pooled + ${pooled}, otherwise = otherwise + ${otherwise},
        remaining = remaining + ${later - moved - pooled - otherwise} where handover_id = ${handoverId}`.execute(trx)
  }
}

const projectCustomers = async (trx: Transaction<unknown>, schema: string, events: readonly OfCustomer[]): Promise<void> => {
  if (events.length === 0) return
  const stood = await loadHoldings(trx, schema, [...new Set(events.map(({ id }) => id))])
  const holdings = new Map(stood)
  const changed = new Map<string, Holding>()
  const changes: Change[] = []
  for (const event of events) {
    const before = holdings.get(event.id)
    const after = evolveHolding(event.id, before, event.event, event.ordinal)
    if (!after) continue
    holdings.set(event.id, after)
    changed.set(event.id, after)
    if (before?.heldOrdinal !== after.heldOrdinal && ((before?.ownerId ?? null) !== null || after.ownerId !== null)) changes.push({ event, before, after })
  }
  // A profile may change and leave the region as it was.
  const rows = [...changed].flatMap(([id, after]) => {
    const [before, row] = [stood.get(id), toHoldingRow(after)]
    return before && sameValue(toHoldingRow(before), row) ? [] : [row]
  })
  await insertRows(trx, schema, holdingTable, rows, { key: ['customer_id'], update: holdingChanges })
  await projectChanges(trx, schema, changes)
}

type Started = Recorded<Extract<HandoverEvent, { type: 'HandoverStarted' }>>

/** A handover is about whom the employee holds at this place of the log. */
const projectStart = async (trx: Transaction<unknown>, schema: string, handoverId: string, event: Started, ordinal: bigint): Promise<void> => {
  const { from, cause, rule, ruleBy, only, startedBy, reason } = event.data
  const { numAffectedRows } = await sql`
    insert into ${sql.table(`${schema}.handover_customer`)} (handover_id, ordinal, held_ordinal, customer_id, held_since, tier, region, outcome)
    select ${handoverId}, ordinal, held_ordinal, customer_id, held_since, tier, region, 'pending' from ${sql.table(`${schema}.holding`)}
    where owner_id = ${from} and (${only?.customerIds ?? null}::text[] is null or customer_id = any(${only?.customerIds ?? null}::text[]))
      and (${only?.tier ?? null}::text is null or tier = ${only?.tier ?? null}) and (${only?.categories ?? null}::text[] is null or category = any(${only?.categories ?? null}::text[]))`.execute(trx)
  const held = Number(numAffectedRows ?? 0)
  const row: HandoverTables['handover'] = {
    handover_id: handoverId, ordinal: String(ordinal), from_id: from, cause, rule: JSON.stringify(rule), rule_by: ruleBy, only_those: only ? JSON.stringify(only) : null,
    policy_version: event.policies.find(({ name }) => name === 'ownership')?.version ?? null, started_by: startedBy, reason: reveal(reason ?? undefined) ?? null, started_at: event.recordedAt, completed_at: null,
    held, later: 0, moved: 0, pooled: 0, otherwise: 0, remaining: held, revision: event.revision,
  }
  await insertRows(trx, schema, handoverTable, [row])
}

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  // In log order, and yet in one go: only the start of a handover must see exactly what was before it.
  let waiting: OfCustomer[] = []
  for (const one of events) {
    if (one.kind === 'customer' && isOfHoldings(one.event)) waiting.push(one)
    if (one.kind !== 'handover') continue
    await projectCustomers(trx, schema, waiting)
    waiting = []
    if (one.event.type === 'HandoverStarted') await projectStart(trx, schema, one.id, one.event, one.ordinal)
    else await updateRows(trx, schema, handoverTable, [{ handover_id: one.id, completed_at: one.event.recordedAt, revision: one.event.revision }], { key: ['handover_id'], where: 'true' })
  }
  await projectCustomers(trx, schema, waiting)
}

export const handovers: Projection = { model: 'handovers', version: 1, kinds: ['customer', 'handover'], tables, project }
