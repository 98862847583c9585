import { describe, expect, it, test } from 'vitest'
import { refusalFor, refusalThen, rolesWith, type Right } from '../../src/commands/rights.ts'
import { registry } from '../../src/commands/registry.ts'
import { customer, type Customer } from '../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../src/domain/customer/events.ts'
import type { Caller, Role } from '../../src/domain/decider.ts'
import { claimed, created, departed, fenced, fold, on, organisation, recorded, released, shared, transferred, unshared, withDepartment, withEmployee } from '../support/given.ts'

/*
 * Who may what, by hand from the issue. The caller is of shenzhen, which lies below head-office, above nanshan, and
 * beside guangzhou. enter and claim are for any customer; work, hold and direct depend on whose it is.
 */
const anyone: Right[] = ['enter', 'claim']
const overCustomers: Right[] = ['work', 'hold', 'direct']
const roles: Role[] = ['clerk', 'manager', 'system', 'admin', 'auditor', 'analyst']

const staffed = withDepartment('above', null, withDepartment('head-office', 'above', withEmployee('peer', 'shenzhen', withEmployee('caller', 'shenzhen'))))
const of = (...past: CustomerEvent[]): Customer => fold(customer, past.map(recorded))
const ownedBy = (owner: string, ...more: CustomerEvent[]) => of(created({ enteredBy: owner }), claimed(owner, { basis: 'first-entry' }), ...more)

type Row = { relation: string; customer: Customer; clerk: Right[]; manager: Right[] }
const table: Row[] = [
  { relation: 'their own', customer: ownedBy('caller'), clerk: ['work', 'hold'], manager: ['work', 'hold', 'direct'] },
  { relation: 'their own since a transfer', customer: ownedBy('rival', transferred('rival', 'caller')), clerk: ['work', 'hold'], manager: ['work', 'hold', 'direct'] },
  { relation: 'a stranger\'s, shared with them for work', customer: ownedBy('rival', shared('employee', 'caller', 'work')), clerk: ['work'], manager: ['work'] },
  { relation: 'a stranger\'s, shared for work with their department', customer: ownedBy('rival', shared('department', 'shenzhen', 'work')), clerk: ['work'], manager: ['work'] },
  { relation: 'a stranger\'s, shared for work with a department above theirs', customer: ownedBy('rival', shared('department', 'head-office', 'work')), clerk: ['work'], manager: ['work'] },
  { relation: 'a stranger\'s, shared for work with a department below theirs', customer: ownedBy('rival', shared('department', 'nanshan', 'work')), clerk: [], manager: [] },
  { relation: 'a stranger\'s, shared for work with a department beside theirs', customer: ownedBy('rival', shared('department', 'guangzhou', 'work')), clerk: [], manager: [] },
  { relation: 'a stranger\'s, shared for work with somebody else', customer: ownedBy('rival', shared('employee', 'peer', 'work')), clerk: [], manager: [] },
  { relation: 'a stranger\'s, shared with them to read', customer: ownedBy('rival', shared('employee', 'caller', 'read'), shared('department', 'shenzhen', 'read')), clerk: [], manager: [] },
  { relation: 'a stranger\'s, shared for work and then to read alone', customer: ownedBy('rival', shared('employee', 'caller', 'work'), shared('employee', 'caller', 'read')), clerk: [], manager: [] },
  { relation: 'a stranger\'s, the share revoked', customer: ownedBy('rival', shared('employee', 'caller', 'work'), unshared('employee', 'caller')), clerk: [], manager: [] },
  { relation: 'in the pool, shared with them for work, last a stranger\'s', customer: ownedBy('rival', shared('employee', 'caller', 'work'), released('rival')), clerk: ['work'], manager: ['work'] },
  { relation: 'a colleague\'s of their department', customer: ownedBy('peer'), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'of a department below theirs', customer: ownedBy('clerk'), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'of somebody departed from a department below theirs', customer: ownedBy('gone'), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'of a department above theirs', customer: ownedBy('chief'), clerk: [], manager: [] },
  { relation: 'of a department beside theirs', customer: ownedBy('rival'), clerk: [], manager: [] },
  { relation: 'a stranger\'s, entered and once owned by them', customer: of(created({ enteredBy: 'caller' }), claimed('caller'), transferred('caller', 'rival')), clerk: [], manager: [] },
  { relation: 'theirs only for a time in the past, entered late', customer: ownedBy('rival', released('rival', null), claimed('rival'), claimed('caller', { effectiveAt: '2026-03-03T12:00:00.000Z' })), clerk: [], manager: [] },
  { relation: 'in the pool, last their own', customer: ownedBy('caller', released('caller')), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'in the pool, last of a department below theirs', customer: ownedBy('colleague', released('colleague')), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'in the pool, last of a department beside theirs, entered by them', customer: of(created({ enteredBy: 'caller' }), claimed('rival'), released('rival')), clerk: [], manager: [] },
  { relation: 'in the pool, never owned, entered by them', customer: of(created({ enteredBy: 'caller' })), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'in the pool, never owned, entered below them', customer: of(created({ enteredBy: 'clerk' })), clerk: [], manager: ['work', 'hold', 'direct'] },
  { relation: 'in the pool, never owned, entered beside them', customer: of(created({ enteredBy: 'rival' })), clerk: [], manager: [] },
  { relation: 'in the pool, never owned, entered by nobody', customer: of(created({ enteredBy: null })), clerk: [], manager: [] },
  { relation: 'in the pool, never owned, entered by somebody from elsewhere', customer: of(created({ enteredBy: 'never-heard-of' })), clerk: [], manager: [] },
]

