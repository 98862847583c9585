import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { changeProfile, ChangeProfile, recategorise, RecategoriseCustomer } from '../../../src/domain/customer/profile.ts'
import type { Organisation } from '../../../src/domain/organisation/organisation.ts'
import { by, claimed, complete, created, field, given, inForce, label, organisation, person, refusedAt, sealed, staged, templateVersions, withCategory, withPolicy } from '../../support/given.ts'

const changing = (more: Partial<z.input<typeof ChangeProfile>>) => ChangeProfile.parse({ customerId: 'c', ...more })
const moving = (category: string, fields: z.input<typeof RecategoriseCustomer>['fields'] = {}) => RecategoriseCustomer.parse({ customerId: 'c', category, reason: person.said, fields })
const template = [...templateVersions['individual-retail']]
const changed = (fields: Extract<CustomerEvent, { type: 'ProfileChanged' }>['data']['fields'], more: { name?: ReturnType<typeof sealed<string>> } = {}): CustomerEvent => ({ type: 'ProfileChanged', data: { ...more, fields, template } })
const recategorised = (to: keyof typeof templateVersions | 'own', fields: Extract<CustomerEvent, { type: 'CustomerRecategorised' }>['data']['fields'], versions = to === 'own' ? [{ categoryId: 'own', version: 1 }] : [...templateVersions[to]]): CustomerEvent =>
  ({ type: 'CustomerRecategorised', data: { from: 'individual-retail', to, reason: sealed(person.said), fields, template: versions } })
const among = (one: Organisation) => by('clerk', { organisation: one })

describe('a profile that changes', () => {
  const known = created({ fields: { address: sealed(person.address), source: 'referral' } })
  test('tells what is new, in its normal form, the template it was checked against, and the stages that ask for it', () => {
    given(customer, [known, claimed('clerk')]).when(changeProfile, changing({ name: person.newName, fields: { address: `${person.newAddress} `, source: 'referral', birthday: '1990-02-28', importance: 'B' } }))
      .then([changed({ address: sealed(person.newAddress), birthday: sealed('1990-02-28'), importance: 'B' }, { name: sealed(person.newName) })], { policies: inForce('stages') })
  })
  test('may clear a field: null, empty and blank are the same', () => {
    for (const nothing of [null, '', ' \u3000']) given(customer, [known]).when(changeProfile, changing({ fields: { address: nothing } })).then([changed({ address: null })])
  })
  test('may clear a field whose key every object has', () => {
    const template = { categoryId: 'own', fields: [field('constructor'), field('toString')] }
    given(customer, [created({ category: 'own', fields: { constructor: 'x' } })]).when(changeProfile, changing({ fields: { constructor: null, toString: null } }), among(withCategory(template)))
      .then([{ type: 'ProfileChanged', data: { fields: { constructor: null }, template: [{ categoryId: 'own', version: 1 }] } }])
  })
  test('that says what is known already changes nothing', () => {
    given(customer, [known]).when(changeProfile, changing({ name: person.name, fields: { source: 'referral', address: `${person.address} `, hobbies: null } })).then([])
    given(customer, [known]).when(changeProfile, changing({})).then([])
  })
  test('has every wrong field named at once', () => {
    given(customer, [known]).when(changeProfile, changing({ fields: { source: 'dream', birthday: 'yesterday', shoeSize: 42 } })).then(refusedAt('invalid-fields', 'fields/source', 'fields/birthday', 'fields/shoeSize'))
  })
  test('must stay complete from stage active on: what is cleared, and what was missing before, is named', () => {
    const active = [created({ fields: { ...complete, source: null } }), staged('target', 'active', 'progress')]
    given(customer, active).when(changeProfile, changing({ fields: { address: null, importance: '无' } })).then(refusedAt('invalid-fields', 'fields/address', 'fields/importance', 'fields/source'))
    given(customer, active).when(changeProfile, changing({ fields: { source: 'referral' } })).then([changed({ source: 'referral' })])
  })
  test('at an earlier stage may leave it all out', () => {
    given(customer, [created({ fields: complete })]).when(changeProfile, changing({ fields: { address: null, importance: null, source: null } })).then([changed({ address: null, importance: null, source: null })])
  })
  test('asleep or lost, may be incomplete again', () => {
    for (const stage of ['dormant', 'lost']) given(customer, [created({ fields: complete }), staged('active', stage, 'setback')]).when(changeProfile, changing({ fields: { address: null } })).then([changed({ address: null })])
  })
  test('of nobody is not found', () => {
    given(customer, []).when(changeProfile, changing({ name: person.name })).then({ rejected: 'customer-not-found' })
  })
  test('of a category that is gone is refused', () => {
    given(customer, [created({ category: 'gone' })]).when(changeProfile, changing({ name: person.newName })).then(refusedAt('unknown-reference', 'category'))
  })
})

