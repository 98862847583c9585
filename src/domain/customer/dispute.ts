import { z } from 'zod'
import { noChange, type Context, type Decision } from '../decider.ts'
import { policyReference } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id } from '../values.ts'
import { ownerOf, type Customer } from './customer.ts'
import type { CustomerEvent } from './events.ts'

// Command.
export const SettleDispute = z.strictObject({ customerId: Id, reportId: z.uuid(), to: Id })

// Decision.
/** What an upheld report does to the record that was entered later: it goes to whom the earlier one belongs to, once for each report. Of one that was merged since, the merge has settled who owns it. */
export const settleDispute = (state: Customer, { reportId, to }: z.infer<typeof SettleDispute>, { organisation }: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return reject('customer-not-found', 'No customer has this id.')
  const from = ownerOf(state)
  if (state.disputes.has(reportId) || state.absorption !== null || from === to) return noChange
  if (organisation.employees.get(to)?.departed !== false) return reject('employee-departed', 'The employee whom the earlier record belongs to has departed since.')
  const settled = { ownerId: to, basis: 'dispute' as const, reason: null, reportId }
  return {
    events: [from === null ? { type: 'OwnershipAssigned', data: settled } : { type: 'OwnershipTransferred', data: { from, ...settled } }],
    policies: [policyReference(organisation, 'ownership'), policyReference(organisation, 'penalties')],
  }
}