const callerIn = (role: Role): Caller => ({ actor: role === 'system' ? 'importer' : 'caller', role, employeeId: role === 'system' ? null : 'caller', onBehalfOf: null })
const may = (right: Right, caller: Caller, one: Customer, among = staffed) => rolesWith[right].includes(caller.role) && refusalFor(right, caller, one, among) === undefined
const permitted = (caller: Caller, one: Customer, among = staffed) => [...anyone, ...overCustomers].filter((right) => may(right, caller, one, among))

describe.each(table)('a customer that is $relation', ({ customer: one, clerk, manager }) => {
  const expected: Record<string, Right[]> = { clerk: [...anyone, ...clerk], manager: [...anyone, ...manager], system: [...anyone, ...overCustomers] }
  it.each(roles)('%s', (role) => {
    expect(permitted(callerIn(role), one)).toEqual(expected[role] ?? [])
    expect(may('configure', callerIn(role), one)).toBe(role === 'admin')
  })
})

test('a refusal names the owner, or says that the customer is in the pool', () => {
  expect(refusalFor('work', callerIn('clerk'), ownedBy('rival'), staffed)).toMatchObject({ rejected: 'not-permitted', detail: 'The customer is owned by another employee.', extensions: { ownerId: 'rival' } })
  expect(refusalFor('work', callerIn('clerk'), of(created()), staffed)).toMatchObject({ rejected: 'not-permitted', detail: 'The customer is in the public pool: claim it first.', extensions: { ownerId: null } })
})

test('of a customer that was never entered nothing is refused here: whether it is there is decided first', () => {
  for (const right of overCustomers) for (const nobody of [of(), of(fenced())]) expect(refusalFor(right, callerIn('clerk'), nobody, staffed)).toBeUndefined()
})

test('a system acting for an employee may do what a system may', () => {
  expect(permitted({ actor: 'importer', role: 'system', employeeId: 'caller', onBehalfOf: 'caller' }, ownedBy('rival'))).toEqual([...anyone, ...overCustomers])
})

test('a department that moves takes its customers along, and a departure does not move them', () => {
  expect(permitted(callerIn('manager'), ownedBy('clerk'), withDepartment('nanshan', 'guangzhou', staffed))).toEqual(anyone)
  expect(permitted(callerIn('manager'), ownedBy('peer'), departed('peer', staffed))).toEqual([...anyone, ...overCustomers])
})

test('a manager nobody knows is over nobody', () => {
  const stranger: Caller = { actor: 'stranger', role: 'manager', employeeId: 'stranger', onBehalfOf: null }
  expect(permitted(stranger, ownedBy('clerk'))).toEqual(anyone)
  expect(permitted({ ...stranger, employeeId: null }, of(created({ enteredBy: null })), organisation)).toEqual(anyone)
})

test('every command of the issue needs the right its line says', () => {
  const rights = Object.fromEntries(registry.map(({ name, right }) => [name, right]))
  expect(rights).toMatchObject({
    'create-customer': 'enter', 'claim-ownership': 'claim',
    'change-profile': 'work', 'add-contact': 'work', 'change-contact': 'work', 'remove-contact': 'work', 'add-identifier': 'work', 'change-identifier': 'work', 'release-identifier': 'work', 'change-stage': 'work', 'upgrade-tier': 'work',
    'transfer-ownership': 'hold', 'release-ownership': 'hold', 'share-customer': 'hold', 'revoke-share': 'hold',
    'recategorise-customer': 'direct', 'assign-ownership': 'direct', 'downgrade-tier': 'direct',
    'register-department': 'configure', 'move-department': 'configure', 'register-employee': 'configure', 'move-employee': 'configure', 'change-authority-limit': 'configure', 'depart-employee': 'configure',
    'define-category': 'configure', 'revise-category': 'configure', 'define-policy': 'configure', 'revise-policy': 'configure',
  })
})

test('holding a customer today gives no right over the time another held it', () => {
  const past = ownedBy('rival', transferred('rival', 'caller'))
  expect(refusalThen(callerIn('clerk'), past, on(2), staffed)).toMatchObject({ rejected: 'not-permitted', extensions: { ownerId: 'rival' } })
  expect(refusalThen(callerIn('manager'), past, on(2), staffed)).toMatchObject({ rejected: 'not-permitted' })
  expect(refusalThen(callerIn('clerk'), past, on(3), staffed)).toBeUndefined()
  expect(refusalThen(callerIn('clerk'), past, on(1), staffed)).toBeUndefined()
  expect(refusalThen(callerIn('system'), past, on(2), staffed)).toBeUndefined()
})
