import { describe, expect, it } from 'vitest'
import { customer } from '../../src/domain/customer/customer.ts'
import { caseIdOf, duplicateCase, type DuplicateCaseEvent } from '../../src/domain/duplicate-case/duplicate-case.ts'
import * as judging from '../../src/domain/duplicate-case/judging.ts'
import { personal, type Context } from '../../src/domain/decider.ts'
import { by, bySystem, created, fold, given, person, recorded } from '../support/given.ts'

const one = fold(customer, [recorded(created(), 0)])
const both = [one, one]
const pair: [string, string] = ['c', 'a']
const caseId = caseIdOf(pair)
const found = { customerIds: pair, score: 14.5, reasons: [{ comparison: 'phone', level: 'equal', bits: 14.5 }], weightsVersion: 3 }
const said = personal('customer-a', person.said)

const open = (customers = both) => (state: Parameters<typeof judging.open>[0], command: Parameters<typeof judging.open>[1], context: Context) => judging.open(state, command, context, null, customers)
const dismiss = (customers = both) => (state: Parameters<typeof judging.dismiss>[0], command: Parameters<typeof judging.dismiss>[1], context: Context) => judging.dismiss(state, command, context, null, customers)

const opened: DuplicateCaseEvent = { type: 'DuplicateCaseOpened', data: { customerIds: ['a', 'c'], openedBy: 'detection', score: 14.5, reasons: found.reasons, weightsVersion: 3, note: null } }
const dismissed: DuplicateCaseEvent = { type: 'DuplicateCaseDismissed', data: { reason: said } }
const confirmed: DuplicateCaseEvent = { type: 'DuplicateCaseConfirmed', data: { note: null } }
const merged: DuplicateCaseEvent = { type: 'DuplicateCaseMerged', data: { mergeId: 'm' } }

describe('a duplicate case', () => {
  it('is the same whichever customer is named first', () => expect(caseIdOf(['c', 'a'])).toBe(caseIdOf(['a', 'c'])))

  it('is opened by detection with what speaks for it, and by a person in words', () => {
    given(duplicateCase, []).when(open(), found, bySystem()).then([opened])
    given(duplicateCase, []).when(open(), { customerIds: pair, note: person.said }, by('clerk'))
      .then([{ type: 'DuplicateCaseOpened', data: { customerIds: ['a', 'c'], openedBy: 'person', score: null, reasons: [], weightsVersion: null, note: said } }])
  })

  it('opened by a person is as alike as the matcher says, and nobody else', () => {
    given(duplicateCase, []).when(open(), { ...found, note: person.said }, by('clerk')).then({ rejected: 'not-permitted' })
    given(duplicateCase, []).when(open(), found, bySystem('clerk')).then({ rejected: 'not-permitted' })
    const alike = { score: 14.5, reasons: [{ comparison: 'phone' as const, level: 'same' as const, bits: 14.5 }], weightsVersion: 3 }
    given(duplicateCase, []).when(open(), { customerIds: pair, found: alike }, by('clerk')).then([{ type: 'DuplicateCaseOpened', data: { customerIds: ['a', 'c'], openedBy: 'person', ...alike, note: null } }])
  })

  it('is of two: not of those that are one already', () => {
    given(duplicateCase, []).when(open(), { customerIds: pair, isOne: true }, by('clerk')).then({ rejected: 'case-merged' })
    given(duplicateCase, []).when(open(), { ...found, isOne: true }, bySystem()).then([])
    given(duplicateCase, [opened]).when(judging.close, { caseId, mergeId: 'm', isOne: false }).then([])
    given(duplicateCase, [opened]).when(judging.close, { caseId, mergeId: 'm', isOne: true }).then([merged])
  })

  it('is not opened of a customer that does not exist', () => {
    const context = bySystem()
    expect(judging.open({ status: 'none' }, found, context, null, [one, null])).toMatchObject({ rejected: 'customer-not-found' })
  })

  it('is never raised again by detection once it was judged; by a person who says what is new', () => {
    for (const past of [[opened], [opened, dismissed], [opened, confirmed], [opened, confirmed, merged]]) given(duplicateCase, past).when(open(), found, bySystem()).then([])
    given(duplicateCase, [opened, dismissed]).when(open(), { customerIds: pair }, by('clerk')).then({ rejected: 'reason-required' })
    given(duplicateCase, [opened, dismissed]).when(open(), { customerIds: pair, note: person.said }, by('clerk'))
      .then([{ type: 'DuplicateCaseOpened', data: { customerIds: ['a', 'c'], openedBy: 'person', score: null, reasons: [], weightsVersion: null, note: said } }])
    given(duplicateCase, [opened, merged]).when(open(), { customerIds: pair, note: person.said }, by('clerk')).then({ rejected: 'case-merged' })
  })

  it('is confirmed or dismissed once', () => {
    given(duplicateCase, [opened]).when(judging.confirm, { caseId }).then([confirmed])
    given(duplicateCase, [opened, dismissed]).when(judging.confirm, { caseId }).then({ rejected: 'case-dismissed' })
    given(duplicateCase, [opened, confirmed]).when(dismiss(), { caseId, reason: person.said }).then([dismissed])
    given(duplicateCase, []).when(judging.confirm, { caseId }).then({ rejected: 'case-not-found' })
  })

  it('is closed by a merge, and dismissed only when that was reversed', () => {
    given(duplicateCase, [opened]).when(judging.close, { caseId, mergeId: 'm' }).then([merged])
    given(duplicateCase, []).when(judging.close, { caseId, mergeId: 'm' }).then([])
    const absorbed = { ...one, absorption: { mergeId: 'm', into: 'a' } }
    given(duplicateCase, [opened, merged]).when(dismiss([one, absorbed]), { caseId, reason: person.said }).then({ rejected: 'case-merged' })
    given(duplicateCase, [opened, merged]).when(dismiss([one, one]), { caseId, reason: person.said }).then([dismissed])
  })
})
