import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { policyReference } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id, InstantInput, Reason } from '../values.ts'
import type { Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { checkEffectiveTime, knownEmployee } from './ownership.ts'
import { latestWhere, listed, withCorrection } from './ownership-changes.ts'
import { notFound } from './profile.ts'

// Command.
export const CorrectOwnership = z.strictObject({
  customerId: Id,
  corrects: z.uuid().describe('The id of the event that was entered wrongly'),
  ownerId: Id.nullable().describe('Who held the customer from then on; null: it was in the public pool'),
  effectiveAt: InstantInput.optional().describe('When that took effect; left out: when the event it corrects did'),
  reason: Reason,
})
/** What the stream knows of the event named: its revision, and by which event it was corrected, as that stands now. Null: there is none. */
export type NamedEvent = { revision: number; correctedBy: string | null }
export type Correction = z.infer<typeof CorrectOwnership> & { named?: NamedEvent | null }

/** The change of owner an event made, where it is in force still. */
export const changeNamed = (state: Customer, named: NamedEvent | null | undefined) => latestWhere(state.ownership, ({ revision }) => revision === named?.revision)

/** Says what an earlier change of owner should have said. Whatever came after it stands. */
export const correctOwnership = (state: Customer, command: Correction, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { customerId, corrects, ownerId, named } = command
  if (!named) return reject('unknown-reference', 'The event is none of this customer.', { errors: [{ path: 'corrects', message: 'no event of this customer has this id' }] })
  const changed = changeNamed(state, named)
  const correction = latestWhere(state.ownership, (change) => change.corrects === named.revision)
  if (!changed) {
    if (correction?.ownerId === ownerId && (command.effectiveAt ?? correction.at) === correction.at) return noChange
    return named.correctedBy === null
      ? reject('unknown-reference', 'The event changed no owner.', { errors: [{ path: 'corrects', message: 'is not a change of owner' }] })
      : reject('already-corrected', 'The event was corrected before.', { extensions: { correctedBy: named.correctedBy } })
  }
  const at = command.effectiveAt ?? changed.at
  if (changed.ownerId === ownerId && changed.at === at) return noChange
  const wrongTime = at === changed.at ? undefined : checkEffectiveTime(state, at, context)
  if (wrongTime) return wrongTime
  if (at !== changed.at && listed(state.ownership)[0] === changed) return reject('invalid-effective-time', 'The entry of the customer stays where it is.', { errors: [{ path: 'effectiveAt', message: 'must be left out for the entry itself' }] })
  const unfit = ownerId === null ? undefined : knownEmployee(ownerId, context, 'ownerId')
  // Who has departed may have held it, but cannot hold it now.
  const holdsNow = withCorrection(state.ownership, { at, revision: changed.revision, ownerId, corrects: changed.revision })?.change.corrects === changed.revision
  if (unfit && (unfit.rejected !== 'employee-departed' || holdsNow)) return unfit
  return {
    events: [{ type: 'OwnershipCorrected', data: { corrects, correctsRevision: changed.revision, from: changed.ownerId, ownerId, basis: 'correction', reason: personal(subject(customerId), command.reason) } }],
    effectiveAt: at,
    policies: [policyReference(context.organisation, 'ownership')],
  }
}
