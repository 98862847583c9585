import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { addContact, AddContact, changeContact, ChangeContact, removeContact, RemoveContact } from '../../../src/domain/customer/profile.ts'
import { by, claimed, completeContact, contactAdded, contactRemoved, created, given, inForce, person, refusedAt, sealedOf, staged, templateVersions } from '../../support/given.ts'

const adding = (fields: z.input<typeof AddContact>['fields'] = {}) => AddContact.parse({ customerId: 'c', name: person.contact, fields })
const changing = (more: Partial<z.input<typeof ChangeContact>>) => ChangeContact.parse({ customerId: 'c', contactId: 'k', ...more })
const changed = (fields: Extract<CustomerEvent, { type: 'ContactChanged' }>['data']['fields'], more: { name?: ReturnType<typeof sealedOf<string>> } = {}): CustomerEvent =>
  ({ type: 'ContactChanged', data: { contactId: 'k', ...more, fields, template: [...templateVersions['individual-retail']] } })
const told = { title: person.title, role: 'insider', mobile: person.contactMobile, email: person.contactEmail }
const active = [created({ contacts: [{ contactId: 'k', name: sealedOf('k', person.contact), fields: completeContact('k') }] }), claimed('clerk'), staged('target', 'active', 'progress')]
const gone = { rejected: 'contact-not-found' } as const

describe('adding a contact', () => {
  const id = 'this-command-contact'
  test('gives it an id and a key of its own, and names the template and the stages it was checked against', () => {
    given(customer, [created()]).when(addContact, adding({ ...told, birthday: '' })).then([contactAdded(id, completeContact(id))], { policies: inForce('stages') })
  })
  test('at a target needs a name alone; from stage active on all that is required, named at once', () => {
    given(customer, [created()]).when(addContact, adding()).then([contactAdded(id)])
    given(customer, active).when(addContact, adding({ mobile: '没有', sex: 'x' })).then(refusedAt('invalid-fields', 'fields/title', 'fields/role', 'fields/mobile', 'fields/email', 'fields/sex'))
    given(customer, active).when(addContact, adding(told)).then([contactAdded(id, completeContact(id))])
  })
  test('takes no field that belongs to the customer', () => {
    given(customer, [created()]).when(addContact, adding({ source: 'referral', colour: 'red' })).then(refusedAt('invalid-fields', 'fields/source', 'fields/colour'))
  })
  test('again by the same command adds nobody, even when the contact was removed since', () => {
    given(customer, [created(), contactAdded(id)]).when(addContact, adding()).then([])
    given(customer, [created(), contactAdded(id), contactRemoved(id)]).when(addContact, adding()).then([])
    given(customer, [created(), contactAdded(id)]).when(addContact, adding(), by('clerk', { commandId: 'another-command' })).then([contactAdded('another-command-contact')])
  })
  test('needs a customer, of a category there is', () => {
    given(customer, []).when(addContact, adding()).then({ rejected: 'customer-not-found' })
    given(customer, [created({ category: 'gone' })]).when(addContact, adding()).then(refusedAt('unknown-reference', 'category'))
  })
})

describe('changing a contact', () => {
  test('tells what is new about it, under its own key', () => {
    given(customer, active).when(changeContact, changing({ name: person.newContact, fields: { role: 'opponent', title: person.title, hobbies: person.occupation } }))
      .then([changed({ role: 'opponent', hobbies: sealedOf('k', person.occupation) }, { name: sealedOf('k', person.newContact) })], { policies: inForce('stages') })
  })
  test('may clear what is not required, and must leave the contact complete from stage active on', () => {
    given(customer, [created(), contactAdded('k', completeContact('k'))]).when(changeContact, changing({ fields: { title: null, role: null } })).then([changed({ title: null, role: null })])
    given(customer, active).when(changeContact, changing({ fields: { title: null, email: 'nowhere', colour: 'red' } })).then(refusedAt('invalid-fields', 'fields/title', 'fields/email', 'fields/colour'))
    given(customer, [...active, contactAdded('incomplete')]).when(changeContact, ChangeContact.parse({ customerId: 'c', contactId: 'incomplete', fields: { role: 'insider' } }))
      .then(refusedAt('invalid-fields', 'fields/title', 'fields/mobile', 'fields/email'))
  })
  test('to what is known already changes nothing', () => {
    given(customer, active).when(changeContact, changing({ name: person.contact, fields: { ...told, notes: null } })).then([])
    given(customer, active).when(changeContact, changing({})).then([])
  })
  test('needs a contact that is there', () => {
    given(customer, active).when(changeContact, ChangeContact.parse({ customerId: 'c', contactId: 'nobody' })).then(gone)
    given(customer, [...active, contactRemoved('k')]).when(changeContact, changing({ fields: { role: 'opponent' } })).then(gone)
    given(customer, []).when(changeContact, changing({})).then({ rejected: 'customer-not-found' })
    given(customer, [created({ category: 'gone' }), contactAdded('k')]).when(changeContact, changing({})).then(refusedAt('unknown-reference', 'category'))
  })
})

describe('removing a contact', () => {
  test('says why, if told, under the key of the contact', () => {
    given(customer, active).when(removeContact, { customerId: 'c', contactId: 'k', reason: person.said }).then([contactRemoved('k', person.said)])
    given(customer, active).when(removeContact, { customerId: 'c', contactId: 'k' }).then([contactRemoved('k')])
  })
  test('that was removed before changes nothing; that was never there is not found', () => {
    given(customer, [...active, contactRemoved('k')]).when(removeContact, { customerId: 'c', contactId: 'k' }).then([])
    given(customer, active).when(removeContact, { customerId: 'c', contactId: 'nobody' }).then(gone)
    given(customer, []).when(removeContact, { customerId: 'c', contactId: 'k' }).then({ rejected: 'customer-not-found' })
  })
  test('leaves the others as they are', () => {
    const { state } = given(customer, [...active, contactAdded('other'), contactRemoved('k')])
    expect([...state.contacts.keys()]).toEqual(['other'])
  })
})

test('an erased contact is still a contact, who has to be told anew', () => {
  const { state } = given(customer, [created(), { type: 'ContactAdded', data: { contactId: 'k', name: { erased: true }, fields: { role: 'insider', email: { erased: true } }, template: [] } }])
  expect(state.contacts.get('k')).toEqual({ name: undefined, fields: { role: 'insider' } })
})

test('a body takes nothing it does not know', () => {
  expect(AddContact.safeParse({ customerId: 'c', name: ' ' }).success).toBe(false)
  expect(ChangeContact.safeParse({ customerId: 'c', contactId: 'k', role: 'insider' }).success).toBe(false)
  expect(RemoveContact.safeParse({ customerId: 'c' }).success).toBe(false)
})
