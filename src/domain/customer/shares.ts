import { z } from 'zod'
import { noChange, type Context, type Decision, type Instant } from '../decider.ts'
import { isBelow, type Organisation } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id, InstantInput } from '../values.ts'
import type { Customer } from './customer.ts'
import type { CustomerEvent, SharedWith } from './events.ts'

/** Shares 共享 that end: from that instant on they count for nothing, whether or not their end is on record yet. */
const isOver = ({ until }: { until: Instant | null }, now: Instant): boolean => until !== null && until <= now

/** A customer with those shares only that are in force. */
export const withSharesAt = (customer: Customer, now: Instant): Customer =>
  customer.shares.some((share) => isOver(share, now)) ? { ...customer, shares: customer.shares.filter((share) => !isOver(share, now)) } : customer

/** Whether an employee may work a customer because it is shared with them, or with a department they belong to. */
export const sharedForWork = (employeeId: string, { shares }: Pick<Customer, 'shares'>, organisation: Organisation): boolean => {
  const mine = organisation.employees.get(employeeId)?.departmentId
  return shares.some((share) => share.access === 'work' && (share.with.kind === 'employee' ? share.with.id === employeeId : mine !== undefined && isBelow(organisation, mine, share.with.id)))
}

export const recipientOf = (command: { employeeId?: string | undefined; departmentId?: string | undefined }): SharedWith =>
  command.employeeId !== undefined ? { kind: 'employee', id: command.employeeId } : { kind: 'department', id: command.departmentId ?? '' }

export const sharedWith = ({ shares }: Pick<Customer, 'shares'>, recipient: SharedWith) => shares.find((one) => one.with.kind === recipient.kind && one.with.id === recipient.id)

// Command.
export const EndShare = z.strictObject({ customerId: Id, employeeId: Id.optional(), departmentId: Id.optional(), until: InstantInput })

/** Puts the end of a share on record. One that was changed since is another share. */
export const endShare = (state: Customer, command: z.infer<typeof EndShare>, { now }: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return reject('customer-not-found', 'No customer has this id.')
  const recipient = recipientOf(command)
  const share = sharedWith(state, recipient)
  if (share?.until !== command.until) return noChange
  if (!isOver(share, now)) return reject('not-due', `It is due at ${command.until}.`, { extensions: { due: command.until } })
  return { events: [{ type: 'ShareRevoked', data: { with: recipient, reason: null, cause: 'ended' } }] }
}
