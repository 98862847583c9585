import type { Complaint } from '../domain/complaint/complaint.ts'
import { ownerOf, ownershipAt, responsibleFor, type Customer } from '../domain/customer/customer.ts'
import type { Caller, Instant, Role } from '../domain/decider.ts'
import { sharedForWork } from '../domain/customer/shares.ts'
import { isBelow, type Organisation } from '../domain/organisation/organisation.ts'
import type { RecordReport } from '../domain/record-report/record-report.ts'
import { reject, type Rejection } from '../domain/rejection.ts'

/**
 * What a command needs. enter, claim: any customer. work: change a customer one owns or that is shared for work.
 * hold: decide over one's own customer. direct: decide over the customers of one's departments. configure: the
 * organisation itself. lodge: a complaint of anyone. handle: a complaint one handles. record: what happened with a
 * customer; from outside for any, else as work. judge: whether two customers are one; opening a case is for anyone, the
 * judgement for who works either. report: any record. rule: over a report, for managers over the department of the record
 * who are no party to it. keep-time: what deadlines and facts do by themselves.
 */
export type Right = 'enter' | 'claim' | 'work' | 'hold' | 'direct' | 'configure' | 'lodge' | 'handle' | 'record' | 'judge' | 'report' | 'rule' | 'keep-time'

/** Rights that depend on whose customer it is. */
const overCustomers: ReadonlySet<Right> = new Set(['work', 'hold', 'direct'])

/** Roles that have a right at all. Whether over this customer, `permits` tells. */
export const rolesWith: Record<Right, readonly Role[]> = {
  enter: ['clerk', 'manager', 'system'],
  claim: ['clerk', 'manager', 'system'],
  work: ['clerk', 'manager', 'system'],
  hold: ['clerk', 'manager', 'system'],
  direct: ['manager', 'system'],
  configure: ['admin'],
  lodge: ['clerk', 'manager', 'system'],
  handle: ['clerk', 'manager', 'system'],
  record: ['clerk', 'manager', 'system'],
  judge: ['clerk', 'manager', 'system'],
  report: ['clerk', 'manager', 'system'],
  rule: ['manager', 'system'],
  'keep-time': ['system'],
}

/** Whether the customer belongs to the caller's department or one below it. */
export const inDepartmentsOf = (employeeId: string, responsible: string | null, organisation: Organisation): boolean => {
  const mine = organisation.employees.get(employeeId)?.departmentId
  const theirs = responsible === null ? undefined : organisation.employees.get(responsible)?.departmentId
  return mine !== undefined && theirs !== undefined && isBelow(organisation, theirs, mine)
}

/** The refusal for a caller who may not do this to this customer, whose shares are those in force; undefined for one who may. */
export const refusalFor = (right: Right, caller: Caller, customer: Customer, organisation: Organisation): Rejection | undefined => {
  if (!overCustomers.has(right) || caller.role === 'system' || customer.status === 'none') return undefined
  const { employeeId } = caller
  const ownerId = ownerOf(customer)
  if (employeeId !== null) {
    if (right !== 'direct' && ownerId === employeeId) return undefined
    if (right === 'work' && sharedForWork(employeeId, customer, organisation)) return undefined
    if (caller.role === 'manager' && inDepartmentsOf(employeeId, responsibleFor(customer), organisation)) return undefined
  }
  return reject('not-permitted', ownerId === null ? 'The customer is in the public pool: claim it first.' : 'The customer is owned by another employee.', { extensions: { ownerId } })
}

/**
 * The refusal for a change that takes effect earlier, when somebody else owned the customer: holding it today gives
 * no right over another's past.
 */
export const refusalThen = (caller: Caller, customer: Customer, at: Instant, organisation: Organisation): Rejection | undefined =>
  refusalOver(caller, ownershipAt(customer, at)?.ownerId ?? null, organisation)

/** The same for what an employee held. */
export const refusalOver = (caller: Caller, ownerId: string | null, organisation: Organisation): Rejection | undefined => {
  const { employeeId, role } = caller
  if (role === 'system' || ownerId === null || ownerId === employeeId) return undefined
  if (role === 'manager' && employeeId !== null && inDepartmentsOf(employeeId, ownerId, organisation)) return undefined
  return reject('not-permitted', 'The customer was owned by another employee at that time.', { extensions: { ownerId } })
}

/** What is decided over an employee is decided by managers of their department and above. */
export const refusalOverEmployee = (caller: Caller, employeeId: string, organisation: Organisation): Rejection | undefined => {
  if (caller.role === 'system' || !organisation.employees.has(employeeId)) return undefined
  if (caller.employeeId !== null && inDepartmentsOf(caller.employeeId, employeeId, organisation)) return undefined
  return reject('not-permitted', 'The employee belongs to a department that is not yours.')
}

/** A complaint is worked by its handler, by the role of its level, and by managers over the handler's department. */
export const refusalToHandle = (caller: Caller, complaint: Complaint, organisation: Organisation): Rejection | undefined => {
  if (complaint.status === 'none' || caller.role === 'system' || caller.role === complaint.role || caller.employeeId === complaint.handlerId) return undefined
  if (caller.role === 'manager' && caller.employeeId !== null && inDepartmentsOf(caller.employeeId, complaint.handlerId, organisation)) return undefined
  return reject('not-permitted', `The complaint stands at level ${complaint.level}: its handler and the role ${complaint.role} work it.`, { extensions: { handlerId: complaint.handlerId, role: complaint.role } })
}

/** Whether two customers are one is judged by those who work either of them. */
export const refusalToJudge = (caller: Caller, customers: readonly (Customer | null)[], organisation: Organisation): Rejection | undefined => {
  const refusals = customers.map((customer) => customer && refusalFor('work', caller, customer, organisation))
  return refusals.every((refusal) => refusal) ? (refusals[0] ?? undefined) : undefined
}

/**
 * A report is ruled on by a manager over the department of the record, or one above; of a record of no department by any. A
 * system names who ruled. Whoever is answerable, or reported it, does not; nor, where ownership is asked for, who would lose or gain it.
 */
export const refusalToRule = (caller: Caller, report: RecordReport, [record = null, earlier = null]: readonly (Customer | null)[], moveOwnership: boolean, organisation: Organisation): Rejection | undefined => {
  if (report.status === 'none') return undefined
  const { employeeId } = caller
  if (employeeId === null) return reject('on-behalf-of-required', 'A report is ruled on by somebody: name the employee who did.')
  const responsible = record && responsibleFor(record)
  const departmentOf = (id: string | null) => (id === null ? undefined : organisation.employees.get(id)?.departmentId)
  if (departmentOf(responsible) !== undefined && !inDepartmentsOf(employeeId, responsible, organisation)) {
    return reject('not-permitted', 'The record belongs to another department: managers over it, and those above, rule on the report.', { extensions: { departmentId: departmentOf(responsible) ?? null } })
  }
  const parties = [report.against, report.reporterId, ...(moveOwnership ? [record, earlier].map((customer) => customer && ownerOf(customer)) : [])]
  return parties.includes(employeeId) ? reject('judge-is-party', 'Whoever is reported, reports, or would lose or gain the customer does not rule on it.') : undefined
}