describe('a template that was revised since', () => {
  const own = (more: Parameters<typeof field>[1], ...others: ReturnType<typeof field>[]) => among(withCategory({ categoryId: 'own', version: 2, fields: [field('grade', more), ...others] }))
  const old = created({ category: 'own', fields: { grade: 'gold', motto: 'onwards' } })
  test('leaves alone what is stored and does not fit any more, unless it is sent', () => {
    const nowChoice = own({ type: 'one-of', options: [{ value: 'A', labels: label }] }, field('city'))
    given(customer, [old]).when(changeProfile, changing({ fields: { city: 'x' } }), nowChoice).then([{ type: 'ProfileChanged', data: { fields: { city: 'x' }, template: [{ categoryId: 'own', version: 2 }] } }])
    given(customer, [old]).when(changeProfile, changing({ fields: { grade: 'gold' } }), nowChoice).then(refusedAt('invalid-fields', 'fields/grade'))
  })
  test('names what it requires by now and the record does not have in that form', () => {
    given(customer, [old]).when(changeProfile, changing({ name: person.newName }), own({ type: 'number', requiredFrom: 'target' }, field('city', { requiredFrom: 'target' }))).then(refusedAt('invalid-fields', 'fields/grade', 'fields/city'))
  })
  test('that requires a field from a stage the policy has no more requires it nowhere', () => {
    const growth = withPolicy('stages', { initial: 'growth', stages: [{ name: 'growth', labels: label, completeness: 0 }, { name: 'maturity', labels: label, completeness: 1 }], moves: [] })
    for (const stage of ['growth', 'maturity', 'active']) given(customer, [created({ stage, fields: complete })]).when(changeProfile, changing({ fields: { address: null } }), among(growth)).then([changed({ address: null })])
  })
})

describe('a customer in the wrong category', () => {
  const contact = { contactId: 'k', name: sealed(person.contact), fields: {} }
  const known = created({ fields: { ...complete, occupation: sealed(person.occupation), hobbies: sealed(person.title) }, contacts: [contact] })
  test('moves to the right one with a reason; fields without a home there are cleared, in the open', () => {
    given(customer, [known]).when(recategorise, moving('enterprise', { numberOfComputers: 12 }), by('manager'))
      .then([recategorised('enterprise', { numberOfComputers: 12, occupation: null, hobbies: null })], { policies: inForce('stages') })
  })
  test('moves into a child category with the fields of its parent', () => {
    given(customer, [created({ fields: { source: 'referral', nativePlace: sealed(person.address) } })]).when(recategorise, moving('supplier-software', { industry: 'software' }), by('manager'))
      .then([recategorised('supplier-software', { industry: 'software', nativePlace: null })])
  })
  test('keeps a field under the same key only if its value fits there', () => {
    const own = by('manager', { organisation: withCategory({ categoryId: 'own', fields: [field('source', { type: 'number' }), field('importance')] }) })
    given(customer, [known]).when(recategorise, moving('own'), own).then([recategorised('own', { source: null, address: null, occupation: null, hobbies: null })])
  })
  test('must be complete there at the stage it has reached', () => {
    const active = [known, staged('prospect', 'active', 'progress')]
    given(customer, active).when(recategorise, moving('enterprise'), by('manager')).then(refusedAt('invalid-fields', 'fields/companyPhone', 'fields/numberOfComputers'))
    given(customer, active).when(recategorise, moving('enterprise', { companyPhone: '0755-26881234', numberOfComputers: 'many', colour: 'red' }), by('manager')).then(refusedAt('invalid-fields', 'fields/numberOfComputers', 'fields/colour'))
    given(customer, active).when(recategorise, moving('enterprise', { companyPhone: '0755-26881234', numberOfComputers: 3 }), by('manager'))
      .then([recategorised('enterprise', { companyPhone: sealed(person.phone), numberOfComputers: 3, occupation: null, hobbies: null })])
  })
  test('and moved to where it is already, does not change', () => {
    given(customer, [known]).when(recategorise, moving('individual-retail'), by('manager')).then([])
  })
  test('goes nowhere unknown, and nobody goes anywhere', () => {
    given(customer, [known]).when(recategorise, moving('nowhere'), by('manager')).then(refusedAt('unknown-reference', 'category'))
    given(customer, []).when(recategorise, moving('enterprise'), by('manager')).then({ rejected: 'customer-not-found' })
  })
  test('moves for a reason, in words', () => {
    expect(RecategoriseCustomer.safeParse({ customerId: 'c', category: 'enterprise' }).success).toBe(false)
    expect(RecategoriseCustomer.safeParse({ customerId: 'c', category: 'enterprise', reason: ' ' }).success).toBe(false)
  })
})

test('an erased value is no value: it is missing where it is required, and may be told anew', () => {
  const erased = [created({ name: { erased: true }, fields: { ...complete, address: { erased: true } } }), staged('target', 'active', 'progress')]
  given(customer, erased).when(changeProfile, changing({ fields: { importance: 'B' } }), among(organisation)).then(refusedAt('invalid-fields', 'fields/address'))
  given(customer, erased).when(changeProfile, changing({ name: person.name, fields: { address: person.address } })).then([changed({ address: sealed(person.address) }, { name: sealed(person.name) })])
})
