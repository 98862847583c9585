import { z } from 'zod'
import { noChange, personal, type Accepted, type Context, type Decision } from '../decider.ts'
import { policyReference } from '../organisation/organisation.ts'
import { reject, type Rejection } from '../rejection.ts'
import { Id, InstantInput, Reason } from '../values.ts'
import { ownerOf, type Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { notFound } from './profile.ts'
import { after, standingOf, type Facts, type Standing } from './protection.ts'

// Commands. What a period is known by: whose it is, when it began, and when it lapses as far as the sender knew.
const Period = z.strictObject({ customerId: Id, ownerId: Id, since: InstantInput, lapsesAt: InstantInput })
export const LapseProtection = Period
export const WarnOfLapse = Period
/** With what the streams beside the customer's say, once they were read. */
export type PeriodWithFacts = z.infer<typeof Period> & { facts?: Facts }

export const RenewProtection = z.strictObject({ customerId: Id, reason: Reason })
export const LockProtection = z.strictObject({ customerId: Id, reason: Reason, until: InstantInput.optional().describe('Until when it cannot lapse; left out: until unlock-protection') })
export const UnlockProtection = z.strictObject({ customerId: Id, reason: Reason })

const accept = (event: CustomerEvent, { organisation }: Context): Accepted<CustomerEvent> => ({ events: [event], policies: [policyReference(organisation, 'ownership')] })

/** How the period stands that is meant; undefined when it is another by now: of another owner, followed up, exempt, or under another policy. */
const asMeant = (state: Customer, command: PeriodWithFacts, { organisation, now }: Context): (Standing & { days: number; lapsesAt: string; facts: Facts }) | undefined => {
  const { facts } = command
  const standing = facts && ownerOf(state) === command.ownerId ? standingOf(state, facts, organisation, now) : null
  if (!facts || !standing || standing.days === null || standing.lapsesAt === null) return undefined
  const { days, lapsesAt } = standing
  return standing.since === command.since && lapsesAt === command.lapsesAt ? { ...standing, days, lapsesAt, facts } : undefined
}

const notDue = (at: string): Rejection => reject('not-due', `It is due at ${at}.`, { extensions: { due: at } })

// Decisions.
/** Takes a customer to the pool whose protection is over: by the facts and the policy of now, once for each period. */
export const lapse = (state: Customer, command: PeriodWithFacts, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const period = asMeant(state, command, context)
  if (!period) return noChange
  if (period.lapsesAt > context.now) return notDue(period.lapsesAt)
  const lapse = { protectedSince: period.since, followedUpAt: period.facts.followedUpAt, days: period.days }
  return accept({ type: 'OwnershipReleased', data: { from: command.ownerId, basis: 'protection-lapsed', reason: null, lapse } }, context)
}

/** Warns the owner of a lapse: once for each period, and never when it is over. */
export const warn = (state: Customer, command: PeriodWithFacts, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const warnDays = context.organisation.policies.ownership.value.protection?.warnDays ?? null
  const period = asMeant(state, command, context)
  if (!period || warnDays === null || state.protection.warnedSince === period.since || period.lapsesAt <= context.now) return noChange
  const due = after(period.lapsesAt, -warnDays)
  if (due > context.now) return notDue(due)
  return accept({ type: 'ProtectionLapseWarned', data: { ownerId: command.ownerId, protectedSince: period.since, lapsesAt: period.lapsesAt } }, context)
}

const inThePool = reject('not-owned', 'The customer is in the public pool: there is nothing to protect.')
const said = (customerId: string, reason: string) => personal(subject(customerId), reason)

/** Begins the period of the present owner anew. */
export const renew = (state: Customer, command: z.infer<typeof RenewProtection>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  if (state.protection.renewedBy === context.commandId) return noChange
  const ownerId = ownerOf(state)
  if (ownerId === null) return inThePool
  return accept({ type: 'ProtectionRenewed', data: { ownerId, reason: said(command.customerId, command.reason) } }, context)
}

/** Keeps a customer from lapsing, whoever holds it, until a time or until it is unlocked. */
export const lock = (state: Customer, command: z.infer<typeof LockProtection>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const until = command.until ?? null
  if (state.protection.lock !== null && state.protection.lock.until === until) return noChange
  if (ownerOf(state) === null) return inThePool
  if (until !== null && until <= context.now) return reject('time-passed', 'The lock would be over already.', { errors: [{ path: 'until', message: 'must be in the future' }] })
  return accept({ type: 'ProtectionLocked', data: { until, reason: said(command.customerId, command.reason) } }, context)
}

export const unlock = (state: Customer, command: z.infer<typeof UnlockProtection>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  if (state.protection.lock === null) return noChange
  return accept({ type: 'ProtectionUnlocked', data: { reason: said(command.customerId, command.reason) } }, context)
}
