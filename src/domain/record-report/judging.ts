import { z } from 'zod'
import { ownerOf, type Customer } from '../customer/customer.ts'
import { subject } from '../customer/events.ts'
import { heldOf, missingOf } from '../customer/incomplete.ts'
import { noChange, personal, type Context, type Decision, type Instant, type Warning } from '../decider.ts'
import { policyReference, templateOf } from '../organisation/organisation.ts'
import type { PolicyKind } from '../policy/kinds.ts'
import { reject, type FieldProblem, type Rejection } from '../rejection.ts'
import { Id, InstantInput, Reason } from '../values.ts'
import { likeness } from './likeness.ts'
import { aboutOf, faults, type CitedAttempt, type Fault, type RecordReport, type RecordReportEvent, type Reported, type Unmoved } from './record-report.ts'

// Commands.
/** Asked whatever else is wrong: every fault is named at once. */
const isBody = ({ value }: { value: unknown }) => typeof value === 'object' && value !== null
export const ReportRecord = z.strictObject({
  customerId: Id,
  kind: z.enum(faults),
  duplicateOf: Id.optional().describe('Of a duplicate: the other customer; which of the two was entered later, the log tells'),
  categoryId: Id.optional().describe('Of a wrong category: the right one'),
  attemptIds: z.array(z.uuid()).max(50).default([]).describe('Refused attempts that speak for it, as GET /audit/attempts lists them'),
  note: Reason,
  newEvidence: Reason.optional().describe('What is new; needed when the same was dismissed before'),
})
  .refine(({ kind, duplicateOf }) => kind !== 'duplicate' || duplicateOf !== undefined, { path: ['duplicateOf'], message: 'is required: of which customer it is a duplicate', when: isBody })
  .refine(({ kind, duplicateOf }) => kind === 'duplicate' || duplicateOf === undefined, { path: ['duplicateOf'], message: 'goes with kind duplicate', when: isBody })
  .refine(({ customerId, duplicateOf }) => duplicateOf === undefined || duplicateOf !== customerId, { path: ['duplicateOf'], message: 'must be another customer', when: isBody })
  .refine(({ kind, categoryId }) => kind !== 'wrong-category' || categoryId !== undefined, { path: ['categoryId'], message: 'is required: the right category', when: isBody })
  .refine(({ kind, categoryId }) => kind === 'wrong-category' || categoryId === undefined, { path: ['categoryId'], message: 'goes with kind wrong-category', when: isBody })
/** What is known once the customers and attempts were looked up: of duplicates `customerId` is then the later entry. */
export type ReportedRecord = z.infer<typeof ReportRecord> & { attempts?: readonly (CitedAttempt | undefined)[]; mergedFrom?: string }

const OfReport = { reportId: z.uuid() }
export const UpholdReport = z.strictObject({ ...OfReport, decision: Reason, moveOwnership: z.boolean().default(false).describe('Of a duplicate: the later entry goes to whom the earlier one belongs to') })
/** `earlier`: who stands for the earlier entry by now, and who owns that. */
export type UpheldReport = z.infer<typeof UpholdReport> & { earlier?: { customerId: string; ownerId: string | null } }
export const DismissReport = z.strictObject({ ...OfReport, reason: Reason })
export const PassReportDeadline = z.strictObject({ ...OfReport, deadlineAt: InstantInput })

const notFound = reject('report-not-found', 'No record report has this id.')
const noCustomer = (path: string) => reject('customer-not-found', 'No customer has this id.', { errors: [{ path, message: 'no customer has this id' }] })
const judged = ({ status }: Reported) => reject('report-judged', `The report has been ${status}.`, { extensions: { judgement: status } })
const isJudged = ({ status }: Reported): boolean => status === 'upheld' || status === 'dismissed'

const DAY_MS = 86_400_000
const after = (from: Instant, days: number): Instant => new Date(Date.parse(from) + Math.round(days * DAY_MS)).toISOString()

type Evidence = Pick<Extract<RecordReportEvent, { type: 'RecordReported' }>['data'], 'category' | 'missing' | 'template' | 'match'>
const nothing: Evidence = { category: null, missing: [], template: [], match: null }
const noFault = (path: string, message: string) => reject('no-such-fault', 'The record does not show this fault.', { errors: [{ path, message }] })

