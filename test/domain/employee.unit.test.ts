import { describe, expect, test } from 'vitest'
import { personal } from '../../src/domain/decider.ts'
import { changeAuthorityLimit, ChangeAuthorityLimit, depart, DepartEmployee, employee, move, register, RegisterEmployee, type EmployeeEvent } from '../../src/domain/employee/employee.ts'
import { byAdmin, given, person, refusedAt } from '../support/given.ts'

const yuan = (amount: number) => ({ amount: amount * 100, currency: 'CNY' })
const about = <T>(value: T, id = 'e') => personal(`employee-${id}`, value)
const registered = (more: Partial<Extract<EmployeeEvent, { type: 'EmployeeRegistered' }>['data']> = {}): EmployeeEvent => ({ type: 'EmployeeRegistered', data: { name: about(person.employee), departmentId: 'nanshan', authorityLimit: null, ...more } })
const moved = (from: string, to: string): EmployeeEvent => ({ type: 'EmployeeMoved', data: { from, to } })
const left = { type: 'EmployeeDeparted', data: { reason: about(person.said) } } as const
const registering = (more: object = {}) => RegisterEmployee.parse({ employeeId: 'e', name: person.employee, departmentId: 'nanshan', ...more })
const unknown = { rejected: 'employee-not-found' } as const
const departed = { rejected: 'employee-departed' } as const

describe('registering an employee', () => {
  test('in a department, with a limit of authority or none; the name is sealed under a key of their own', () => {
    given(employee, []).when(register, registering(), byAdmin()).then([registered()])
    given(employee, []).when(register, registering({ authorityLimit: yuan(500) }), byAdmin()).then([registered({ authorityLimit: yuan(500) })])
    given(employee, []).when(register, registering({ employeeId: undefined }), byAdmin()).then([registered({ name: about(person.employee, 'this-command-employee') })])
  })
  test('in a department nobody knows is refused', () => {
    given(employee, []).when(register, registering({ departmentId: 'nowhere' }), byAdmin()).then(refusedAt('unknown-reference', 'departmentId'))
  })
  test('again with the same particulars changes nothing; with others, or after a departure, the id is taken', () => {
    given(employee, [registered({ authorityLimit: yuan(1) })]).when(register, registering({ authorityLimit: yuan(1) }), byAdmin()).then([])
    for (const other of [{ name: person.newName }, { departmentId: 'shenzhen' }, { authorityLimit: yuan(1) }]) given(employee, [registered()]).when(register, registering(other), byAdmin()).then({ rejected: 'employee-exists' })
    given(employee, [registered(), left]).when(register, registering(), byAdmin()).then({ rejected: 'employee-exists' })
    given(employee, [registered({ name: { erased: true } })]).when(register, registering(), byAdmin()).then({ rejected: 'employee-exists' })
  })
  test('takes a limit in whole fen of a currency', () => {
    for (const authorityLimit of [500, { amount: 0.5, currency: 'CNY' }, { amount: 5, currency: 'yuan' }]) expect(RegisterEmployee.safeParse({ ...registering(), authorityLimit }).success).toBe(false)
  })
})

describe('moving an employee', () => {
  const to = (departmentId: string) => ({ employeeId: 'e', departmentId })
  test('to another department', () => {
    given(employee, [registered()]).when(move, to('guangzhou'), byAdmin()).then([moved('nanshan', 'guangzhou')])
    given(employee, [registered(), moved('nanshan', 'guangzhou')]).when(move, to('nanshan'), byAdmin()).then([moved('guangzhou', 'nanshan')])
  })
  test('to where they are changes nothing', () => {
    given(employee, [registered(), moved('nanshan', 'guangzhou')]).when(move, to('guangzhou'), byAdmin()).then([])
  })
  test('who is unknown or departed, or to where nobody knows, is refused', () => {
    given(employee, []).when(move, to('guangzhou'), byAdmin()).then(unknown)
    given(employee, [registered(), left]).when(move, to('nanshan'), byAdmin()).then(departed)
    given(employee, [registered()]).when(move, to('nowhere'), byAdmin()).then(refusedAt('unknown-reference', 'departmentId'))
  })
})

describe('changing a limit of authority', () => {
  const changed = (from: ReturnType<typeof yuan> | null, to: ReturnType<typeof yuan> | null): EmployeeEvent => ({ type: 'AuthorityLimitChanged', data: { from, to } })
  test('raises, lowers or ends it, telling what it was', () => {
    given(employee, [registered()]).when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: yuan(500) }, byAdmin()).then([changed(null, yuan(500))])
    const limited = given(employee, [registered({ authorityLimit: yuan(500) })])
    limited.when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: { amount: 50_000, currency: 'HKD' } }, byAdmin()).then([changed(yuan(500), { amount: 50_000, currency: 'HKD' })])
    limited.when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: null }, byAdmin()).then([changed(yuan(500), null)])
  })
  test('to what it is changes nothing', () => {
    given(employee, [registered(), changed(null, yuan(500))]).when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: { currency: 'CNY', amount: 50_000 } }, byAdmin()).then([])
    given(employee, [registered()]).when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: null }, byAdmin()).then([])
  })
  test('of one who is unknown or departed is refused', () => {
    given(employee, []).when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: null }, byAdmin()).then(unknown)
    given(employee, [registered(), left]).when(changeAuthorityLimit, { employeeId: 'e', authorityLimit: null }, byAdmin()).then(departed)
    expect(ChangeAuthorityLimit.safeParse({ employeeId: 'e' }).success).toBe(false)
  })
})

describe('a departure', () => {
  test('is recorded once, its reason sealed', () => {
    given(employee, [registered()]).when(depart, { employeeId: 'e', reason: person.said }, byAdmin()).then([left])
    given(employee, [registered(), left]).when(depart, { employeeId: 'e', reason: person.evidence }, byAdmin()).then([])
    given(employee, []).when(depart, { employeeId: 'e', reason: person.said }, byAdmin()).then(unknown)
    expect(DepartEmployee.safeParse({ employeeId: 'e' }).success).toBe(false)
  })
  test('may say who takes over: somebody who is here, a department there is, or nobody', () => {
    const departing = (handover: object) => DepartEmployee.parse({ employeeId: 'e', reason: person.said, handover })
    for (const handover of [{ to: 'pool' }, { to: 'successor', employeeId: 'clerk' }, { to: 'department', departmentId: 'nanshan', by: 'region' }] as const) {
      given(employee, [registered()]).when(depart, departing(handover), byAdmin()).then([{ type: 'EmployeeDeparted', data: { ...left.data, handover } }])
    }
    for (const employeeId of ['gone', 'nobody', 'e']) given(employee, [registered()]).when(depart, departing({ to: 'successor', employeeId }), byAdmin()).then(refusedAt('unknown-reference', 'handover/employeeId'))
    given(employee, [registered()]).when(depart, departing({ to: 'department', departmentId: 'nowhere', by: 'load' }), byAdmin()).then(refusedAt('unknown-reference', 'handover/departmentId'))
  })
})

test('what happened to nobody, as no log has it, leaves nobody', () => {
  expect(given(employee, [moved('a', 'b'), left]).state).toEqual({ status: 'none' })
})
