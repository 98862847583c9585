import { z } from 'zod'
import { contactSubject, subject as customerSubject } from '../customer/events.ts'
import type { Customer } from '../customer/customer.ts'
import { noChange, personal, type Accepted, type Context, type Decision, type Instant, type Personal } from '../decider.ts'
import { policyReference, type Organisation } from '../organisation/organisation.ts'
import { reject, type FieldProblem, type Rejection } from '../rejection.ts'
import { Id, InstantInput, Money, Reason } from '../values.ts'
import { channels, deadlinesFrom, escalationReasons, nextStep, steps, streamName, type Complaint, type Complainant, type ComplaintEvent, type EscalationReason, type OpenComplaint, type Step } from './complaint.ts'

// Commands.
const Word = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower-case word, with hyphens')
const Text = z.string().trim().min(1, 'must not be empty').max(10_000)
export const LodgeComplaint = z.strictObject({
  complaintId: Id.optional(),
  customerId: Id.optional().describe('Whose complaint it is; left out: anonymous'),
  contactId: Id.optional().describe('The contact of that customer who complains'),
  class: Word,
  severity: Word,
  channel: z.enum(channels),
  description: Text,
  wants: Text.optional().describe('What the customer wants'),
  departments: z.array(Id).max(50).default([]).describe('Departments involved; more than one escalates'),
  handlerId: Id.optional().describe('Who handles it; the caller unless the level names somebody'),
  lodgedAt: InstantInput.optional().describe('When it was raised, if earlier than now: the deadlines count from then'),
})
const OfComplaint = { complaintId: Id }
export const ReplyToComplaint = z.strictObject({ ...OfComplaint, reply: Text })
export const RecordComplaintAction = z.strictObject({ ...OfComplaint, action: Text, compensation: Money.optional() })
export const FollowUpComplaint = z.strictObject({ ...OfComplaint, outcome: Text, satisfied: z.boolean() })
export const RecordImprovement = z.strictObject({ ...OfComplaint, improvement: Text })
export const EscalateComplaint = z.strictObject({ ...OfComplaint, reason: z.enum(escalationReasons).exclude(['deadline-passed']), toLevel: z.int().min(2).max(20).optional(), note: Text.optional() })
export const PassComplaintDeadline = z.strictObject({ ...OfComplaint, step: z.enum(steps).exclude(['accept']), deadline: InstantInput })
export const ReassignComplaint = z.strictObject({ ...OfComplaint, to: Id, reason: Reason })
export const RejectResolution = z.strictObject({ ...OfComplaint, reason: Text })
export const CloseComplaint = z.strictObject({ ...OfComplaint, note: Text.optional() })
export const ReopenComplaint = z.strictObject({ ...OfComplaint, reason: Text })

const notFound = reject('complaint-not-found', 'No complaint has this id.')
const closed = reject('complaint-closed', 'The complaint is closed.')

/** Free text is sealed under the key of the complainant; an anonymous complaint has a key of its own. */
const subjectOf = (complainant: Complainant, complaintId: string): string => {
  switch (complainant.kind) {
    case 'customer':
      return customerSubject(complainant.customerId)
    case 'contact':
      return contactSubject(complainant.contactId)
    case 'anonymous':
      return streamName(complaintId)
  }
}

const accept = (events: ComplaintEvent[], { organisation }: Context, effectiveAt?: Instant): Accepted<ComplaintEvent> => ({
  events, policies: [policyReference(organisation, 'complaints')], ...(effectiveAt === undefined ? {} : { effectiveAt }),
})

const here = (employeeId: string | null, organisation: Organisation): string | null =>
  employeeId !== null && organisation.employees.get(employeeId)?.departed === false ? employeeId : null

type Standing = Pick<OpenComplaint, 'level'>

/** The move to a higher level, if there is one: the level asked for, else the next. */
const escalation = (from: Standing, reason: EscalationReason, { organisation }: Context, more: { toLevel?: number | undefined; note?: Personal<string> | null; step?: Step } = {}): ComplaintEvent[] => {
  const { levels } = organisation.policies.complaints.value
  const level = levels[Math.min(more.toLevel ?? from.level + 1, levels.length) - 1]
  if (!level || level.level <= from.level) return []
  return [{ type: 'ComplaintEscalated', data: { reason, fromLevel: from.level, toLevel: level.level, role: level.role, handlerId: here(level.handlerId, organisation), note: more.note ?? null, step: more.step ?? null } }]
}

/** Up to what sum whoever handles it may settle: their own limit, else that of the level. */
const authorityOf = (state: OpenComplaint, { organisation }: Context): Money | undefined =>
  (state.handlerId === null ? null : organisation.employees.get(state.handlerId)?.authorityLimit) ?? organisation.policies.complaints.value.levels[state.level - 1]?.authorityLimit

const within = (sum: Money, limit: Money | undefined): boolean => limit !== undefined && sum.currency === limit.currency && sum.amount <= limit.amount

