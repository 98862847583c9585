import { v7 as uuidv7 } from 'uuid'
import type { Caller, Context } from '../domain/decider.ts'
import { reject, type Rejection, type RejectionName } from '../domain/rejection.ts'
import { holderAsOne } from './group.ts'
import type { Answer, Envelope } from './handle.ts'
import { commandIdOf } from './keyed-hash.ts'
import { problem, problemName } from './problem.ts'
import type { Holder } from './reservation.ts'
import type { Runtime } from './runtime.ts'

/** Refusals that leave the key free and are on record all the same: somebody tried what the rules do not let them have. */
export const onRecord: ReadonlySet<RejectionName> = new Set(['near-duplicate', 'capacity-reached', 'quota-reached'])

export const contention = problem('contention', 'Others changed the same thing at every attempt. Nothing was changed.')

/** `identity`: the one that is held; its kind is told, and what of that kind was sent the caller knows. */
export const duplicate = async (runtime: Runtime, holder: Holder, identity: string): Promise<Rejection> => {
  const kind = identity.replace(/-v\d+-.*$/, '')
  return reject('duplicate-customer', `An identifier in this command (${kind}) is held by another customer.`, { extensions: { identifierKind: kind, holder: await holderAsOne(runtime, holder) } })
}

/** The refusal where whom a system says it acts for is not here, or is no more. */
export const unknownBehalf = (caller: Caller, organisation: Context['organisation']): Rejection | undefined => {
  if (caller.onBehalfOf === null) return undefined
  const employee = organisation.employees.get(caller.onBehalfOf)
  if (!employee) return reject('unknown-reference', 'The employee acted for does not exist.', { errors: [{ path: 'On-Behalf-Of', message: 'no employee has this id' }] })
  return employee.departed ? reject('employee-departed', 'The employee acted for has departed.') : undefined
}

/** The refusal of a role that may not send a command at all, whatever it says: on record, and without a receipt. */
export const refuseRole = async (runtime: Runtime, command: string, detail: string, { caller, key, dryRun = false }: Envelope): Promise<Answer> => {
  const commandId = key === undefined || dryRun ? uuidv7() : commandIdOf(caller.actor, command, key)
  const refused = problem('role-not-permitted', detail)
  if (!dryRun) {
    await runtime.store.receipts.recordAttempt({
      attemptId: uuidv7(), at: runtime.now().toISOString(), actor: caller.actor, onBehalfOf: caller.onBehalfOf, role: caller.role,
      command, commandId, problem: problemName(refused), stream: null, ranInto: {},
    })
  }
  return { status: refused.status, body: refused, commandId }
}
