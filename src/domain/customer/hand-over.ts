import { z } from 'zod'
import { noChange, type Context, type Decision } from '../decider.ts'
import { Id } from '../values.ts'
import { ownershipNow, type Customer } from './customer.ts'
import type { CustomerEvent } from './events.ts'
import { accept, knownEmployee } from './ownership.ts'
import { notFound } from './profile.ts'

/** Sent by Kehu for each customer of a handover, to an employee or (null) to the pool. */
export const HandOverCustomer = z.strictObject({
  customerId: Id,
  handoverId: Id,
  from: Id,
  to: Id.nullable(),
  basis: z.enum(['departure', 'transfer']),
  heldSince: z.int().min(0).optional().describe('Revision by which `from` came to hold it: a holding begun later is not meant'),
})

/** Only what `from` still holds is handed over; an absorbed customer goes with the one it is part of. */
export const handOver = (state: Customer, command: z.infer<typeof HandOverCustomer>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { handoverId, from, to, basis, heldSince } = command
  const holding = ownershipNow(state)
  if (state.absorption !== null || holding?.ownerId !== from || from === to) return noChange
  if (heldSince !== undefined && holding.revision > heldSince) return noChange
  if (to === null) return accept({ type: 'OwnershipReleased', data: { from, basis, reason: null, handoverId } }, undefined, context)
  return knownEmployee(to, context) ?? accept({ type: 'OwnershipTransferred', data: { from, ownerId: to, basis, reason: null, handoverId } }, undefined, context)
}
