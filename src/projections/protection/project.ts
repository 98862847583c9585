import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import type { ComplaintEvent } from '../../domain/complaint/complaint.ts'
import { isOfProfile } from '../../domain/customer/of-profile.ts'
import { latest } from '../../domain/customer/protection.ts'
import { followUpAt } from '../../domain/engagement/engagement.ts'
import { PREPARED } from '../kysely.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed } from '../rows.ts'
import { evolve, fromRow, Row, toRow, type Folded } from './fold.ts'
import { tables, type ProtectionTables } from './tables.ts'

const standingTable = tableNamed(tables, 'standing')
const complaintTable = tableNamed(tables, 'complaint')
const changing = standingTable.columns.map((column) => column.name).filter((name) => name !== 'customer_id')
const ComplaintRow = z.object({ complaint_id: z.string(), customer_id: z.string(), open: z.boolean() })
type Complaint = ProtectionTables['complaint']

const connect = (trx: Transaction<unknown>, schema: string) => trx.withSchema(schema).withTables<ProtectionTables>()
type Connection = ReturnType<typeof connect>

const among = (ids: Iterable<string>) => sql<string>`any(${[...new Set(ids)]}::text[])`

const load = async (db: Connection, ids: readonly string[]): Promise<Folded[]> =>
  ids.length === 0 ? [] : z.array(Row).parse(await db.selectFrom('standing').modifyFront(PREPARED).selectAll().where('customer_id', '=', among(ids)).execute()).map(fromRow)

const opening = ['ComplaintLodged', 'ComplaintClosed', 'ComplaintReopened', 'ComplainantCorrected'] as const
type Opening = Extract<ComplaintEvent, { type: (typeof opening)[number] }>
const isOpening = (event: ComplaintEvent): event is Opening => opening.some((type) => type === event.type)

/** Complaints by id as they are after these events, and by how many the open ones of each customer have changed. */
const foldComplaints = async (db: Connection, events: readonly ProjectedEvent[]) => {
  const relevant = events.flatMap((one) => (one.kind === 'complaint' && isOpening(one.event) ? [{ id: one.id, event: one.event }] : []))
  if (relevant.length === 0) return { complaints: [], opened: new Map<string, number>() }
  const found = z.array(ComplaintRow).parse(await db.selectFrom('complaint').modifyFront(PREPARED).selectAll().where('complaint_id', '=', among(relevant.map(({ id }) => id))).execute())
  const complaints = new Map<string, Complaint>(found.map((row) => [row.complaint_id, row]))
  const opened = new Map<string, number>()
  const count = (one: Complaint | undefined, more: number) => { if (one?.open) opened.set(one.customer_id, (opened.get(one.customer_id) ?? 0) + more) }
  for (const { id, event } of relevant) {
    const before = complaints.get(id)
    const whose = event.type === 'ComplaintLodged' || event.type === 'ComplainantCorrected' ? event.data.complainant : undefined
    const customerId = whose && whose.kind !== 'anonymous' ? whose.customerId : before?.customer_id
    if (customerId === undefined) continue
    const after = { complaint_id: id, customer_id: customerId, open: event.type === 'ComplainantCorrected' ? (before?.open ?? false) : event.type !== 'ComplaintClosed' }
    complaints.set(id, after)
    count(before, -1)
    count(after, 1)
  }
  return { complaints: [...complaints.values()], opened }
}

/** Into `known` all that is of the groups of these customers, before and after their changes; who stands for each is said anew. */
const regroup = async (db: Connection, known: Map<string, Folded>, touched: readonly Folded[]): Promise<void> => {
  const into = touched.flatMap(({ absorbedInto }) => absorbedInto ?? [])
  const stored = into.length === 0 ? [] : await db.selectFrom('standing').modifyFront(PREPARED).select('survivor_id').where('customer_id', '=', among(into)).execute()
  const roots = [...touched.map(({ survivorId }) => survivorId), ...into, ...stored.map((row) => row.survivor_id)]
  const members = await db.selectFrom('standing').modifyFront(PREPARED).select('customer_id').where('survivor_id', '=', among(roots)).where('absorbed_into', 'is not', null).execute()
  for (const one of await load(db, [...roots, ...members.map((row) => row.customer_id)].filter((id) => !known.has(id)))) known.set(one.customerId, one)
  const rootOf = (one: Folded): string => {
    const next = one.absorbedInto === null ? undefined : known.get(one.absorbedInto)
    return next ? rootOf(next) : one.customerId
  }
  for (const [id, one] of known) known.set(id, { ...one, survivorId: rootOf(one) })
}

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = connect(trx, schema)
  const { complaints, opened } = await foldComplaints(db, events)
  const ids = [...events.flatMap((one) => ((one.kind === 'customer' && !isOfProfile(one.event)) || one.kind === 'engagement' || one.kind === 'purchases' ? [one.id] : [])), ...opened.keys()]
  if (ids.length === 0) return
  const stood = new Map((await load(db, ids)).map((one) => [one.customerId, one]))
  const known = new Map(stood)
  for (const one of events) {
    if (one.kind === 'customer') {
      const after = evolve(one.id, known.get(one.id), one.event)
      if (after) known.set(one.id, after)
      continue
    }
    const before = one.kind === 'engagement' || one.kind === 'purchases' ? known.get(one.id) : undefined
    if (before && one.kind === 'engagement') known.set(one.id, { ...before, followedUpAt: latest(before.followedUpAt, followUpAt(one.event)) })
    if (before && one.kind === 'purchases' && (one.event.type === 'PurchaseRecorded' || one.event.type === 'PurchaseTakenOver')) known.set(one.id, { ...before, boughtAt: latest(before.boughtAt, one.event.data.at) })
  }
  for (const [customerId, more] of opened) {
    const before = known.get(customerId)
    if (before) known.set(customerId, { ...before, openComplaints: before.openComplaints + more })
  }
  await insertRows(trx, schema, complaintTable, complaints, { key: ['complaint_id'], update: ['customer_id', 'open'] })
  // Many events leave a customer as it stood: then nothing is read for it, nor written.
  for (const [id, one] of known) if (one === stood.get(id)) known.delete(id)
  if (known.size === 0) return
  await regroup(db, known, [...known.values()])
  const groups = Map.groupBy(known.values(), (one) => one.survivorId)
  const rows = [...known.values()].map((one) => toRow(one, one.survivorId === one.customerId ? (groups.get(one.survivorId) ?? []) : [one]))
  await insertRows(trx, schema, standingTable, rows, { key: ['customer_id'], update: changing })
}

export const protection: Projection = { model: 'protection', version: 2, kinds: ['customer', 'engagement', 'purchases', 'complaint'], tables, project }
