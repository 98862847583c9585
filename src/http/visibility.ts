import { problem } from '../commands/problem.ts'
import { isBelow, type Organisation } from '../domain/organisation/organisation.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerById } from '../projections/customer-lookup/queries.ts'
import { viewerOf } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'

export const noSuchCustomer = problem('not-found', 'No customer has this id.')

/** Only who sees a customer in full sees its history: its own, and of all it has absorbed. Answers whose records those are, its own first. */
export const requireFull = async ({ runtime, readModels }: Services, claims: Claims, customerId: string, after: bigint | undefined): Promise<string[]> => {
  const organisation = runtime.organisation.current()
  const { result } = await readModels.query(customerLookup, { after }, (db, schema) => customerById(db, schema, customerId, viewerOf(claims, runtime), organisation.policies.visibility.value.nameCharacters))
  if (!result) throw new ProblemError(noSuchCustomer)
  if (!result.full) throw new ProblemError(problem('read-not-permitted', 'This customer belongs to another department: its owner, and those it is shared with, see its history.', { extensions: { ownerId: result.ownerId } }))
  return [result.customerId, ...result.absorbed]
}

/** Whether the caller sees what is of a department: systems and auditors do, and managers of it and of those above. */
export const isOver = ({ role, employeeId }: Claims, departmentId: string | undefined, organisation: Organisation): boolean => {
  if (role === 'system' || role === 'auditor') return true
  const own = organisation.employees.get(employeeId ?? '')?.departmentId
  return role === 'manager' && own !== undefined && departmentId !== undefined && isBelow(organisation, departmentId, own)
}
