import { describe, expect, test } from 'vitest'
import { personal } from '../../../src/domain/decider.ts'
import { CompleteHandover, complete, handover, start, StartHandover, TransferPortfolio, transferPortfolio, type HandoverEvent } from '../../../src/domain/handover/handover.ts'
import { recipientsOf } from '../../../src/domain/handover/recipients.ts'
import { by, bySystem, departed, given, inForce, organisation, person, refusedAt, withDepartment, withPolicy } from '../../support/given.ts'

const policies = inForce('ownership')
type Started = Extract<HandoverEvent, { type: 'HandoverStarted' }>['data']
const started = (more: Partial<Started> = {}): HandoverEvent => ({ type: 'HandoverStarted', data: { from: 'gone', cause: 'departure', rule: { to: 'pool' }, ruleBy: 'policy', startedBy: 'admin', reason: null, ...more } })
const done: HandoverEvent = { type: 'HandoverCompleted', data: { moved: 3, pooled: 1, unplaced: 0 } }
const starting = (more: object = {}) => StartHandover.parse({ handoverId: 'h', from: 'gone', handover: null, startedBy: 'admin', ...more })
const transferring = (more: object = {}) => TransferPortfolio.parse({ from: 'clerk', handover: { to: 'successor', employeeId: 'colleague' }, reason: person.said, ...more })

describe('the handover of a departure', () => {
  test('goes by the rule of the policy, naming its version, or by the one the departure stated', () => {
    given(handover, []).when(start, starting(), bySystem()).then([started()], { policies })
    const successor = { to: 'successor', employeeId: 'clerk' } as const
    const changed = withPolicy('ownership', { backdatingDays: 1, handover: successor })
    given(handover, []).when(start, starting(), { ...bySystem(), organisation: changed }).then([started({ rule: successor })], { policies: [{ name: 'ownership', version: 7 }] })
    given(handover, []).when(start, starting({ handover: successor }), bySystem()).then([started({ rule: successor, ruleBy: 'command' })], { policies })
  })
  test('is started once, and completed once', () => {
    given(handover, [started()]).when(start, starting({ handover: { to: 'successor', employeeId: 'clerk' } }), bySystem()).then([])
    given(handover, [started()]).when(complete, CompleteHandover.parse({ handoverId: 'h', ...done.data }), bySystem()).then([done])
    given(handover, [started(), done]).when(complete, CompleteHandover.parse({ handoverId: 'h', moved: 9, pooled: 0, unplaced: 0 }), bySystem()).then([])
    given(handover, []).when(complete, CompleteHandover.parse({ handoverId: 'h', moved: 0, pooled: 0, unplaced: 0 }), bySystem()).then({ rejected: 'handover-not-found' })
  })
})

describe('the transfer of a portfolio', () => {
  const transferred = (more: Partial<Started> = {}) => started({ from: 'clerk', cause: 'transfer', rule: { to: 'successor', employeeId: 'colleague' }, ruleBy: 'command', startedBy: 'manager', reason: personal('employee-clerk', person.said), ...more })
  test('is of all that somebody holds, or of some', () => {
    given(handover, []).when(transferPortfolio, transferring(), by('manager')).then([transferred()], { policies })
    given(handover, []).when(transferPortfolio, transferring({ customerIds: ['b', 'a', 'b'], tier: 'premier' }), by('manager')).then([transferred({ only: { customerIds: ['b', 'a'], tier: 'premier' } })])
    given(handover, []).when(transferPortfolio, transferring({ category: 'supplier' }), by('manager')).then([transferred({ only: { categories: ['supplier', 'supplier-software', 'supplier-hardware'] } })])
    for (const rule of [{ to: 'pool' }, { to: 'department', departmentId: 'shenzhen', by: 'tier' }] as const) given(handover, []).when(transferPortfolio, transferring({ handover: rule }), by('manager')).then([transferred({ rule })])
  })
  test('of one who is unknown or has departed, or to one who is, is refused', () => {
    given(handover, []).when(transferPortfolio, transferring({ from: 'nobody' }), by('manager')).then({ rejected: 'employee-not-found' })
    given(handover, []).when(transferPortfolio, transferring({ from: 'gone' }), by('manager')).then({ rejected: 'employee-departed' })
    for (const employeeId of ['nobody', 'gone', 'clerk']) given(handover, []).when(transferPortfolio, transferring({ handover: { to: 'successor', employeeId } }), by('manager')).then(refusedAt('unknown-reference', 'handover/employeeId'))
    given(handover, []).when(transferPortfolio, transferring({ handover: { to: 'department', departmentId: 'nowhere', by: 'load' }, tier: 'none', category: 'none' }), by('manager')).then(refusedAt('unknown-reference', 'category', 'handover/departmentId', 'tier'))
  })
  test('takes a rule, a reason, and some customers where it names any', () => {
    for (const more of [{ reason: ' ' }, { customerIds: [] }, { handover: { to: 'department', departmentId: 'x', by: 'luck' } }]) expect(TransferPortfolio.safeParse({ ...transferring(), ...more }).success).toBe(false)
  })
})

describe('who takes over', () => {
  test('a successor who is here; one who has departed is followed; nobody for oneself or the unknown', () => {
    const to = (employeeId: string, from = 'clerk') => recipientsOf(departed('colleague'), from, { to: 'successor', employeeId })
    expect([to('rival'), to('colleague'), to('clerk'), to('nobody')]).toEqual([{ to: 'one', employeeId: 'rival' }, { to: 'departed', employeeId: 'colleague' }, { to: 'nobody' }, { to: 'nobody' }])
  })
  test('of a department and those below it who is here, but for who hands over', () => {
    const of = (departmentId: string, from = 'clerk', inOrganisation = organisation) => recipientsOf(inOrganisation, from, { to: 'department', departmentId, by: 'load' })
    expect(of('shenzhen')).toEqual({ to: 'spread', by: 'load', employeeIds: ['colleague', 'manager'] })
    expect(of('nanshan', 'gone')).toEqual({ to: 'spread', by: 'load', employeeIds: ['clerk', 'colleague'] })
    expect([of('nanshan', 'clerk', departed('colleague')), of('empty', 'clerk', withDepartment('empty', null)), of('nowhere')]).toEqual([{ to: 'nobody' }, { to: 'nobody' }, { to: 'nobody' }])
  })
  test('nobody by a rule that says the pool', () => {
    expect(recipientsOf(organisation, 'clerk', { to: 'pool' })).toEqual({ to: 'nobody' })
  })
})