/** What the record itself shows of the fault; refused where it shows none. */
const evidenceOf = (command: ReportedRecord, customer: Customer, earlier: Customer | null, { organisation }: Context): Evidence | Rejection => {
  switch (command.kind) {
    case 'duplicate':
      return earlier ? { ...nothing, match: likeness(customer, earlier, organisation) } : noCustomer('duplicateOf')
    case 'wrong-category': {
      const right = command.categoryId ?? ''
      if (!organisation.categories.has(right)) return reject('unknown-reference', 'The category does not exist.', { errors: [{ path: 'categoryId', message: 'no category has this id' }] })
      return right === customer.category ? noFault('categoryId', 'is the category it is in') : { ...nothing, category: { in: customer.category, right } }
    }
    case 'incomplete': {
      const missing = [...new Set(missingOf(heldOf(customer), organisation).map(({ path }) => path))]
      return missing.length === 0 ? noFault('kind', 'nothing is missing that its category requires at its stage') : { ...nothing, missing, template: templateOf(organisation, customer.category)?.reference ?? [] }
    }
  }
}

/** What the evidence rests on. */
const decidedUnder: Record<Fault, readonly PolicyKind[]> = { duplicate: ['penalties', 'matching'], 'wrong-category': ['penalties'], incomplete: ['penalties', 'stages'] }

/** An upheld fault is settled: only what was not upheld before is reported again. */
const whyNotAgain = (state: RecordReport, command: ReportedRecord, evidence: Evidence): Rejection | undefined => {
  if (state.status === 'none') return undefined
  if (aboutOf({ kind: command.kind, ...evidence }).every((one) => state.upheld.has(one))) return reject('fault-upheld', 'This fault was reported and upheld before: it is judged once.')
  if (state.status === 'dismissed' && command.newEvidence === undefined) return reject('reason-required', 'The same was reported and dismissed before: say what is new.', { errors: [{ path: 'newEvidence', message: 'is required for what was dismissed' }] })
  return undefined
}

const unknownAttempts = ({ attemptIds, attempts }: ReportedRecord): FieldProblem[] =>
  attemptIds.flatMap((_id, index) => (attempts?.[index] ? [] : [{ path: `attemptIds/${index}`, message: 'is no refused attempt that ran into this customer' }]))

// Decisions.
/**
 * Reports a record. While a report is open the same again changes nothing: it waits for its judgement whoever raised it
 * first. `customer` is the one reported, as one with all it has absorbed; `records`: of duplicates each as it was entered.
 */
export const report = (state: RecordReport, command: ReportedRecord, context: Context, customer: Customer | null, records: readonly (Customer | null)[]): Decision<RecordReportEvent> => {
  const { organisation, caller, now } = context
  const [later = null, earlier = null] = records
  const record = command.kind === 'duplicate' ? later : customer
  if (!record) return noCustomer('customerId')
  if (state.status !== 'none' && (!isJudged(state) || state.reportedBy === context.commandId)) return noChange
  const evidence = evidenceOf(command, record, earlier, context)
  if ('rejected' in evidence) return evidence
  const unknown = unknownAttempts(command)
  if (unknown.length > 0) return reject('unknown-reference', 'Attempts are cited that did not run into this customer.', { errors: unknown })
  const refused = whyNotAgain(state, command, evidence)
  if (refused) return refused
  const of = subject(command.customerId)
  const { value } = organisation.policies.penalties
  return {
    events: [{
      type: 'RecordReported',
      data: {
        customerId: command.customerId, kind: command.kind, duplicateOf: command.duplicateOf ?? null, ...evidence, attempts: (command.attempts ?? []).flatMap((attempt) => attempt ?? []),
        against: record.enteredBy, reporterId: caller.employeeId, note: personal(of, command.note), newEvidence: command.newEvidence === undefined ? null : personal(of, command.newEvidence),
        deadlineAt: after(now, value.deadlineDays),
      },
    }],
    policies: decidedUnder[command.kind].map((name) => policyReference(organisation, name)),
    warnings: command.mergedFrom === undefined ? [] : [{ warning: 'merged', detail: 'The customer named is part of another since a merge: the report is of that one.', customerId: command.customerId }],
  }
}