// Decisions.
export const lodge = (state: Complaint, command: z.infer<typeof LodgeComplaint>, context: Context, customer: Customer | null): Decision<ComplaintEvent> => {
  const { organisation, caller, now } = context
  if (state.status !== 'none') return state.lodgedBy === context.commandId ? noChange : reject('complaint-exists', 'A complaint with this id was lodged before.')
  if (command.customerId !== undefined && customer === null) return reject('customer-not-found', 'No customer has this id.')
  const policy = organisation.policies.complaints.value
  const severity = policy.severities.find((one) => one.name === command.severity)
  const level = policy.levels[(severity?.startsAtLevel ?? 1) - 1]
  const errors: FieldProblem[] = [
    ...(policy.classes.some((one) => one.name === command.class) ? [] : [{ path: 'class', message: `must be one of ${policy.classes.map((one) => one.name).join(', ')}` }]),
    ...(severity && level ? [] : [{ path: 'severity', message: `must be one of ${policy.severities.map((one) => one.name).join(', ')}` }]),
    ...(command.contactId !== undefined && !customer?.contacts.has(command.contactId) ? [{ path: 'contactId', message: 'is not a contact of this customer' }] : []),
    ...command.departments.flatMap((id, index) => (organisation.departments.has(id) ? [] : [{ path: `departments/${index}`, message: 'no department has this id' }])),
    ...(command.handlerId !== undefined && here(command.handlerId, organisation) === null ? [{ path: 'handlerId', message: 'no employee who is here has this id' }] : []),
    ...(command.lodgedAt !== undefined && command.lodgedAt > now ? [{ path: 'lodgedAt', message: 'must not be in the future' }] : []),
  ]
  if (errors.length > 0 || !level) return reject('unknown-reference', 'The complaint names what does not exist.', { errors })
  const complaintId = command.complaintId ?? context.newId('complaint')
  const { customerId, contactId } = command
  const complainant: Complainant = customerId === undefined ? { kind: 'anonymous' } : contactId === undefined ? { kind: 'customer', customerId } : { kind: 'contact', customerId, contactId }
  const of = subjectOf(complainant, complaintId)
  const departments = [...new Set(command.departments)]
  const lodged: ComplaintEvent = {
    type: 'ComplaintLodged',
    data: {
      complainant, class: command.class, severity: command.severity, channel: command.channel, description: personal(of, command.description), wants: command.wants === undefined ? null : personal(of, command.wants),
      departments, level: level.level, role: level.role, handlerId: command.handlerId ?? here(level.handlerId, organisation) ?? caller.employeeId, deadlines: deadlinesFrom(command.lodgedAt ?? now, level.steps),
    },
  }
  return accept([lodged, ...(departments.length > 1 ? escalation({ level: level.level }, 'several-departments', context) : [])], context, command.lodgedAt)
}

/** Steps are done in order; one that is done says so, and the same words again change nothing. */
const atStep = (state: Complaint, step: Step, said: string): { open: OpenComplaint } | { answer: Decision<ComplaintEvent> } => {
  if (state.status === 'none') return { answer: notFound }
  if (state.done.includes(step) && state.said[step] === said) return { answer: noChange }
  if (state.status === 'closed') return { answer: closed }
  const next = nextStep(state)
  return next === step ? { open: state } : { answer: reject('wrong-step', next === undefined ? 'All five steps are done: close the complaint.' : `The next step of this complaint is ${next}.`, { extensions: { next: next ?? null, done: [...state.done] } }) }
}

export const reply = (state: Complaint, command: z.infer<typeof ReplyToComplaint>, context: Context): Decision<ComplaintEvent> => {
  const at = atStep(state, 'reply', command.reply)
  return 'answer' in at ? at.answer : accept([{ type: 'ComplaintReplied', data: { reply: personal(subjectOf(at.open.complainant, command.complaintId), command.reply) } }], context)
}

/** Compensation beyond the handler's authority escalates in the same decision, to the first level that may grant it. */
export const act = (state: Complaint, command: z.infer<typeof RecordComplaintAction>, context: Context): Decision<ComplaintEvent> => {
  const at = atStep(state, 'act', command.action)
  if ('answer' in at) return at.answer
  const { compensation } = command
  const acted: ComplaintEvent = { type: 'ComplaintActed', data: { action: personal(subjectOf(at.open.complainant, command.complaintId), command.action), compensation: compensation ?? null } }
  if (compensation === undefined || within(compensation, authorityOf(at.open, context))) return accept([acted], context)
  const { levels } = context.organisation.policies.complaints.value
  const able = levels.find((level) => level.level > at.open.level && within(compensation, level.authorityLimit))
  return accept([acted, ...escalation(at.open, 'beyond-authority', context, { toLevel: able?.level ?? levels.length })], context)
}

