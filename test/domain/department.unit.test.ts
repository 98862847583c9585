import { describe, expect, test } from 'vitest'
import { department, move, MoveDepartment, register, RegisterDepartment, type DepartmentEvent } from '../../src/domain/department/department.ts'
import { byAdmin, given, organisation, refusedAt, withDepartment } from '../support/given.ts'

const registered = (name: string, parentId: string | null): DepartmentEvent => ({ type: 'DepartmentRegistered', data: { name, parentId } })
const moved = (from: string | null, to: string | null): DepartmentEvent => ({ type: 'DepartmentMoved', data: { from, to } })
const registering = (parentId?: string | null, name = '福田支行') => RegisterDepartment.parse({ departmentId: 'futian', name, parentId })

describe('registering a department', () => {
  test('below another, or at the root of the tree', () => {
    given(department, []).when(register, registering('shenzhen'), byAdmin()).then([registered('福田支行', 'shenzhen')])
    given(department, []).when(register, registering(null), byAdmin()).then([registered('福田支行', null)])
    given(department, []).when(register, registering(), byAdmin()).then([registered('福田支行', null)])
  })
  test('below one nobody knows is refused, itself included', () => {
    given(department, []).when(register, registering('nowhere'), byAdmin()).then(refusedAt('unknown-reference', 'parentId'))
    given(department, []).when(register, registering('futian'), byAdmin()).then(refusedAt('unknown-reference', 'parentId'))
  })
  test('again with the same particulars changes nothing; with others the id is taken', () => {
    given(department, [registered('福田支行', 'shenzhen')]).when(register, registering('shenzhen'), byAdmin()).then([])
    given(department, [registered('福田支行', 'shenzhen')]).when(register, registering('nanshan'), byAdmin()).then({ rejected: 'department-exists' })
    given(department, [registered('福田支行', 'shenzhen')]).when(register, registering('shenzhen', '福田分行'), byAdmin()).then({ rejected: 'department-exists' })
  })
  test('needs a name', () => {
    expect(RegisterDepartment.safeParse({ name: '  ' }).success).toBe(false)
    expect(RegisterDepartment.safeParse({ name: 'x', manager: 'y' }).success).toBe(false)
  })
})

describe('moving a department', () => {
  const shenzhen = given(department, [registered('shenzhen', 'head-office')])
  const to = (parentId: string | null) => ({ departmentId: 'shenzhen', parentId })
  test('takes it elsewhere in the tree', () => {
    shenzhen.when(move, to('guangzhou'), byAdmin()).then([moved('head-office', 'guangzhou')])
    shenzhen.when(move, to(null), byAdmin()).then([moved('head-office', null)])
  })
  test('to where it is changes nothing', () => {
    shenzhen.when(move, to('head-office'), byAdmin()).then([])
    given(department, [registered('shenzhen', 'head-office'), moved('head-office', 'guangzhou')]).when(move, to('guangzhou'), byAdmin()).then([])
  })
  test('below itself, at any depth, is refused', () => {
    for (const below of ['shenzhen', 'nanshan']) shenzhen.when(move, to(below), byAdmin()).then({ rejected: 'department-cycle' })
    shenzhen.when(move, to('deeper'), byAdmin({ organisation: withDepartment('deeper', 'nanshan') })).then({ rejected: 'department-cycle' })
  })
  test('that is unknown, or below one that is, is refused', () => {
    shenzhen.when(move, to('nowhere'), byAdmin()).then(refusedAt('unknown-reference', 'parentId'))
    given(department, []).when(move, to('head-office'), byAdmin()).then({ rejected: 'department-not-found' })
  })
  test('says where to, or that it is to be the root', () => {
    expect(MoveDepartment.safeParse({ departmentId: 'shenzhen' }).success).toBe(false)
  })
})

test('a move without a registration, as no log has it, leaves nothing', () => {
  expect(given(department, [moved(null, 'shenzhen')]).state).toEqual({ status: 'none' })
  expect(organisation.departments.get('nanshan')?.parentId).toBe('shenzhen')
})
