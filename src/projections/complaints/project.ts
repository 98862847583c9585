import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { complaint, nextStep, steps, type Complaint, type ComplaintEvent, type Deadlines, type OpenComplaint } from '../../domain/complaint/complaint.ts'
import { reveal, type Recorded } from '../../domain/decider.ts'
import { PREPARED } from '../kysely.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { deleteRows, insertRows, tableNamed } from '../rows.ts'
import { tables, type ComplaintsTables } from './tables.ts'

/** What is folded for each complaint: the domain's own state, and what only readers need. */
type Folded = Pick<ComplaintsTables['complaint'], 'ordinal' | 'lodged_at' | 'closed_at' | 'escalations' | 'compensation' | 'compensation_currency' | 'wants' | 'revision'> & { state: OpenComplaint }

const Times = z.object({ target: z.string(), deadline: z.string() })
const StoredState = z.object({
  lodgedBy: z.string(), done: z.array(z.enum(steps)), passed: z.array(z.enum(steps)), deadlines: z.object({ reply: Times, act: Times, 'follow-up': Times, improve: Times }), description: z.string().nullable(),
})
const Row = z.object({
  complaint_id: z.string(), ordinal: z.string(), customer_id: z.string().nullable(), contact_id: z.string().nullable(), class: z.string(), severity: z.string(), channel: z.string(), status: z.enum(['open', 'closed']),
  level: z.number(), role: z.string(), handler_id: z.string().nullable(), departments: z.array(z.string()), lodged_at: z.date(), closed_at: z.date().nullable(), escalations: z.number(),
  compensation: z.string().nullable(), compensation_currency: z.string().nullable(), wants: z.string().nullable(), state: StoredState, revision: z.number(),
})

const fromRow = (row: z.infer<typeof Row>): Folded => ({
  ordinal: row.ordinal, lodged_at: row.lodged_at.toISOString(), closed_at: row.closed_at?.toISOString() ?? null, escalations: row.escalations, compensation: row.compensation, compensation_currency: row.compensation_currency,
  wants: row.wants, revision: row.revision,
  state: {
    status: row.status, lodgedBy: row.state.lodgedBy, class: row.class, severity: row.severity, channel: row.channel, departments: row.departments, description: row.state.description ?? undefined,
    complainant: row.customer_id === null ? { kind: 'anonymous' } : row.contact_id === null ? { kind: 'customer', customerId: row.customer_id } : { kind: 'contact', customerId: row.customer_id, contactId: row.contact_id },
    level: row.level, role: row.role, handlerId: row.handler_id, done: row.state.done, deadlines: row.state.deadlines, passed: new Set(row.state.passed), escalatedFor: new Set(), said: {},
  },
})

const isTimed = (step: string | undefined): step is keyof Deadlines => step !== undefined && step !== 'accept'

export const toRow = (complaintId: string, { state, ...rest }: Folded): ComplaintsTables['complaint'] => {
  const { complainant } = state
  const next = state.status === 'open' ? nextStep(state) : undefined
  const times = isTimed(next) ? state.deadlines[next] : undefined
  return {
    ...rest, complaint_id: complaintId, customer_id: complainant.kind === 'anonymous' ? null : complainant.customerId, contact_id: complainant.kind === 'contact' ? complainant.contactId : null,
    class: state.class, severity: state.severity, channel: state.channel, status: state.status, level: state.level, role: state.role, handler_id: state.handlerId, departments: JSON.stringify(state.departments),
    next_step: next ?? null, target_at: times?.target ?? null, due_at: times?.deadline ?? null, description: state.description ?? null,
    state: JSON.stringify({ lodgedBy: state.lodgedBy, done: state.done, passed: [...state.passed].sort(), deadlines: state.deadlines, description: state.description ?? null }),
  }
}

/** Deadlines still to be met: of steps not done, that have not passed yet, while it is open. */
export const dueOf = (complaintId: string, state: OpenComplaint): ComplaintsTables['due'][] =>
  state.status === 'closed' ? [] : steps.flatMap((step) => (isTimed(step) && !state.done.includes(step) && !state.passed.has(step) ? [{ complaint_id: complaintId, step, deadline: state.deadlines[step].deadline }] : []))

