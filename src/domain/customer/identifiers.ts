import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { reject } from '../rejection.ts'
import { Id, Reason } from '../values.ts'
import type { Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { Identifier } from './identifier.ts'
import { checkIdentifiers, enteredFor, incomplete, notFound, type EnteredFor } from './profile.ts'

// Commands.
export const AddIdentifier = z.strictObject({ customerId: Id, identifier: Identifier })
export const ChangeIdentifier = z.strictObject({ customerId: Id, from: Identifier, to: Identifier, reason: Reason.optional() })
export const ReleaseIdentifier = z.strictObject({ customerId: Id, identifier: Identifier, reason: Reason })

/** One identifier in its normal form, or every fault, named by the path it was sent under. */
const check = (identifier: z.infer<typeof Identifier>, path: string, context: Context) => {
  const { held, problems } = checkIdentifiers([identifier], context)
  return { held: held[0], problems: problems.map((problem) => ({ ...problem, path: `${path}/value` })) }
}

// Decisions. Who else may hold the value is decided by its reservation, around these.
export const addIdentifier = (state: Customer, command: z.infer<typeof AddIdentifier> & EnteredFor, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { held, problems } = check(command.identifier, 'identifier', context)
  if (!held) return incomplete(problems)
  if (state.identifiers.has(held.identity)) return noChange
  return { events: [{ type: 'IdentifierAdded', data: { ...held, value: personal(subject(command.customerId), held.value), ...enteredFor(command) } }] }
}

export const changeIdentifier = (state: Customer, command: z.infer<typeof ChangeIdentifier>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const from = check(command.from, 'from', context)
  const to = check(command.to, 'to', context)
  if (!from.held || !to.held) return incomplete([...from.problems, ...to.problems])
  const hasOld = state.identifiers.has(from.held.identity)
  const hasNew = state.identifiers.has(to.held.identity)
  if (from.held.identity === to.held.identity ? hasOld : !hasOld && hasNew) return noChange
  if (!hasOld) return reject('identifier-not-held', 'The identifier to be changed is not held by this customer.')
  const of = subject(command.customerId)
  const added: CustomerEvent[] = hasNew ? [] : [{ type: 'IdentifierAdded', data: { ...to.held, value: personal(of, to.held.value) } }]
  return { events: [...added, { type: 'IdentifierReleased', data: { kind: from.held.kind, identity: from.held.identity, reason: command.reason === undefined ? null : personal(of, command.reason) } }] }
}

export const releaseIdentifier = (state: Customer, command: z.infer<typeof ReleaseIdentifier>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { held, problems } = check(command.identifier, 'identifier', context)
  if (!held) return incomplete(problems)
  if (!state.identifiers.has(held.identity)) return state.released.has(held.identity) ? noChange : reject('identifier-not-held', 'The identifier to be released is not held by this customer, and never was.')
  return { events: [{ type: 'IdentifierReleased', data: { kind: held.kind, identity: held.identity, reason: personal(subject(command.customerId), command.reason) } }] }
}