const amountFor = ({ kind, against }: Reported, { organisation }: Context) => {
  if (against === null || !organisation.employees.has(against)) return { penalty: null, noPenalty: 'nobody-answerable' as const }
  const { duplicate, wrongCategory, incomplete } = organisation.policies.penalties.value.amounts
  const penalty = { duplicate, 'wrong-category': wrongCategory, incomplete }[kind]
  return { penalty, noPenalty: penalty === null ? 'policy' as const : null }
}

type Dispute = NonNullable<Extract<RecordReportEvent, { type: 'ReportUpheld' }>['data']['dispute']>

/** To whom the later entry goes: the owner of the earlier one, else who entered that. */
const disputeOf = (later: Customer, earlier: Customer, { customerId, earlier: standing }: { customerId: string; earlier: NonNullable<UpheldReport['earlier']> }, { organisation }: Context): Dispute => {
  const stays = (why: NonNullable<Dispute['unmoved']>): Dispute => ({ to: null, unmoved: why })
  if (later.absorption !== null || standing.customerId === customerId) return stays('merged-since')
  const rightful = standing.ownerId ?? earlier.enteredBy
  const employee = rightful === null ? undefined : organisation.employees.get(rightful)
  if (rightful === null || !employee) return stays('owner-unknown')
  if (employee.departed) return stays('owner-departed')
  return ownerOf(later) === rightful ? stays('held-already') : { to: rightful, unmoved: null }
}

const whyUnmoved: Record<Unmoved, string> = {
  'owner-unknown': 'Ownership stays: nobody known here owns or entered the earlier record.',
  'owner-departed': 'Ownership stays: whom the earlier record belongs to has departed. assign-ownership or transfer-ownership gives it to another.',
  'held-already': 'Ownership stays: it is with the owner of the earlier record already.',
  'merged-since': 'Ownership stays: the two records have been merged, which settled it.',
}
const whyNoPenalty = { 'nobody-answerable': 'No penalty: nobody known here entered the record.', policy: 'No penalty: the penalties policy has none for this fault.' }

/** The report was right: a penalty by the policy for who is answerable, once; and of a duplicate, where asked, ownership goes by the earlier entry. */
export const uphold = (state: RecordReport, command: UpheldReport, context: Context, _customer: Customer | null, [later = null, earlier = null]: readonly (Customer | null)[]): Decision<RecordReportEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'upheld' && state.disputed === command.moveOwnership) return noChange
  if (isJudged(state)) return judged(state)
  if (command.moveOwnership && state.kind !== 'duplicate') return reject('no-dispute', 'Who owns a record is in dispute only where it is a duplicate.', { errors: [{ path: 'moveOwnership', message: 'goes with a duplicate' }] })
  const dispute = command.moveOwnership && later && earlier && command.earlier ? disputeOf(later, earlier, { customerId: state.customerId, earlier: command.earlier }, context) : null
  const { penalty, noPenalty } = amountFor(state, context)
  const warnings: Warning[] = [
    ...(noPenalty === null ? [] : [{ warning: 'no-penalty', detail: whyNoPenalty[noPenalty] }]),
    ...(dispute?.unmoved ? [{ warning: 'ownership-unmoved', detail: whyUnmoved[dispute.unmoved], because: dispute.unmoved }] : []),
  ]
  return {
    events: [{ type: 'ReportUpheld', data: { against: state.against, penalty, noPenalty, dispute, reason: personal(subject(state.customerId), command.decision) } }],
    policies: [policyReference(context.organisation, 'penalties')],
    warnings,
  }
}

export const dismiss = (state: RecordReport, command: z.infer<typeof DismissReport>, { organisation }: Context): Decision<RecordReportEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'dismissed') return noChange
  if (isJudged(state)) return judged(state)
  return { events: [{ type: 'ReportDismissed', data: { reason: personal(subject(state.customerId), command.reason) } }], policies: [policyReference(organisation, 'penalties')] }
}

/** Nobody judged it in time: recorded once in each round. It can still be judged. */
export const passDeadline = (state: RecordReport, { deadlineAt }: z.infer<typeof PassReportDeadline>, { now, organisation }: Context): Decision<RecordReportEvent> => {
  if (state.status === 'none') return notFound
  if (state.status !== 'open' || state.deadlineAt !== deadlineAt) return noChange
  if (now < deadlineAt) return reject('not-due', 'The deadline has not passed.', { extensions: { deadline: deadlineAt } })
  return { events: [{ type: 'ReportOverdue', data: { deadlineAt } }], policies: [policyReference(organisation, 'penalties')] }
}