export const evolveFolded = (before: Folded | undefined, event: Recorded<ComplaintEvent>, ordinal: bigint): Folded | undefined => {
  const state: Complaint = complaint.evolve(before?.state ?? complaint.initialState, event)
  if (state.status === 'none') return undefined
  if (event.type === 'ComplaintLodged') {
    const wants = event.data.wants === null ? null : (reveal(event.data.wants) ?? null)
    return { state, ordinal: String(ordinal), lodged_at: event.effectiveAt, closed_at: null, escalations: 0, compensation: null, compensation_currency: null, wants, revision: event.revision }
  }
  if (!before) return undefined
  const after = { ...before, state, revision: event.revision }
  switch (event.type) {
    case 'ComplaintEscalated':
      return { ...after, escalations: before.escalations + 1 }
    case 'ComplaintActed':
      return { ...after, compensation: event.data.compensation ? String(event.data.compensation.amount) : before.compensation, compensation_currency: event.data.compensation?.currency ?? before.compensation_currency }
    case 'ComplaintClosed':
      return { ...after, closed_at: event.effectiveAt }
    case 'ComplaintReopened':
      return { ...after, closed_at: null }
    default:
      return after
  }
}

type Told = Partial<Pick<ComplaintsTables['trail'], 'step' | 'from_level' | 'to_level' | 'reason' | 'handler_id' | 'text'>>

const told = (event: Recorded<ComplaintEvent>): Told => {
  switch (event.type) {
    case 'ComplaintLodged':
      return { step: 'accept', to_level: event.data.level, handler_id: event.data.handlerId, text: reveal(event.data.description) ?? null }
    case 'ComplaintReplied':
      return { step: 'reply', text: reveal(event.data.reply) ?? null }
    case 'ComplaintActed':
      return { step: 'act', text: reveal(event.data.action) ?? null }
    case 'ComplaintFollowedUp':
      return { step: 'follow-up', text: reveal(event.data.outcome) ?? null }
    case 'ImprovementRecorded':
      return { step: 'improve', text: reveal(event.data.improvement) ?? null }
    case 'ComplaintEscalated':
      return { step: event.data.step, from_level: event.data.fromLevel, to_level: event.data.toLevel, reason: event.data.reason, handler_id: event.data.handlerId, text: reveal(event.data.note ?? undefined) ?? null }
    case 'ComplaintDeadlineMissed':
      return { step: event.data.step }
    case 'ComplaintReassigned':
      return { handler_id: event.data.to, text: reveal(event.data.reason) ?? null }
    case 'ResolutionRejected':
    case 'ComplaintReopened':
      return { text: reveal(event.data.reason) ?? null }
    case 'ComplaintClosed':
      return { text: reveal(event.data.note ?? undefined) ?? null }
    case 'ComplainantCorrected':
      return {}
  }
}

export const toTrail = (complaintId: string, event: Recorded<ComplaintEvent>): ComplaintsTables['trail'] => ({
  complaint_id: complaintId, revision: event.revision, at: event.effectiveAt, recorded_at: event.recordedAt, type: event.type, actor: event.actor, on_behalf_of: event.onBehalfOf,
  policy_version: event.policies.find((policy) => policy.name === 'complaints')?.version ?? null,
  step: null, from_level: null, to_level: null, reason: null, handler_id: null, text: null, ...told(event),
})

const complaintTable = tableNamed(tables, 'complaint')
const dueTable = tableNamed(tables, 'due')
const trailTable = tableNamed(tables, 'trail')

/** These complaints as the tables have them. */
export const load = async (trx: Transaction<unknown>, schema: string, ids: readonly string[]): Promise<Map<string, Folded>> => {
  const rows = await trx.withSchema(schema).withTables<ComplaintsTables>().selectFrom('complaint').modifyFront(PREPARED).selectAll().where('complaint_id', '=', sql<string>`any(${ids})`).execute()
  return new Map(z.array(Row).parse(rows).map((row) => [row.complaint_id, fromRow(row)]))
}

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const relevant = events.flatMap((one) => (one.kind === 'complaint' ? [one] : []))
  if (relevant.length === 0) return
  const ids = [...new Set(relevant.map((one) => one.id))]
  const folded = await load(trx, schema, ids)
  for (const { id, event, ordinal } of relevant) {
    const after = evolveFolded(folded.get(id), event, ordinal)
    if (after) folded.set(id, after)
  }
  const rows = [...folded].map(([id, one]) => toRow(id, one))
  const due = [...folded].flatMap(([id, one]) => dueOf(id, one.state))
  const trail = relevant.map((one) => toTrail(one.id, one.event))
  await deleteRows(trx, schema, complaintTable, 'complaint_id', ids)
  await deleteRows(trx, schema, dueTable, 'complaint_id', ids)
  await insertRows(trx, schema, complaintTable, rows)
  await insertRows(trx, schema, dueTable, due)
  await insertRows(trx, schema, trailTable, trail)
}

export const complaints: Projection = { model: 'complaints', version: 2, kinds: ['complaint'], tables, project }