export const followUp = (state: Complaint, command: z.infer<typeof FollowUpComplaint>, context: Context): Decision<ComplaintEvent> => {
  const at = atStep(state, 'follow-up', command.outcome)
  return 'answer' in at ? at.answer : accept([{ type: 'ComplaintFollowedUp', data: { outcome: personal(subjectOf(at.open.complainant, command.complaintId), command.outcome), satisfied: command.satisfied } }], context)
}

export const improve = (state: Complaint, command: z.infer<typeof RecordImprovement>, context: Context): Decision<ComplaintEvent> => {
  const at = atStep(state, 'improve', command.improvement)
  return 'answer' in at ? at.answer : accept([{ type: 'ImprovementRecorded', data: { improvement: personal(subjectOf(at.open.complainant, command.complaintId), command.improvement) } }], context)
}

/** Without a level: the next one, once for each reason. Whoever wants it higher names the level. */
export const escalate = (state: Complaint, command: z.infer<typeof EscalateComplaint>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'closed') return closed
  const { levels } = context.organisation.policies.complaints.value
  const { toLevel, reason } = command
  if (toLevel !== undefined && toLevel > levels.length) return reject('unknown-reference', 'The complaint policy has no such level.', { errors: [{ path: 'toLevel', message: `must be at most ${levels.length}` }] })
  if (toLevel === undefined ? state.escalatedFor.has(reason) : toLevel <= state.level) return noChange
  const note = command.note === undefined ? null : personal(subjectOf(state.complainant, command.complaintId), command.note)
  const escalated = escalation(state, reason, context, { toLevel, note })
  return escalated.length > 0 ? accept(escalated, context) : reject('top-level', 'The complaint is at the highest level.', { extensions: { level: state.level } })
}

/** What a passed deadline does: it escalates, or is recorded as missed at the highest level. Once for each step. */
export const passDeadline = (state: Complaint, command: z.infer<typeof PassComplaintDeadline>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  const { step, deadline } = command
  if (state.status === 'closed' || state.done.includes(step) || state.passed.has(step) || state.deadlines[step].deadline !== deadline) return noChange
  if (context.now < deadline) return reject('not-due', 'The deadline has not passed.', { extensions: { deadline } })
  const escalated = escalation(state, 'deadline-passed', context, { step })
  return accept(escalated.length > 0 ? escalated : [{ type: 'ComplaintDeadlineMissed', data: { step, deadline } }], context)
}

export const reassign = (state: Complaint, command: z.infer<typeof ReassignComplaint>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  if (state.handlerId === command.to) return noChange
  if (state.status === 'closed') return closed
  const unknown = unknownHandler(command.to, context)
  return unknown ?? accept([{ type: 'ComplaintReassigned', data: { from: state.handlerId, to: command.to, reason: personal(subjectOf(state.complainant, command.complaintId), command.reason) } }], context)
}

const unknownHandler = (employeeId: string, { organisation }: Context): Rejection | undefined => {
  const employee = organisation.employees.get(employeeId)
  if (!employee) return reject('unknown-reference', 'The employee does not exist.', { errors: [{ path: 'to', message: 'no employee has this id' }] })
  return employee.departed ? reject('employee-departed', 'The employee has departed and handles nothing any more.') : undefined
}

/** The customer rejects what was done: it goes up, and is acted on again. The deadlines keep running. */
export const rejectResolution = (state: Complaint, command: z.infer<typeof RejectResolution>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  if (!state.done.includes('act')) return state.said.rejection === command.reason ? noChange : reject('wrong-step', 'There is no resolution yet that could be rejected.', { extensions: { next: nextStep(state) ?? null, done: [...state.done] } })
  if (state.status === 'closed') return closed
  const rejected: ComplaintEvent = { type: 'ResolutionRejected', data: { reason: personal(subjectOf(state.complainant, command.complaintId), command.reason) } }
  return accept([rejected, ...escalation(state, 'rejected-resolution', context)], context)
}

export const close = (state: Complaint, command: z.infer<typeof CloseComplaint>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'closed') return noChange
  const next = nextStep(state)
  if (next !== undefined) return reject('wrong-step', `The next step of this complaint is ${next}; it is closed after all five.`, { extensions: { next, done: [...state.done] } })
  return accept([{ type: 'ComplaintClosed', data: { note: command.note === undefined ? null : personal(subjectOf(state.complainant, command.complaintId), command.note) } }], context)
}

/** Begins again after acceptance, with new deadlines for its level; level and handler stay. */
export const reopen = (state: Complaint, command: z.infer<typeof ReopenComplaint>, context: Context): Decision<ComplaintEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'open') return noChange
  const level = context.organisation.policies.complaints.value.levels[state.level - 1] ?? context.organisation.policies.complaints.value.levels.at(-1)
  if (!level) return reject('unknown-reference', 'The complaint policy has no such level.')
  return accept([{ type: 'ComplaintReopened', data: { reason: personal(subjectOf(state.complainant, command.complaintId), command.reason), deadlines: deadlinesFrom(context.now, level.steps) } }], context)
}
