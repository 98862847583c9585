import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { templateOf } from '../organisation/organisation.ts'
import { reject, type FieldProblem, type Rejection } from '../rejection.ts'
import { Id, Reason } from '../values.ts'
import { ownerOf, type Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import type { Entry } from './group.ts'
import { notFound } from './profile.ts'
import { latestWhere } from './ownership-changes.ts'

// Commands.
const TakeFrom = z.strictObject({
  name: Id.optional().describe('Whose name'),
  fields: z.record(z.string().max(64), Id).default({}).describe('Field by field, whose value; otherwise the survivor’s, and where it has none the absorbed one’s'),
})
export const MergeCustomers = z.strictObject({
  customerIds: z.tuple([Id, Id]).refine(([one, other]) => one !== other, 'must be two different customers'),
  survivorId: Id.optional().describe('Which of the two stays; left out: the one entered first'),
  take: TakeFrom.default({ fields: {} }),
  reason: Reason,
}).refine(({ customerIds, survivorId }) => survivorId === undefined || customerIds.includes(survivorId), { path: ['survivorId'], message: 'must be one of the two customers' })
/** What is known once both were read: who stays, and which entry of all that become one was the first. */
export type Settled = { survivorId: string; absorbedId: string; survivorBy: 'earliest-entry' | 'choice'; earliest: Entry }
/** `null`: both are one customer already, for which `standsFor` stands. */
export type SettledMerge = z.infer<typeof MergeCustomers> & { settled?: Settled | null; standsFor?: string }

const chosenElsewhere = ({ take, settled }: SettledMerge, known: ReadonlySet<string>): FieldProblem[] => {
  const both = [settled?.survivorId, settled?.absorbedId]
  const chosen = [...(take.name === undefined ? [] : [['take/name', take.name]]), ...Object.entries(take.fields).map(([key, id]) => [`take/fields/${key}`, id])]
  return [
    ...Object.keys(take.fields).flatMap((key) => (known.has(key) ? [] : [{ path: `take/fields/${key}`, message: 'is not a field of either of the two' }])),
    ...chosen.flatMap(([path = '', id]) => (both.includes(id) ? [] : [{ path, message: 'must be one of the two customers' }])),
  ]
}

/** The fields that either of two has, or may have by its category. */
const fieldsOfEither = (both: readonly Customer[], { organisation }: Context): Set<string> =>
  new Set(both.flatMap((one) => [...Object.keys(one.fields), ...(templateOf(organisation, one.category)?.template.fields.map(({ key }) => key) ?? [])]))

/** Whether a merge is under way that has to be decided first: tried again, it soon is. */
const busy = (customer: Customer): Rejection | undefined =>
  customer.openMerge ? reject('merge-in-progress', 'One of the two is being merged with another customer at this moment.', { extensions: { mergeId: customer.openMerge.mergeId } }) : undefined

// Decisions.
/** Begins a merge on the survivor. Whether it comes about, the absorbed customer's stream decides. */
export const mergeCustomers = (state: Customer, command: SettledMerge, context: Context, _customer: Customer | null, [absorbed]: readonly (Customer | null)[]): Decision<CustomerEvent> => {
  const { settled, take, reason } = command
  if (settled === null) return command.survivorId === undefined || command.standsFor === command.survivorId || command.standsFor === undefined ? noChange : reject('already-merged', `They are one customer already, for which ${command.standsFor} stands.`, { extensions: { survivorId: command.standsFor } })
  if (state.status === 'none' || !settled || !absorbed) return notFound
  const { survivorId, absorbedId, survivorBy, earliest } = settled
  const [kind, other] = [state, absorbed].map((one) => templateOf(context.organisation, one.category)?.kind)
  if (kind !== other) return reject('different-kinds', 'A person and an organisation cannot be one customer.')
  const problems = chosenElsewhere(command, fieldsOfEither([state, absorbed], context))
  if (problems.length > 0) return reject('unknown-reference', 'A value can be taken from one of the two only.', { errors: problems })
  // The same begun by another command may yet be given up: that one is waited for.
  if (state.merges.has(absorbedId) || state.openMerge?.mergeId === context.newId('merge')) return noChange
  return busy(state) ?? busy(absorbed) ?? {
    events: [{
      type: 'MergeStarted',
      data: {
        mergeId: context.newId('merge'), absorbedId, survivorBy, take: { ...(take.name === undefined ? {} : { name: take.name }), fields: take.fields },
        earliest: { customerId: earliest.customerId, enteredAt: earliest.at }, reason: personal(subject(survivorId), reason),
      },
    }],
  }
}

/**
 * On the absorbed: decides a merge. While it merges another itself it is not absorbed, so that no ring can come about; but
 * of two that would take in each other, the one whose id comes first does.
 */
export const decideMerge = (state: Customer, { mergeId, into, absorbedId }: { mergeId: string; into: string; absorbedId: string }): CustomerEvent[] => {
  if (state.decided.has(mergeId)) return []
  if (state.absorption !== null) return [{ type: 'MergeDeclined', data: { mergeId, into, because: 'absorbed-elsewhere' } }]
  const yields = state.openMerge === null || (state.openMerge.absorbedId === into && into < absorbedId)
  if (!yields || state.merges.has(into)) return [{ type: 'MergeDeclined', data: { mergeId, into, because: 'merging-itself' } }]
  return [{ type: 'CustomerAbsorbed', data: { mergeId, into } }]
}

export const settleOwner = (state: Customer, ownerId: string | null, basis: 'merge' | 'merge-reversal', mergeId: string, earliest: string): CustomerEvent[] =>
  ownerOf(state) === ownerId ? [] : [{ type: 'OwnershipSettled', data: { from: ownerOf(state), ownerId, basis, mergeId, earliest } }]

/** Of all whose record it was, the owner of the one entered first; one that lies in the pool has no claim on it. */
export const rightfulOwner = (claims: readonly Claim[]): { ownerId: string | null; customerId: string } => {
  const [first] = claims
  const held = claims.find(({ ownerId }) => ownerId !== null) ?? first
  return { ownerId: held?.ownerId ?? null, customerId: held?.customerId ?? '' }
}

/** A record that is part of a merge: its earliest entry, and who held it. In order of entry. */
export type Claim = { customerId: string; ownerId: string | null }

/** On the survivor, when the merge came about: `claims` of the absorbed and of itself, the earliest entry first. */
export const completeMerge = (state: Customer, { mergeId, absorbedId }: { mergeId: string; absorbedId: string }, claims: readonly Claim[]): CustomerEvent[] => {
  if (state.openMerge?.mergeId !== mergeId) return []
  const { ownerId, customerId } = rightfulOwner(claims)
  return [{ type: 'CustomerMerged', data: { mergeId, absorbedId } }, ...settleOwner(state, ownerId, 'merge', mergeId, customerId)]
}

export const abandonMerge = (state: Customer, { mergeId, absorbedId }: { mergeId: string; absorbedId: string }): CustomerEvent[] =>
  state.openMerge?.mergeId === mergeId ? [{ type: 'MergeAbandoned', data: { mergeId, absorbedId } }] : []

/** Who holds a survivor by what was decided about it, and not by merges. */
export const ownerByItself = (state: Customer): string | null => latestWhere(state.ownership, (change) => !state.settlements.has(change.revision))?.ownerId ?? null
