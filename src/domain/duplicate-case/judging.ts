import { z } from 'zod'
import type { Customer } from '../customer/customer.ts'
import { subject } from '../customer/events.ts'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { reject } from '../rejection.ts'
import type { Reason } from '../matching/compare.ts'
import { Id, Reason as ReasonInWords } from '../values.ts'
import { pairOf, type DuplicateCase, type DuplicateCaseEvent } from './duplicate-case.ts'

// Commands.
const Code = z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, 'a lower-case word, with hyphens')
/** Two customers, and not one named twice. */
export const Pair = z.tuple([Id, Id]).refine(([one, other]) => one !== other, 'must be two different customers')
export const OpenDuplicateCase = z.strictObject({
  customerIds: Pair,
  score: z.number().optional().describe('How much speaks for it, in bits, as the matcher has it: said by systems alone, looked up for a person'),
  reasons: z.array(z.strictObject({ comparison: Code, level: Code, bits: z.number() })).max(50).optional(),
  weightsVersion: z.int().min(0).optional(),
  note: ReasonInWords.optional().describe('In words; needed to open the case of a pair that was judged before'),
})
/** What is known of a pair once both were looked at: how alike they are, and whether they are one customer already. */
export type PlacedCase = z.infer<typeof OpenDuplicateCase> & { found?: { score: number; reasons: Reason[]; weightsVersion: number } | undefined; isOne?: boolean }
const OfCase = { caseId: z.uuid() }
export const ConfirmDuplicateCase = z.strictObject({ ...OfCase, note: ReasonInWords.optional() })
export const DismissDuplicateCase = z.strictObject({ ...OfCase, reason: ReasonInWords })
export const CloseDuplicateCase = z.strictObject({ ...OfCase, mergeId: z.string().max(64) })

const notFound = reject('case-not-found', 'No duplicate case has this id.')
const merged = reject('case-merged', 'The two customers have been merged.')
/** What is said of a pair is sealed under the key of the first of the two. */
const said = (customerIds: readonly [string, string], words: string) => personal(subject(customerIds[0]), words)

// Decisions.
/** What was judged before is not raised again by detection; a person with new evidence may, and says why. */
export const open = (state: DuplicateCase, command: PlacedCase, context: Context, _customer: Customer | null, customers: readonly (Customer | null)[]): Decision<DuplicateCaseEvent> => {
  const { note } = command
  const openedBy = context.caller.role === 'system' && context.caller.onBehalfOf === null ? 'detection' : 'person'
  const told = (['score', 'reasons', 'weightsVersion'] as const).filter((key) => command[key] !== undefined)
  if (openedBy === 'person' && told.length > 0) return reject('not-permitted', 'How alike two customers are the matcher says, not who opens the case.', { errors: told.map((path) => ({ path, message: 'is for the matcher to say: leave it out' })) })
  const { score = null, reasons = [], weightsVersion = null } = command.score === undefined ? (command.found ?? {}) : command
  if (command.isOne) return openedBy === 'detection' ? noChange : merged
  if (customers.some((customer) => customer === null)) return reject('customer-not-found', 'One of the two customers does not exist.')
  if (state.status === 'open' || state.status === 'confirmed' || (state.status !== 'none' && (openedBy === 'detection' || state.openedBy === context.commandId))) return noChange
  const absorptions = customers.flatMap((customer) => customer?.absorption ?? [])
  // What is part of another is looked for, and judged, as that.
  if (absorptions.length > 0 && openedBy === 'detection') return noChange
  if (state.status === 'merged' || absorptions.some(({ into }) => command.customerIds.includes(into))) return merged
  if (state.status === 'dismissed' && note === undefined) return reject('reason-required', 'The pair was dismissed before: say what is new.', { errors: [{ path: 'note', message: 'is required for a pair that was dismissed' }] })
  const customerIds = pairOf(command.customerIds)
  return { events: [{ type: 'DuplicateCaseOpened', data: { customerIds, openedBy, score, reasons, weightsVersion, note: note === undefined ? null : said(customerIds, note) } }] }
}

export const confirm = (state: DuplicateCase, command: z.infer<typeof ConfirmDuplicateCase>): Decision<DuplicateCaseEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'confirmed' || state.status === 'merged') return noChange
  if (state.status === 'dismissed') return reject('case-dismissed', 'The case was dismissed: open it again first.')
  return { events: [{ type: 'DuplicateCaseConfirmed', data: { note: command.note === undefined ? null : said(state.customerIds, command.note) } }] }
}

/** Also of two whose merge was reversed. */
export const dismiss = (state: DuplicateCase, command: z.infer<typeof DismissDuplicateCase>, _context: Context, _customer: Customer | null, customers: readonly (Customer | null)[]): Decision<DuplicateCaseEvent> => {
  if (state.status === 'none') return notFound
  if (state.status === 'dismissed') return noChange
  if (state.status === 'merged' && customers.some((customer) => customer?.absorption?.mergeId === state.mergeId)) return merged
  return { events: [{ type: 'DuplicateCaseDismissed', data: { reason: said(state.customerIds, command.reason) } }] }
}

/** What a merge does to the case of the two, if there is one, and they are one still. */
export const close = (state: DuplicateCase, command: z.infer<typeof CloseDuplicateCase> & { isOne?: boolean }): Decision<DuplicateCaseEvent> =>
  state.status === 'none' || state.mergeId === command.mergeId || command.isOne === false ? noChange : { events: [{ type: 'DuplicateCaseMerged', data: { mergeId: command.mergeId } }] }
