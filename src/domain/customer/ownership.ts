import { z } from 'zod'
import { noChange, personal, type Accepted, type Context, type Decision, type Instant } from '../decider.ts'
import { policyReference } from '../organisation/organisation.ts'
import { reject, type Rejection } from '../rejection.ts'
import { Id, InstantInput, Reason } from '../values.ts'
import { ownershipAt, ownershipNow, type Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { listed, type OwnershipChange } from './ownership-changes.ts'
import { after } from './protection.ts'
import { recipientOf, sharedWith } from './shares.ts'

// Commands.
const effectiveAt = InstantInput.optional().describe('When it took effect, if earlier than now; it then counts up to the next change')
export const ClaimOwnership = z.strictObject({ customerId: Id, reason: Reason.optional(), effectiveAt })
export const AssignOwnership = z.strictObject({ customerId: Id, to: Id, reason: Reason.optional(), effectiveAt })
export const TransferOwnership = z.strictObject({ customerId: Id, to: Id, reason: Reason, effectiveAt })
export const ReleaseOwnership = z.strictObject({ customerId: Id, reason: Reason, effectiveAt })
const oneRecipient = (share: { employeeId?: string | undefined; departmentId?: string | undefined }) => (share.employeeId === undefined) !== (share.departmentId === undefined)
/** Asked whatever else is wrong: every fault is named at once. */
const isBody = ({ value }: { value: unknown }) => typeof value === 'object' && value !== null
const Recipient = { employeeId: Id.optional(), departmentId: Id.optional() }
export const ShareCustomer = z
  .strictObject({ customerId: Id, ...Recipient, access: z.enum(['read', 'work']), until: InstantInput.optional().describe('When it ends by itself; left out: when it is revoked'), reason: Reason.optional() })
  .refine(oneRecipient, { path: ['employeeId'], message: 'share with an employee or with a department: exactly one of the two', when: isBody })
export const RevokeShare = z
  .strictObject({ customerId: Id, ...Recipient, reason: Reason.optional() })
  .refine(oneRecipient, { path: ['employeeId'], message: 'name an employee or a department: exactly one of the two', when: isBody })

/** Why a change of owner may not take effect then; undefined when it may. */
export const checkEffectiveTime = (state: Customer, at: Instant | undefined, { now, organisation }: Context): Rejection | undefined => {
  if (at === undefined) return undefined
  const { backdatingDays } = organisation.policies.ownership.value
  const entered = listed(state.ownership)[0]?.at
  if (at > now) return reject('invalid-effective-time', 'effectiveAt lies in the future.', { errors: [{ path: 'effectiveAt', message: 'must not be in the future' }] })
  if (entered !== undefined && at < entered) return reject('invalid-effective-time', 'effectiveAt lies before the entry of the customer.', { errors: [{ path: 'effectiveAt', message: 'must not be before the customer was entered' }], extensions: { enteredAt: entered } })
  if (state.absences.some(({ from, to }) => from <= at && (to === null || at < to))) return reject('invalid-effective-time', 'At that time the customer was part of another.', { errors: [{ path: 'effectiveAt', message: 'must not be while it was merged into another' }] })
  if (Date.parse(now) - Date.parse(at) > backdatingDays * 86_400_000) return reject('invalid-effective-time', `The ownership policy allows at most ${backdatingDays} days back.`, { errors: [{ path: 'effectiveAt', message: `must not be more than ${backdatingDays} days ago` }] })
  return undefined
}

const notFound = reject('customer-not-found', 'No customer has this id.')
const free = (customerId: string, text: string | undefined) => (text === undefined ? null : personal(subject(customerId), text))

export const accept = (event: CustomerEvent, at: Instant | undefined, { organisation }: Context): Accepted<CustomerEvent> => ({
  events: [event],
  ...(at === undefined ? {} : { effectiveAt: at }),
  policies: [policyReference(organisation, 'ownership')],
})

/** The owner a change is checked against: at the time it takes effect. */
const holderAt = (state: Customer, at: Instant | undefined): OwnershipChange | undefined => (at === undefined ? ownershipNow(state) : ownershipAt(state, at))

const ownedBy = (holder: OwnershipChange): Rejection =>
  reject('already-owned', 'The customer is owned by another employee.', { extensions: { owner: { ownerId: holder.ownerId, since: holder.at } } })
const notOwned = (holder: OwnershipChange | undefined): Rejection =>
  reject('not-owned', 'The customer is in the public pool at that time.', { extensions: { since: holder?.at ?? null } })

/** Only an employee who is still here may come to own a customer. */
export const knownEmployee = (employeeId: string, { organisation }: Context, path = 'to'): Rejection | undefined => {
  const employee = organisation.employees.get(employeeId)
  if (!employee) return reject('unknown-reference', 'The employee does not exist.', { errors: [{ path, message: 'no employee has this id' }] })
  return employee.departed ? reject('employee-departed', 'The employee has departed and can own no customer.') : undefined
}

/** Who gave a customer up, or let it lapse, leaves it to the others for a while. */
const coolingOff = (state: Customer, ownerId: string, { now, organisation }: Context): Rejection | undefined => {
  const { coolOffDays } = organisation.policies.ownership.value.pool
  const { gaveUp } = state.protection
  const until = coolOffDays === null || gaveUp?.ownerId !== ownerId ? undefined : after(gaveUp.at, coolOffDays)
  return until !== undefined && until > now ? reject('cool-off', `Whoever held it last can claim it again from ${until}.`, { extensions: { until } }) : undefined
}

// Decisions.
export const claim = (state: Customer, command: z.infer<typeof ClaimOwnership>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const ownerId = context.caller.employeeId
  if (ownerId === null) return reject('on-behalf-of-required', 'A claim needs the employee who will own the customer.')
  const wrongTime = checkEffectiveTime(state, command.effectiveAt, context)
  if (wrongTime) return wrongTime
  const holder = holderAt(state, command.effectiveAt)
  if (holder?.ownerId === ownerId) return noChange
  if (holder && holder.ownerId !== null) return ownedBy(holder)
  const tooSoon = coolingOff(state, ownerId, context)
  if (tooSoon) return tooSoon
  return accept({ type: 'OwnershipClaimed', data: { ownerId, basis: 'claim', reason: free(command.customerId, command.reason) } }, command.effectiveAt, context)
}

export const assign = (state: Customer, command: z.infer<typeof AssignOwnership>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const wrong = knownEmployee(command.to, context) ?? checkEffectiveTime(state, command.effectiveAt, context)
  if (wrong) return wrong
  const holder = holderAt(state, command.effectiveAt)
  if (holder?.ownerId === command.to) return noChange
  if (holder && holder.ownerId !== null) return ownedBy(holder)
  return accept({ type: 'OwnershipAssigned', data: { ownerId: command.to, basis: 'assignment', reason: free(command.customerId, command.reason) } }, command.effectiveAt, context)
}

export const transfer = (state: Customer, command: z.infer<typeof TransferOwnership>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const wrong = knownEmployee(command.to, context) ?? checkEffectiveTime(state, command.effectiveAt, context)
  if (wrong) return wrong
  const holder = holderAt(state, command.effectiveAt)
  if (holder?.ownerId === command.to) return noChange
  if (!holder || holder.ownerId === null) return notOwned(holder)
  return accept({ type: 'OwnershipTransferred', data: { from: holder.ownerId, ownerId: command.to, basis: 'transfer', reason: free(command.customerId, command.reason) } }, command.effectiveAt, context)
}

export const release = (state: Customer, command: z.infer<typeof ReleaseOwnership>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const wrongTime = checkEffectiveTime(state, command.effectiveAt, context)
  if (wrongTime) return wrongTime
  const holder = holderAt(state, command.effectiveAt)
  if (!holder || holder.ownerId === null) return command.effectiveAt === undefined || holder?.at === command.effectiveAt ? noChange : notOwned(holder)
  return accept({ type: 'OwnershipReleased', data: { from: holder.ownerId, basis: 'voluntary-release', reason: free(command.customerId, command.reason) } }, command.effectiveAt, context)
}

export const share = (state: Customer, command: z.infer<typeof ShareCustomer>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const recipient = recipientOf(command)
  const unknown = recipient.kind === 'employee'
    ? knownEmployee(recipient.id, context, 'employeeId')
    : context.organisation.departments.has(recipient.id) ? undefined : reject('unknown-reference', 'The department does not exist.', { errors: [{ path: 'departmentId', message: 'no department has this id' }] })
  if (unknown) return unknown
  const { access, until } = command
  const held = sharedWith(state, recipient)
  if (held?.access === access && held.until === (until ?? null)) return noChange
  if (until !== undefined && until <= context.now) return reject('time-passed', 'The share would be over already.', { errors: [{ path: 'until', message: 'must be in the future' }] })
  return accept({ type: 'CustomerShared', data: { with: recipient, access, reason: free(command.customerId, command.reason), ...(until === undefined ? {} : { until }) } }, undefined, context)
}

export const revokeShare = (state: Customer, command: z.infer<typeof RevokeShare>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const recipient = recipientOf(command)
  if (!sharedWith(state, recipient)) return noChange
  return accept({ type: 'ShareRevoked', data: { with: recipient, reason: free(command.customerId, command.reason) } }, undefined, context)
}
