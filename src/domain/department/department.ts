import { z } from 'zod'
import { eventParser, noChange, type Context, type Decider, type Decision, type EventOf } from '../decider.ts'
import { isBelow } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id, Name } from '../values.ts'

export const streamName = (departmentId: string): string => `department-${departmentId}`

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  DepartmentRegistered: z.object({ name: z.string(), parentId: z.string().nullable() }),
  DepartmentMoved: z.object({ from: z.string().nullable(), to: z.string().nullable() }),
}
export type DepartmentEvent = EventOf<typeof events>

// State: only what decisions need.
export type Department = { status: 'none' } | { status: 'registered'; name: string; parentId: string | null }

export const department: Decider<Department, DepartmentEvent> = {
  kind: 'department',
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (state, event) => {
    switch (event.type) {
      case 'DepartmentRegistered':
        return { status: 'registered', name: event.data.name, parentId: event.data.parentId }
      case 'DepartmentMoved':
        return state.status === 'none' ? state : { ...state, parentId: event.data.to }
    }
  },
}

// Commands.
export const RegisterDepartment = z.strictObject({ departmentId: Id.optional(), name: Name, parentId: Id.nullable().default(null) })
export const MoveDepartment = z.strictObject({ departmentId: Id, parentId: Id.nullable() })

// Decisions.
const knownParent = (parentId: string | null, { organisation }: Context) =>
  parentId === null || organisation.departments.has(parentId) ? undefined : reject('unknown-reference', 'The parent department does not exist.', { errors: [{ path: 'parentId', message: 'no department has this id' }] })

export const register = (state: Department, command: z.infer<typeof RegisterDepartment>, context: Context): Decision<DepartmentEvent> => {
  const { name, parentId } = command
  if (state.status !== 'none') {
    return state.name === name && state.parentId === parentId ? noChange : reject('department-exists', 'A department with this id was registered before, with another name or place.')
  }
  return knownParent(parentId, context) ?? { events: [{ type: 'DepartmentRegistered', data: { name, parentId } }] }
}

export const move = (state: Department, command: z.infer<typeof MoveDepartment>, context: Context): Decision<DepartmentEvent> => {
  const { departmentId, parentId } = command
  if (state.status === 'none') return reject('department-not-found', 'No department has this id.')
  if (state.parentId === parentId) return noChange
  const unknown = knownParent(parentId, context)
  if (unknown) return unknown
  if (parentId !== null && isBelow(context.organisation, parentId, departmentId)) return reject('department-cycle', 'The new parent is this department or lies below it.')
  return { events: [{ type: 'DepartmentMoved', data: { from: state.parentId, to: parentId } }] }
}
