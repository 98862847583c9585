import { z } from 'zod'
import { eventParser, noChange, personal, Personal, reveal, type Context, type Decider, type Decision, type EventOf } from '../decider.ts'
import { ruleFaults } from '../handover/recipients.ts'
import { HandoverRule } from '../policy/kinds.ts'
import { reject } from '../rejection.ts'
import { Id, Money, Name, Reason, sameValue } from '../values.ts'

export const streamName = (employeeId: string): string => `employee-${employeeId}`
/** The data subject under whose key an employee's name and the free text about them are sealed. */
export const subject = (employeeId: string): string => `employee-${employeeId}`

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  EmployeeRegistered: z.object({ name: Personal(z.string()), departmentId: z.string(), authorityLimit: Money.nullable() }),
  EmployeeMoved: z.object({ from: z.string(), to: z.string() }),
  /** Up to this sum the employee may settle a complaint alone; null: as far as the level of the complaint allows. */
  AuthorityLimitChanged: z.object({ from: Money.nullable(), to: Money.nullable() }),
  /** `handover`: by which rule the customers are handed over; absent: by that of the ownership policy. */
  EmployeeDeparted: z.object({ reason: Personal(z.string()), handover: HandoverRule.optional() }),
}
export type EmployeeEvent = EventOf<typeof events>

// State: only what decisions need.
export type Employee =
  | { status: 'none' }
  | { status: 'active' | 'departed'; name: string | undefined; departmentId: string; authorityLimit: Money | null }

export const employee: Decider<Employee, EmployeeEvent> = {
  kind: 'employee',
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (state, event) => {
    if (event.type === 'EmployeeRegistered') return { status: 'active', name: reveal(event.data.name), departmentId: event.data.departmentId, authorityLimit: event.data.authorityLimit }
    if (state.status === 'none') return state
    switch (event.type) {
      case 'EmployeeMoved':
        return { ...state, departmentId: event.data.to }
      case 'AuthorityLimitChanged':
        return { ...state, authorityLimit: event.data.to }
      case 'EmployeeDeparted':
        return { ...state, status: 'departed' }
    }
  },
}

// Commands.
export const RegisterEmployee = z.strictObject({ employeeId: Id.optional(), name: Name, departmentId: Id, authorityLimit: Money.nullable().default(null) })
export const MoveEmployee = z.strictObject({ employeeId: Id, departmentId: Id })
export const ChangeAuthorityLimit = z.strictObject({ employeeId: Id, authorityLimit: Money.nullable() })
export const DepartEmployee = z.strictObject({ employeeId: Id, reason: Reason, handover: HandoverRule.optional().describe('Who takes over the customers; the ownership policy says, unless told') })

// Decisions.
const knownDepartment = (departmentId: string, { organisation }: Context) =>
  organisation.departments.has(departmentId) ? undefined : reject('unknown-reference', 'The department does not exist.', { errors: [{ path: 'departmentId', message: 'no department has this id' }] })

export const register = (state: Employee, command: z.infer<typeof RegisterEmployee>, context: Context): Decision<EmployeeEvent> => {
  const { name, departmentId, authorityLimit } = command
  if (state.status !== 'none') {
    const same = state.status === 'active' && state.name === name && state.departmentId === departmentId && sameValue(state.authorityLimit, authorityLimit)
    return same ? noChange : reject('employee-exists', 'An employee with this id was registered before, with other particulars.')
  }
  // Registered without an id of the caller's, the id is the one derived from the command.
  const employeeId = command.employeeId ?? context.newId('employee')
  return knownDepartment(departmentId, context) ?? { events: [{ type: 'EmployeeRegistered', data: { name: personal(subject(employeeId), name), departmentId, authorityLimit } }] }
}

export const move = (state: Employee, command: z.infer<typeof MoveEmployee>, context: Context): Decision<EmployeeEvent> => {
  if (state.status === 'none') return reject('employee-not-found', 'No employee has this id.')
  if (state.status === 'departed') return reject('employee-departed', 'The employee has departed and belongs to no department any more.')
  if (state.departmentId === command.departmentId) return noChange
  return knownDepartment(command.departmentId, context) ?? { events: [{ type: 'EmployeeMoved', data: { from: state.departmentId, to: command.departmentId } }] }
}

export const changeAuthorityLimit = (state: Employee, command: z.infer<typeof ChangeAuthorityLimit>): Decision<EmployeeEvent> => {
  if (state.status === 'none') return reject('employee-not-found', 'No employee has this id.')
  if (state.status === 'departed') return reject('employee-departed', 'The employee has departed and decides nothing any more.')
  if (sameValue(state.authorityLimit, command.authorityLimit)) return noChange
  return { events: [{ type: 'AuthorityLimitChanged', data: { from: state.authorityLimit, to: command.authorityLimit } }] }
}

export const depart = (state: Employee, command: z.infer<typeof DepartEmployee>, { organisation }: Context): Decision<EmployeeEvent> => {
  if (state.status === 'none') return reject('employee-not-found', 'No employee has this id.')
  if (state.status === 'departed') return noChange
  const { employeeId, handover } = command
  const errors = handover ? ruleFaults(organisation, employeeId, handover) : []
  if (errors.length > 0) return reject('unknown-reference', 'Who is to take over is not there.', { errors })
  return { events: [{ type: 'EmployeeDeparted', data: { reason: personal(subject(employeeId), command.reason), ...(handover ? { handover } : {}) } }] }
}
